from __future__ import annotations

import ast
import io
import os
import re
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import factories

if TYPE_CHECKING:
    from collections.abc import Iterator

# From the ground up: what stands in one floor imports from the floors before it, and from its own.
FLOORS = (
    ("errors", "escape", "variables", "host", "files", "cache", "seahash", "version", "manual"),
    ("toml",),
    ("environment",),
    ("locks",),
    ("uv",),
    ("rules",),
    ("config",),
    ("checks",),
    ("acquire", "subject", "wrap", "api"),
    ("render",),
    ("commands",),
    ("__main__", "shim"),
)

PACKAGE = factories.CHECKOUT / "policy"
TESTS = factories.CHECKOUT / "tests"

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
    for path in sorted((factories.CHECKOUT / "policy").rglob("*.py")):
        parts = path.relative_to(factories.CHECKOUT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


FILES = dict(files())


def imports(node: ast.AST, *, typing: bool = False) -> Iterator[str]:
    """Everything that a module imports when it runs, inside functions too; what only a type checker sees if asked."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING" and not typing:
            yield from (name for other in child.orelse for name in imports(other))
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                name = f"{child.module}.{alias.name}"
                yield name if name in FILES else str(child.module)
        else:
            yield from imports(child, typing=typing)


def ours(module: str) -> set[str]:
    """Our modules that a module imports, those that only a type checker sees included."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    return {name for name in imports(tree, typing=True) if name.partition(".")[0] == "policy"} - {module}


def room(module: str) -> str:
    """The package below `policy` that holds a module, or the module itself where it stands in none."""
    return module.split(".")[1] if "." in module else ""


def floor(module: str) -> int:
    """How far from the ground a module stands."""
    found = [number for number, names in enumerate(FLOORS) if room(module) in names]
    assert found, f"{module}: put it into one of the packages, or add `{room(module)}` to FLOORS in {__file__}"
    return found[0]


@pytest.mark.parametrize("module", [module for module in FILES if module != "policy"])
def test_one_way(module: str) -> None:
    """A module imports from its own package and from those that stand before it."""
    for name in sorted(ours(module) - {"policy"}):
        assert floor(name) <= floor(module), (
            f"{module} imports {name}, which stands above it: `{room(name)}` may import `{room(module)}`, not the "
            f"other way round; move what both need down to `{room(module)}`, or hand it in as an argument"
        )


@pytest.mark.parametrize("package", sorted({room(module) for module in FILES} - {""}))
def test_no_circle(package: str) -> None:
    """No module of a package needs itself by way of others, in functions and in types either."""
    inside = {module for module in FILES if room(module) == package and module != f"policy.{package}"}
    needs = {module: ours(module) & inside for module in inside}
    while leaves := {module for module in needs if not needs[module]}:
        needs = {module: names - leaves for module, names in needs.items() if module not in leaves}
    assert needs == {}, (
        "these modules import each other in a circle, or need others that do: move what two of them share into a "
        "module that both import"
    )


@pytest.mark.parametrize("module", FILES)
def test_no_relative_imports(module: str) -> None:
    """Modules name each other in full, so that the tests above see every import."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]


def hot() -> set[str]:
    """Our modules that `policy run` and `policy.lock()` import before they hold a lock."""
    loaded: set[str] = set()
    for module in ("policy.commands.run", "policy.__main__", "policy.api"):
        before, after = modules_after(module)
        assert after & DEAR - before == set(), f"importing {module} costs too much"
        loaded |= {name for name in after if name in FILES}
    return loaded


def modules_after(module: str) -> tuple[set[str], set[str]]:
    """What a new Python has imported before and after importing a module."""
    code = f"before = list(sys.modules)\nimport {module}\nprint(*before)\nprint(*sys.modules)"
    found = f"import sys\nsys.path[:0] = [{str(factories.CHECKOUT)!r}]\n"
    seen = factories.policy(environ={}, cwd=factories.CHECKOUT, program=[*ALONE, found + code])
    assert seen.returncode == 0, seen.stderr
    before, after = seen.stdout.splitlines()
    return set(before.split()), set(after.split())


def test_package_costs_nothing() -> None:
    """`import policy` imports nothing else of ours, and nothing of others'."""
    before, after = modules_after("policy")
    assert after - before <= {"policy", "__future__"}


def test_no_dear_module_is_imported_by_a_hot_one() -> None:
    """At the top of what `policy run` imports stand only cheap modules of the standard library, and each other."""
    cheap = {
        "__future__",
        "_imp",
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
    for module in hot():
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
    """A module has at most 500 lines."""
    for module, path in FILES.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 500, f"{module} has {lines} lines: let a part of it be a module of its own"


def test_no_function_is_too_long() -> None:
    """A function, with its docstring, has at most 48 lines."""
    for module, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = int(node.end_lineno or 0) - node.lineno + 1
                assert lines <= 48, f"{module}.{node.name} has {lines} lines: let a part of it be a function of its own"


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


SUPPRESSION = re.compile(r"#\s*(?:noqa|type: *ignore|pyright: *ignore|pragma|fmt): ?[^\s(]*(?P<reason>.*)$")


def test_suppressions_have_reasons() -> None:
    """Whatever tells a tool to be silent says why on the same line, in parentheses or as a comment of its own."""
    silent = [
        f"{path.relative_to(factories.CHECKOUT)}:{token.start[0]}: {token.string}"
        for folder in ("policy", "tests", "benchmarks", "docs")
        for path in sorted((factories.CHECKOUT / folder).rglob("*.py"))
        for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
        if token.type == tokenize.COMMENT
        and (found := SUPPRESSION.search(token.string))
        and not re.search(r"\(.{3,}\)$|# .{3,}$", found["reason"])
    ]
    assert silent == [], "say why: `# noqa: CODE  (reason)`, `# type: ignore[code]  # reason`"


def test_every_module_has_its_tests() -> None:
    """A module with code has a test file of its name in the same folder of tests/."""
    missing = []
    for path in FILES.values():
        statements = ast.parse(path.read_text(encoding="utf-8")).body
        expected = TESTS / path.parent.relative_to(PACKAGE) / f"test_{path.stem.strip('_')}.py"
        if len(statements) > 1 and not expected.exists():
            missing.append(str(expected.relative_to(factories.CHECKOUT)))
    assert missing == [], "write them: a module whose tests nobody finds is a module without tests"
