"""Where the commands start: outside of the package `policy`, which an unrelated distribution of that name overwrites.

PyPI's `policy` 1.0.0 has the same import package. Whichever is installed last replaces `policy/__init__.py`, and
uninstalling it removes that file.
"""

from __future__ import annotations

import gc
import sys

ALLOCATED = 50_000
"""How many objects are made before garbage is looked for.

Python's 700 are reached again and again while modules are loaded. Nothing of them is garbage, and looking costs more
than a tenth of what `policy run` does.
"""


def main() -> int:
    """Runs the command line, or says that the package is not ours.

    Returns:
        The exit code, as `policy.__main__.main` has it.
    """
    gc.set_threshold(ALLOCATED)
    try:
        import policy

        if "EnvironmentNotFound" in getattr(policy, "__all__", ()):
            from policy.__main__ import main as run

            return run()
    except ImportError:
        if _is_ours():
            raise
    sys.stderr.write(f"{_complaint()}\n")
    return 125 if sys.argv[1:2] in (["run"], ["once"]) else 2


def _is_ours() -> bool:
    """Whether the package that was found is this project's, so that something else is missing."""
    return "EnvironmentNotFound" in getattr(sys.modules.get("policy"), "__all__", ())


def _complaint() -> str:
    from importlib import metadata, util

    spec = util.find_spec("policy")
    places = list(spec.submodule_search_locations or ()) if spec else []
    try:
        found = f"the unrelated distribution `policy` {metadata.version('policy')} has overwritten it"
        first = "python -m pip uninstall policy && "
    except metadata.PackageNotFoundError:
        found, first = "another distribution has overwritten or removed its files", ""
    return (
        f"policy: error: the package in {', '.join(places) or 'sys.path'} is not lock-policy's: {found}; "
        f"run: {first}python -m pip install --force-reinstall --no-deps lock-policy"
    )
