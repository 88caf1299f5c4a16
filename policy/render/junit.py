"""The XML that CI servers read: a suite for each file, a case for each thing that was looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from attrs import frozen

from policy.escape import escape
from policy.render.record import shorten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@frozen
class Case:
    """A case of a suite.

    Args:
        name: What was looked at.
        line: Where it is written; 0 for the whole file.
        kind: What kind of failure it has.
        message: The failure in one line; "" where there is none.
        text: The failure in full.
    """

    name: str
    line: int = 0
    kind: str = ""
    message: str = ""
    text: str = ""


def document(name: str, suites: Mapping[str, Sequence[Case]]) -> str:
    """The whole document.

    Args:
        name: Of what ran.
        suites: The cases by the file that they are of.
    """
    failed = {file: sum(bool(case.message) for case in cases) for file, cases in suites.items()}
    total = sum(map(len, suites.values()))
    root = ET.Element("testsuites", {"name": name, "tests": str(total), "failures": str(sum(failed.values()))})
    for path, cases in suites.items():
        file = escape(shorten(path))
        counts = {"tests": str(len(cases)), "failures": str(failed[path]), "errors": "0", "skipped": "0"}
        suite = ET.SubElement(root, "testsuite", {"name": file, **counts})
        for case in cases:
            # what is not printable may not stand in XML 1.0
            fields = {"classname": file, "name": escape(case.name), "file": file, "line": str(case.line)}
            element = ET.SubElement(suite, "testcase", {**fields, "time": "0"})
            if case.message:
                failure = ET.SubElement(element, "failure", {"message": escape(case.message), "type": case.kind})
                failure.text = case.text
    ET.indent(root)
    # ASCII, so that no locale can spoil it
    content: bytes = ET.tostring(root, encoding="us-ascii", xml_declaration=True)
    return content.decode() + "\n"
