"""Pages for a browser as a test reads them: by a parser that takes no fault."""

from __future__ import annotations

import re
from typing import Any

import html5lib

NAMESPACE = "{http://www.w3.org/1999/xhtml}"


def tree(text: str) -> Any:
    """A page as a tree.

    Raises:
        html5lib.html5parser.ParseError: It is not valid.
    """
    return html5lib.HTMLParser(strict=True).parse(text)


def elements(page: Any, path: str) -> list[Any]:
    """The elements that a path leads to; `~` stands before each name of HTML's."""
    return list(page.iterfind(path.replace("~", NAMESPACE)))


def texts(page: Any, path: str) -> list[str]:
    """The text of each of them."""
    return ["".join(found.itertext()) for found in elements(page, path)]


def titles(page: Any, path: str) -> list[str | None]:
    """What hovering each of them shows."""
    return [found.get("title") for found in elements(page, path)]


def shape(text: str) -> list[str]:
    """The name of every element, in order, so that two pages can be compared without their texts."""
    return [str(found.tag) for found in tree(text).iter()]


def foreign(text: str) -> list[str]:
    """Whatever of a page would load or run something, or names an address."""
    return re.findall(r"https?:|//[a-z]|<script|<link|<img|<iframe|@import|url\(|\bon\w+=|\bsrc=|\bhref=", text)
