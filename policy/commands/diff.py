"""`policy diff`: which environments and callers get other locks under other rules."""

from __future__ import annotations

import os

from policy.commands import options
from policy.commands.reading import Arguments, Parser
from policy.config import layers
from policy.errors import UsageError

FINDING = 1
GIT = "git:"


def arguments(parser: Parser) -> None:
    """The options of the command."""
    from policy.render.differences import DIFFERENCE_FORMATS

    parser.add_argument("old", metavar="OLD", help="a file, git:REV for the file NEW as of a revision, or git:REV:FILE")
    parser.add_argument(
        "new", metavar="NEW", nargs="?", help="the same; default, with git:REV: the file here, else the project's own"
    )
    options.layer(
        parser, "read both as files of this layer; default: the layer that NEW's path belongs to, else project"
    )
    options.formats(parser, "text", *DIFFERENCE_FORMATS)
    options.color(parser)
    options.quiet(parser)


def main(arguments: Arguments) -> int:
    """Prints what differs; a difference in what is locked is a finding.

    Raises:
        UsageError: When a file or a revision is not there.
    """
    from policy.checks.diff import diff
    from policy.config.read import chain, read_file
    from policy.render import differences
    from policy.toml.shapes import gather

    path, given = _given(arguments)
    layer = layers.layer(arguments.layer) if arguments.layer else layers.standing_in(path, os.environ)
    # both are read as if they stood in NEW's place, so that relative paths mean the same
    old, new = gather(lambda one: read_file(layers.Source(layer, path, layers.named_table(one[2])), one[:2]), given)
    found = diff(chain([old]), chain([new]), os.path.dirname(path))
    options.show(arguments, found, differences.text, differences.DIFFERENCE_FORMATS)
    return FINDING if found.differs else 0


def _given(arguments: Arguments) -> tuple[str, list[tuple[str, bytes, str]]]:
    """Where NEW stands, and of both how it is shown, its bytes and its file."""
    old, new = arguments.old, arguments.new
    if new is None and not old.startswith(GIT):
        raise UsageError("name NEW too, or compare with a revision: policy diff git:REV")
    names = [_named(one) for one in (old, new or "")]
    file = names[1][1] or names[0][1] or _own()
    given = []
    for revision, name in names:
        path = name or file
        if revision:
            given.append((f"{GIT}{revision}:{path}", _at(revision, path, quiet=arguments.quiet), path))
        else:
            given.append((path, _content(path), path))
    return os.path.abspath(file), given


def _named(word: str) -> tuple[str, str]:
    """The revision and the file that a word names, "" where it names none."""
    if not word.startswith(GIT):
        return "", word
    revision, _, file = word.removeprefix(GIT).partition(":")
    if not revision:
        raise UsageError(f"{word}: write git:REV or git:REV:FILE")
    return revision, file


def _own() -> str:
    """The file of the project here."""
    cwd = os.getcwd()
    for source in layers.project(layers.Query(os.environ, cwd, cwd)):
        return os.path.relpath(source.path) if source.path.startswith(cwd + os.sep) else source.path
    raise UsageError("there is no project configuration file here; name NEW")


def _content(path: str) -> bytes:
    from policy.toml.document import read

    return read(path, limit=layers.size_limit(os.environ)).text.encode()


def _at(revision: str, path: str, *, quiet: bool) -> bytes:
    """A file as of a revision; nothing where it did not exist then."""
    folder, name = os.path.split(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise UsageError(f"{folder}: no such directory")
    if _git(folder, "rev-parse", "--git-dir") is None:
        raise UsageError(f"{folder}: git reads no repository here; `git -C {folder} status` says why")
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        raise UsageError(f"{revision}: no such revision of the repository around {folder}; fetch it, or name another")
    known = commit.decode().strip()
    if not _git(folder, "--literal-pathspecs", "ls-tree", known, "--", name):
        if not quiet:
            options.note(f"{path} does not exist in {revision}: the built-in rules decided alone")
        return b""
    content = _git(folder, "cat-file", "blob", f"{known}:./{name}")
    if content is None:
        raise UsageError(f"{path}: no file in {revision}")
    return content


def _git(folder: str, *words: str) -> bytes | None:
    """What git prints, None where it fails."""
    import subprocess

    try:
        done = subprocess.run(["git", "-C", folder, *words], capture_output=True, check=False)  # noqa: S607  (the git on PATH, as people call it)
    except FileNotFoundError:
        raise UsageError("git is not installed; compare two files instead") from None
    return None if done.returncode else done.stdout
