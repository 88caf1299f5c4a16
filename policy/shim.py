"""What a shim does: finds the real program, and runs it under the lock where it may change an environment.

`policy shims` writes a script for each of TOOLS that calls `main`. What changes nothing is started as it is.
"""

from __future__ import annotations

import os
import sys

from policy.commands.tools import CHANGES, PASSES, RUNS, effect_of, real
from policy.variables import boolean, given

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SWITCH = "LOCK_POLICY_SHIMS"
NOT_FOUND, CANNOT_START = 127, 126


def main(name: str, *, hold_runs: bool = False) -> None:
    """Becomes the real program, under the lock or as it is.

    Args:
        name: The program's name.
        hold_runs: Whether `uv run` and similar commands hold the lock as readers, so that nothing is changed meanwhile.
    """
    words = sys.argv[1:]
    program = real(name, os.environ)
    if not program:
        _fail(f"{name}: command not found", NOT_FOUND)
    effect = CHANGES if boolean(os.environ.get(SWITCH, "")) is not False else PASSES
    if effect == CHANGES:
        effect = effect_of(name, words, os.environ, _here())
    if effect == CHANGES or (effect == RUNS and hold_runs):
        from policy.__main__ import main

        shared = ["--shared"] if effect == RUNS else []
        sys.exit(main(["run", "-q", *shared, "--", program, *words]))
    _become(program, words)


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # deleted: `policy run` says so, where it matters
        return os.sep


def _become(program: str, words: Sequence[str]) -> None:
    """Replaces this process by the real program, as the shell would have started it."""
    if sys.platform == "win32":
        import subprocess

        sys.exit(subprocess.call([program, *words]))  # exec would return to the shell at once
    import _signal as signal  # type: ignore[import-not-found]  # what `signal` wraps, without enum

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores these two
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execve(program, [program, *words], given(os.environ))
    except OSError as error:
        _fail(f"{program}: cannot be started: {error.strerror}", CANNOT_START)


def _fail(message: str, code: int) -> None:
    from policy.commands.options import complain

    complain(message)
    sys.exit(code)
