from __future__ import annotations

import ast
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import made

if TYPE_CHECKING:
    from collections.abc import Iterator

# From the bottom up: a module imports only what stands before it, inside functions too. What only a type checker sees
# does not count.
ROOMS = (
    "policy",
    "policy.place",
    "policy.errors",
    "policy.printable",
    "policy.globs",
    "policy.scanner",
    "policy.documents",
    "policy.kinds",
    "policy.cache",
    "policy.kernel",
    "policy.mounts",
    "policy.interpreters",
    "policy.pyvenv",
    "policy.environment",
    "policy.request",
    "policy.uv",
    "policy.uv.names",
    "policy.writability",
    "policy.conditions",
    "policy.entailment",
    "policy.index",
    "policy.locations",
    "policy.rules",
    "policy.builtin",
    "policy.engine",
    "policy.chain",
    "policy.scenarios",
    "policy.sources",
    "policy.configuration",
    "policy.schema",
    "policy.compiled",
    "policy.loading",
    "policy.analysis",
    "policy.trials",
    "policy.holders",
    "policy.lockfiles",
    "policy.nesting",
    "policy.waiting",
    "policy.locks",
    "policy.holding",
    "policy.hints",
    "policy.api",
    "policy.uv.command",
    "policy.uv.release",
    "policy.uv.projects",
    "policy.uv.environment",
    "policy.uv.locks",
    "policy.uv.treatment",
    "policy.render",
    "policy.render.style",
    "policy.render.record",
    "policy.render.json",
    "policy.render.path",
    "policy.render.text",
    "policy.render.toml",
    "policy.render.effective",
    "policy.render.findings",
    "policy.render.trials",
    "policy.commands",
    "policy.commands.options",
    "policy.commands.reading",
    "policy.commands.files",
    "policy.commands.check",
    "policy.commands.child",
    "policy.commands.completions",
    "policy.commands.explain",
    "policy.commands.init",
    "policy.commands.locks",
    "policy.commands.run",
    "policy.commands.schema",
    "policy.commands.show",
    "policy.commands.test",
    "policy.__main__",
)

# What `policy run` and `policy.lock()` import before they hold a lock.
HOT = (
    "policy",
    "policy.errors",
    "policy.globs",
    "policy.kinds",
    "policy.cache",
    "policy.interpreters",
    "policy.pyvenv",
    "policy.environment",
    "policy.request",
    "policy.uv.names",
    "policy.writability",
    "policy.conditions",
    "policy.index",
    "policy.locations",
    "policy.builtin",
    "policy.engine",
    "policy.sources",
    "policy.compiled",
    "policy.loading",
    "policy.lockfiles",
    "policy.nesting",
    "policy.locks",
    "policy.holding",
    "policy.hints",
    "policy.api",
    "policy.uv.command",
    "policy.uv.release",
    "policy.uv.projects",
    "policy.uv.environment",
    "policy.uv.locks",
    "policy.uv.treatment",
    "policy.commands",
    "policy.commands.options",
    "policy.commands.reading",
    "policy.commands.run",
    "policy.__main__",
)

# -S in a new Python, for `site` runs whatever is installed beside us, such as the .pth file of an editable install.
ALONE = [sys.executable, "-I", "-S", "-c"]

# Each of these costs more than deciding: as much as a fifth of Python's own start, or several starts.
DEAR = {
    "argparse",
    "asyncio",
    "attr",
    "attrs",
    "collections",
    "contextlib",
    "dataclasses",
    "difflib",
    "enum",
    "filelock",
    "functools",
    "hashlib",
    "importlib.metadata",
    "inspect",
    "json",
    "logging",
    "packaging",
    "pathlib",
    "platformdirs",
    "re",
    "shutil",
    "subprocess",
    "tempfile",
    "threading",
    "tomli_w",
    "tomllib",
    "typing",
    "warnings",
}


def files() -> Iterator[tuple[str, Path]]:
    """Every module of the package and its file."""
    for path in sorted((made.CHECKOUT / "policy").rglob("*.py")):
        parts = path.relative_to(made.CHECKOUT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


FILES = dict(files())


def imports(node: ast.AST) -> Iterator[str]:
    """Everything that a module imports when it runs, inside functions too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from (name for other in child.orelse for name in imports(other))
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                name = f"{child.module}.{alias.name}"
                yield name if name in FILES else str(child.module)
        else:
            yield from imports(child)


def test_every_module_has_a_place() -> None:
    """Every module stands in the list once, and the list names no other."""
    assert sorted(ROOMS) == sorted(FILES)


@pytest.mark.parametrize("module", FILES)
def test_one_way(module: str) -> None:
    """Imports point one way only: a module imports what stands before it in the list."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    ours = [name for name in imports(tree) if name.partition(".")[0] == "policy"]
    assert [name for name in ours if ROOMS.index(name) >= ROOMS.index(module)] == []


@pytest.mark.parametrize("module", FILES)
def test_no_relative_imports(module: str) -> None:
    """Modules name each other in full, so that the tests above see every import."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]


@pytest.mark.parametrize("module", HOT)
def test_hot(module: str) -> None:
    """What `policy run` needs imports nothing that costs more than it, and nothing that does."""
    before, after = modules_after(module)
    assert after & DEAR - before == set()
    assert {name for name in after if name.startswith("policy")} <= set(HOT) | {"policy.uv"}


def modules_after(module: str) -> tuple[set[str], set[str]]:
    """What a new Python has imported before and after importing a module."""
    code = f"before = list(sys.modules)\nimport {module}\nprint(*before)\nprint(*sys.modules)"
    found = f"import sys\nsys.path[:0] = [{str(made.CHECKOUT)!r}]\n"
    seen = made.policy(environ={}, cwd=made.CHECKOUT, program=[*ALONE, found + code])
    assert seen.returncode == 0, seen.stderr
    before, after = seen.stdout.splitlines()
    return set(before.split()), set(after.split())


def test_package_costs_nothing() -> None:
    """`import policy` imports nothing else of ours, and nothing of others'."""
    before, after = modules_after("policy")
    assert after - before <= {"policy", "__future__"}


def test_no_dear_module_is_imported_by_a_hot_one() -> None:
    """At the top of a hot module stand only cheap modules of the standard library, and each other."""
    cheap = {
        "__future__",
        "_thread",
        "errno",
        "fcntl",
        "io",
        "marshal",
        "msvcrt",
        "os",
        "posixpath",
        "pwd",
        "stat",
        "sys",
        "time",
    }
    for module in HOT:
        tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                tops = {name.partition(".")[0] for name in imports(ast.Module([node], []))}
                assert tops <= cheap | {"policy"}, module


def test_windows_can_import() -> None:
    """Modules that Windows does not have are imported nowhere but behind a look at the platform, or in a function."""
    absent = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}
    for module, path in FILES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                assert not absent & set(imports(ast.Module([node], []))), module


def test_no_module_is_too_long() -> None:
    """Modules stay below about 500 lines; the glob language and its compiler are one subject."""
    allowed = {"policy.globs": 650, "policy.conditions": 540, "policy.scanner": 520}
    for module, path in FILES.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= allowed.get(module, 510), f"{module} has {lines} lines"


def test_tests_have_promises() -> None:
    """Every test says in its docstring what is promised."""
    silent = [
        f"{path.name}::{node.name}"
        for path in sorted(Path(os.path.dirname(__file__)).rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []
