from __future__ import annotations

from xml.etree import ElementTree as ET

from policy.render.junit import Case, document


def test_document() -> None:
    """Suites and cases are counted, and what failed says so."""
    root = ET.fromstring(document("x", {"a.toml": [Case("one", 1), Case("two", 2, "kind", "message", "text")]}))  # noqa: S314  (our own text)
    assert (root.get("name"), root.get("tests"), root.get("failures")) == ("x", "2", "1")
    (suite,) = root
    assert (suite.get("name"), suite.get("failures")) == ("a.toml", "1")
    one, two = suite
    assert (one.get("line"), len(one)) == ("1", 0)
    assert (two[0].get("type"), two[0].get("message"), two[0].text) == ("kind", "message", "text")


def test_any_text() -> None:
    """Names that XML cannot hold are escaped, and the document is ASCII."""
    text = document("x", {"\x1b\udcff.toml": [Case("\x00é\ud800", 0, "k", "\x0b", "t")]})
    assert text.isascii()
    assert ET.fromstring(text)[0].get("name") == "\\x1b\\udcff.toml"  # noqa: S314  (our own text)
