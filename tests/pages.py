"""The pages of the documentation, run: every command on a page is run, and its output is compared with the page.

`python -m tests.pages` writes what commands print now into the pages; `python -m tests.pages FILE ...` into some.

The commands of a page run in one bash, one after the other, in a new home directory. An HTML comment before a code
block says what is special about it:

- `<!-- file: PATH -->`: the block is written to that file before the next command runs.
- `<!-- not run: REASON -->`: the block is not run.
- `<!-- setup: COMMAND -->`, alone: a command that readers are not shown.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from attrs import field, frozen

from tests import real_uv

ROOT = Path(__file__).resolve().parent.parent
HOME = "/home/babbage"  # as long as what mkdtemp makes in /tmp, so that columns stay where they are
PYTHON = "/usr/bin/python3.13"
USER = ""
if sys.platform != "win32":
    import pwd

    USER = pwd.getpwuid(os.geteuid()).pw_name
SECONDS = 60
MARK = "\x1e"

_BLOCK = re.compile(
    r"(?:<!-- (?P<word>file|not run): (?P<value>[^\n]*?) -->\n+)?"
    r"^(?P<fence>```+)(?P<language>[a-z]+)[^\n]*\n(?P<text>.*?)^(?P=fence)$|<!-- setup: (?P<setup>.*?) -->",
    re.DOTALL | re.MULTILINE,
)
_COMMAND = re.compile(r"^\$ (.*(?:\n(?:> ).*)*)$", re.MULTILINE)


@frozen
class Step:
    """Something that a page does.

    Args:
        command: What bash runs; "" for a file.
        start: Where its output begins in the page; -1 where the page shows none.
        end: Where it ends.
        path: The file to write.
        text: The file's content.
    """

    command: str = ""
    start: int = -1
    end: int = -1
    path: str = ""
    text: str = ""


def pages() -> list[Path]:
    """Every page that is written by hand."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(
        page for page in found if _BLOCK.search(page.read_text(encoding="utf-8")) and "_build" not in str(page)
    )


def steps(text: str) -> list[Step]:
    """What a page does, in its order.

    Args:
        text: The page.
    """
    found = []
    for block in _BLOCK.finditer(text):
        if block["setup"]:
            found.append(Step(block["setup"]))
        elif block["word"] == "file":
            found.append(Step(path=block["value"], text=block["text"]))
        elif block["language"] == "console" and block["word"] != "not run":
            found += _commands(block)
    return found


def _commands(block: re.Match[str]) -> list[Step]:
    """The commands of one block, each with the place of its output."""
    offset, body = block.start("text"), block["text"]
    found = list(_COMMAND.finditer(body))
    ends = [*(one.start() for one in found[1:]), len(body)]
    return [
        Step(re.sub(r"\n> ?", "\n", one[1]), offset + one.end() + 1, offset + end)
        for one, end in zip(found, ends, strict=True)
    ]


@frozen
class Names:
    """Stable names for what differs from run to run.

    Args:
        home: The directory that the commands see as home.
    """

    home: str
    digests: dict[str, str] = field(factory=dict)
    pids: dict[str, str] = field(factory=dict)

    def normal(self, output: str) -> str:
        """Output as a page has it.

        Args:
            output: What a command printed.
        """
        for real, shown in ((self.home, HOME), (os.path.realpath(sys.executable), PYTHON)):
            output = output.replace(real, shown)
        output = re.sub(rf"(?<=\(){re.escape(USER)}(?=,)|(?<=\"user\": \"){re.escape(USER)}(?=\")", "babbage", output)
        output = re.sub(r"(?<=-)[0-9a-f]{16}(?=\.lock)", self._digest, output)
        output = re.sub(r"(?<=\bpid )\d+|(?<=\"pid\": )\d+", self._pid, output)
        output = re.sub(r"(\d{4}-\d\d-\d\d[ T])\d\d:\d\d:\d\d(\.\d+)?", "2026-01-31T12:00:00", output)
        output = re.sub(r"(?<=since )\d\d:\d\d:\d\d", "12:00:00", output)
        return re.sub(r"[ \t]+$", "", output, flags=re.MULTILINE)

    def _digest(self, found: re.Match[str]) -> str:
        fake = hashlib.sha256(str(len(self.digests)).encode()).hexdigest()[:16]
        return self.digests.setdefault(found[0], fake)

    def _pid(self, found: re.Match[str]) -> str:
        return self.pids.setdefault(found[0], str(4711 + len(self.pids)))


def fresh(page: Path, *, uv: Callable[[], Path] = real_uv.installed) -> str:
    """A page with what its commands print now.

    Args:
        page: The file.
        uv: Finds the uv that the page uses, if it uses one.
    """
    text = page.read_text(encoding="utf-8")
    todo = steps(text)
    if not any(step.command for step in todo):
        return text
    home = tempfile.mkdtemp(prefix="", dir="/tmp")
    try:
        outputs = _run(todo, home, uv() if re.search(r"\buvx?\b", "\n".join(step.command for step in todo)) else None)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    for step, output in reversed(list(zip(todo, outputs, strict=True))):
        if step.start >= 0:
            text = text[: step.start] + output + text[step.end :]
    return text


def _run(todo: list[Step], home: str, uv: Path | None) -> list[str]:
    """What each step prints; nothing for a file."""
    binaries = Path(home, ".local", "bin")
    binaries.mkdir(parents=True)
    for name, words in (("policy", f"{sys.executable} -m policy"), ("python", sys.executable)):
        (binaries / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        (binaries / name).chmod(0o755)
    if uv:
        (binaries / "uv").symlink_to(uv)
    wheels = real_uv.wheel(Path(home, ".local", "wheels"), "iniconfig", "2.0.0").parent  # pages name a real package
    environ = real_uv.clean_environ(
        f"{home}/.local/state",
        HOME=home,
        USER=USER,
        PATH=f"{binaries}:/usr/local/bin:/usr/bin:/bin",
        PYTHONPATH=str(ROOT),
        PYTHONDONTWRITEBYTECODE="1",
        XDG_CONFIG_HOME=f"{home}/.config",
        UV_FIND_LINKS=str(wheels),
        TERM="dumb",
    )
    script = "exec 2>&1\nset +m\n" + "".join(map(_line, todo)) + "wait\n"
    done = subprocess.run(
        ["bash", "-c", script], env=environ, cwd=home, stdout=subprocess.PIPE, text=True, check=False, timeout=SECONDS
    )
    outputs = done.stdout.split(MARK)[1:]
    assert len(outputs) == len(todo), f"bash ended after {len(outputs)} of {len(todo)} steps: {done.stdout[-2000:]}"
    names = Names(home)
    return [names.normal(output) for output in outputs]


def _line(step: Step) -> str:
    """A step for bash, behind a mark that parts the outputs; `$?` stays what the command before left."""
    mark = "_code=$?; printf '\\036'; (exit $_code)\n"
    if step.command:
        return f"{mark}{step.command}\n"
    end = "END-OF-FILE"
    return f"{mark}mkdir -p \"$(dirname {step.path})\"; cat > {step.path} <<'{end}'\n{step.text}{end}\n"


def main(arguments: list[str]) -> None:
    """Writes what commands print now.

    Args:
        arguments: Files; without any all pages.
    """
    for page in [Path(one).resolve() for one in arguments] or pages():
        text = fresh(page)
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{page.relative_to(ROOT)} written\n")


if __name__ == "__main__":
    main(sys.argv[1:])
