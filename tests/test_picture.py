"""docs/explain.svg is what `policy explain --output-format html` draws."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests import browser_page, factories

if TYPE_CHECKING:
    from types import ModuleType

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

DOCS = factories.CHECKOUT / "docs"


@pytest.fixture(scope="module")
def picture() -> ModuleType:
    """The script that draws it."""
    spec = importlib.util.spec_from_file_location("picture", DOCS / "picture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_fresh(picture: ModuleType) -> None:
    """The picture in the repository is what the page looks like now."""
    fresh = picture.drawn() == picture.PICTURE.read_text(encoding="utf-8")
    assert fresh, "stale: python docs/picture.py"


def test_it_is_a_picture(picture: ModuleType) -> None:
    """It is well-formed XML with the plan and the rule that decides, and loads nothing from anywhere."""
    shown = picture.PICTURE.read_text(encoding="utf-8")
    root = ET.fromstring(shown)  # noqa: S314  (our own text)
    assert browser_page.texts(root, ".//~ol[@class='plan']/~li/~b") == ["gate", "beside", "local"]
    (decides,) = browser_page.texts(root, ".//~li[@class='matched']")
    assert "shared (/srv/report/lock-policy.toml:8)" in decides
    names = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml")  # of the two languages, and no addresses
    assert "max-width: 40rem" not in shown  # a small picture is the same picture
    assert browser_page.foreign(shown.replace(names[0], "").replace(names[1], "")) == []
