"""`policy init`: a commented configuration file to start from."""

from __future__ import annotations

import os
import sys

from policy import files
from policy.commands.reading import Arguments, Parser
from policy.config.layers import FILE, PYPROJECT
from policy.errors import UsageError

SCHEMA = "lock-policy.schema.json"
MODE = 0o644  # a file that everyone can write is ignored

STARTER = """\
# Where the lock on a Python environment lives. Rules are tried in order; the first whose conditions all hold decides.
# Built-in rules follow: what cannot be written and a system interpreter are locked outside, other environments inside.
#
#   policy explain            which lock this environment gets, and why
#   policy check --strict     every fault in this file, and rules that look wrong
#   policy test               the tests at the end of this file

# Seconds to wait for a lock; absent: forever.
# timeout = 60

# A directory for the locks outside of environments; absent: /tmp. In a project's file: below the project.
# global-dir = "locks"

[[rules]]
name = "nix-store"
match.interpreter = "/nix/store/*"
lock = "global"  # "local": <environment>/.lock, which uv takes too; "global": outside; "both": one after the other
reason = "store paths are read-only"

# A pattern matches a path or any folder above it; ** crosses folders, and ~ is the home directory.
# [[rules]]
# name = "images"
# match.environment = ["/opt/**", "/app/**"]
# lock = "global"
# timeout = 600

# Conditions about the caller (env, user, operation, project) need lock = "both": a caller for whom they do not hold
# gets another rule's lock, and the two have to meet in one file.
# [[rules]]
# name = "ci"
# match = { env.CI = true, any = [{ filesystem = ["overlay", "tmpfs"] }, { not.writable = true }] }
# lock = "both"

[[tests]]
name = "a store path is locked outside of it"
given.interpreter = "/nix/store/0c3bd-env/bin/python"
expect = { lock = "global", rule = "nix-store" }

[[tests]]
name = "any other virtual environment is locked inside"
given.environment = "~/work/.venv"
expect.lock = "local"
"""


def for_pyproject() -> str:
    """The same as tables of pyproject.toml."""
    text = STARTER.replace("in this file", "in these tables").replace("of this file", "of these tables")
    text = text.replace("[[", "[[tool.lock-policy.")
    return text.replace("# Seconds to wait", "[tool.lock-policy]\n# Seconds to wait", 1)


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument("file", metavar="FILE", nargs="?", default=FILE, help=f"the file to write; default: {FILE}")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--schema", action="store_true", help=f"write {SCHEMA} beside it, too, for an editor that knows `#:schema`"
    )
    parser.add_argument(
        "--pyproject", action="store_true", help=f"print the same as tables for {PYPROJECT}, and write nothing"
    )


def main(arguments: Arguments) -> int:
    """Writes it.

    Raises:
        UsageError: When it cannot be written.
    """
    if arguments.pyproject and arguments.schema:
        raise UsageError("--schema is for a file of its own, not for --pyproject")
    if arguments.pyproject:
        sys.stdout.write(for_pyproject())
        return 0
    file = arguments.file
    if os.path.basename(file) == PYPROJECT:
        raise UsageError(f"{file}: `policy init --pyproject` prints tables that can be pasted there")
    text = f"#:schema ./{SCHEMA}\n\n{STARTER}" if arguments.schema else STARTER
    try:
        (_replace if arguments.force else files.create)(file, text.encode(), MODE)
        if arguments.schema:
            from policy.config.schema import as_text, file_schema

            # made by us, and to be made again for a newer release
            _replace(os.path.join(os.path.dirname(file), SCHEMA), as_text(file_schema()).encode(), MODE)
    except FileExistsError:
        raise UsageError(f"{file}: already exists; --force replaces it") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
    sys.stdout.write(f"{file} written; `policy check --strict` and `policy test` try it\n")
    return 0


def _replace(file: str, content: bytes, mode: int) -> None:
    """Puts a file in the place of another one, or of a link."""
    if os.path.isdir(file) and not os.path.islink(file):
        raise UsageError(f"{file}: is a directory; name a file in it")
    files.replace(file, content, mode)
