from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from policy.environment import discovery, externally_managed, interpreter, pyvenv
from policy.environment.discovery import JUST_NOW, Environment, find
from policy.environment.identity import real_folder
from policy.errors import EnvironmentNotFound
from policy.uv import names
from tests import factories, real_uv, requirements
from tests.environment.installations import BASE, PYTHON_LIBRARY, prefix, virtualenv
from tests.real_uv import every_uv  # noqa: F401  (a fixture)

if sys.platform == "win32":
    pytest.skip("environments made by hand in the POSIX layout", allow_module_level=True)

REMEDY = "; name an interpreter or the root of an environment"
NEW = " (./no-such-python for one that does not exist yet)"


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """This process remembers no interpreter of the tests before."""
    interpreter._told.clear()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Nothing that names an environment, and a PATH without Python."""
    (tmp_path / "empty").mkdir()
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path), "PATH": str(tmp_path / "empty")}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The working directory, and a way below it."""
    folder = tmp_path / "work" / "deep" / "er"
    folder.mkdir(parents=True)
    return folder.parent.parent


def script(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def seen(found: Environment) -> tuple[str, str, str, str, str]:
    return found.interpreter, found.root, found.kind, found.base_interpreter, found.found_by


def refusal(named: str | None, environ: dict[str, str], cwd: Path | str = "/", **options: str) -> str:
    with pytest.raises(EnvironmentNotFound) as caught:
        find(named, environ=environ, cwd=str(cwd), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- What was named -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["", "bin/python", "bin/python3"])
def test_a_virtual_environment(tmp_path: Path, environ: dict[str, str], part: str) -> None:
    """A root, and each interpreter in it as spelled, are the same environment."""
    root = virtualenv(tmp_path / "v")
    found = find(os.path.join(root, part), environ=environ, cwd="/")
    assert seen(found) == (f"{root}/{part or 'bin/python'}", root, "virtualenv", BASE, "argument")


def test_a_virtual_environment_is_read_without_starting_python(tmp_path: Path, environ: dict[str, str]) -> None:
    """An environment whose interpreter cannot even run is found by its pyvenv.cfg."""
    root = virtualenv(tmp_path / "v")
    python = tmp_path / "v" / "bin" / "python"
    python.unlink()
    python.write_bytes(b"\x7fELF Py_BytesMain")
    python.chmod(0o755)
    assert find(root, environ=environ, cwd="/").root == root
    assert not (tmp_path / "cache").exists()


def test_a_system_interpreter(environ: dict[str, str]) -> None:
    """What is no virtual environment is asked, and its root is `sys.prefix`."""
    found = find(BASE, environ=environ, cwd="/")
    expected = subprocess.check_output([BASE, "-I", "-c", "import sys; print(sys.prefix)"], text=True).strip()
    assert seen(found) == (BASE, expected, "system", BASE, "argument")
    assert found.stdlib == os.path.dirname(os.__file__)


def test_the_prefix_of_a_system_interpreter(tmp_path: Path, environ: dict[str, str]) -> None:
    """A directory with bin/python that is neither virtual nor conda's is asked too."""
    root = prefix(tmp_path / "prefix")
    found = find(root, environ=environ, cwd="/")
    assert seen(found) == (f"{root}/bin/python", root, "system", f"{root}/bin/{PYTHON_LIBRARY}", "argument")


def test_a_prefix_with_python3_only(tmp_path: Path, environ: dict[str, str]) -> None:
    """Where there is no bin/python, as in /usr of Debian, bin/python3 is meant."""
    root = prefix(tmp_path / "prefix")
    (tmp_path / "prefix" / "bin" / "python").unlink()
    assert find(root, environ=environ, cwd="/").interpreter == f"{root}/bin/python3"


def test_a_link_to_an_environments_interpreter_is_not_in_the_environment(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """Python looks for pyvenv.cfg beside the link as spelled, so elsewhere it is a system interpreter, to uv too."""
    root = virtualenv(tmp_path / "v")
    link = tmp_path / "python"
    link.symlink_to(f"{root}/bin/python")
    found = find(str(link), environ=environ, cwd="/")
    assert (found.interpreter, found.kind, found.base_interpreter) == (str(link), "system", BASE)


def test_an_environment_under_a_linked_name_keeps_its_spelling(tmp_path: Path, environ: dict[str, str]) -> None:
    """Links on the way to a root are not resolved."""
    virtualenv(tmp_path / "v")
    (tmp_path / "link").symlink_to("v")
    found = find(str(tmp_path / "link"), environ=environ, cwd="/")
    assert (found.interpreter, found.root) == (f"{tmp_path}/link/bin/python", f"{tmp_path}/link")


@pytest.mark.parametrize(
    "spelled", ["v", "./v", "v/", "../{here}/v", "v/bin/..", "v//", "v/bin/python", "./v//bin/../bin/python"]
)
def test_relative_and_untidy_spellings(tmp_path: Path, environ: dict[str, str], spelled: str) -> None:
    """A path is taken from the working directory; `..` and `//` are resolved."""
    root = virtualenv(tmp_path / "v")
    found = find(spelled.format(here=tmp_path.name), environ=environ, cwd=str(tmp_path))
    assert (found.interpreter, found.root) == (f"{root}/bin/python", root)


def test_dots_behind_a_link_mean_what_the_kernel_means(tmp_path: Path, environ: dict[str, str]) -> None:
    """`link/..` is the folder above the link's target, so it is kept where its spelling would lead elsewhere."""
    virtualenv(tmp_path / "far" / "v")
    (tmp_path / "far" / "inside").mkdir()
    (tmp_path / "link").symlink_to("far/inside")
    found = find("link/../v", environ=environ, cwd=str(tmp_path))
    assert found.kind == "virtualenv"
    assert os.path.samefile(found.root, tmp_path / "far" / "v")


def test_a_command_on_path(tmp_path: Path, environ: dict[str, str], work: Path) -> None:
    """A bare name that is no file here is the first command of that name on PATH."""
    root = virtualenv(tmp_path / "v")
    (tmp_path / "v" / "bin" / "python3.77").symlink_to("python")
    environ["PATH"] += f":relative::{root}/bin"
    found = find("python3.77", environ=environ, cwd=str(work))
    assert seen(found) == (f"{root}/bin/python3.77", root, "virtualenv", BASE, "argument")
    found = find(None, python="python3.77", environ=environ, cwd=str(work))
    assert found.found_by == "--python"
    virtualenv(work / "python3.77")
    assert find("python3.77", environ=environ, cwd=str(work)).root == str(work / "python3.77")


def test_path_names_no_folder_of_the_checkout(environ: dict[str, str], work: Path) -> None:
    """An empty or relative entry of PATH would execute what a checkout holds, and is passed over."""
    marker = work / "executed"
    for folder in (work, work / "bin"):
        script(folder / "python3", f"touch {shlex.quote(str(marker))}")
    environ["PATH"] = f":.:bin:{environ['PATH']}"
    assert "no Python environment found" in refusal(None, environ, work)
    assert not marker.exists()


def test_how_it_shows_itself(tmp_path: Path, environ: dict[str, str]) -> None:
    """An environment says what it is made of."""
    root = virtualenv(tmp_path / "v")
    assert repr(find(root, environ=environ, cwd="/")) == (
        f"Environment(interpreter='{root}/bin/python', root='{root}', kind='virtualenv', base_interpreter={BASE!r}, "
        "found_by='argument')"
    )


# --- Launchers ------------------------------------------------------------------------------------------------------


def test_a_wrapper_outside(tmp_path: Path, environ: dict[str, str]) -> None:
    """A script that starts another Python is that Python, as for uv, which takes `sys.executable`."""
    root = prefix(tmp_path / "prefix")
    wrapper = script(tmp_path / "wrapper", f'exec {shlex.quote(root)}/bin/python3 "$@"')
    found = find(wrapper, environ=environ, cwd="/")
    assert (found.interpreter, found.root, found.kind) == (f"{root}/bin/python3", root, "system")


@pytest.mark.parametrize("part", ["", "bin/python"])
def test_a_wrapper_in_an_environment_that_leads_out_of_it(tmp_path: Path, environ: dict[str, str], part: str) -> None:
    """What the wrapper reports counts, not the pyvenv.cfg beside it."""
    root = virtualenv(tmp_path / "v")
    (tmp_path / "v" / "bin" / "python").unlink()
    script(tmp_path / "v" / "bin" / "python", f'exec {shlex.quote(BASE)} "$@"')
    found = find(os.path.join(root, part), environ=environ, cwd="/")
    assert (found.interpreter, found.kind) == (BASE, "system")


def test_a_wrapper_that_keeps_its_name(tmp_path: Path, environ: dict[str, str]) -> None:
    """A wrapper that hands its own name on is in its environment."""
    bash = shutil.which("bash")
    requirements.need(bash is not None, "needs bash for `exec -a`")
    root = virtualenv(tmp_path / "v")
    (tmp_path / "v" / "bin" / "python").unlink()
    wrapper = script(tmp_path / "v" / "bin" / "python", "")
    Path(wrapper).write_text(f'#!{bash}\nexec -a "$0" {shlex.quote(BASE)} "$@"\n')
    found = find(root, environ=environ, cwd="/")
    assert (found.interpreter, found.root, found.kind) == (wrapper, root, "virtualenv")


def compiled(path: Path, target: str, **variables: str) -> str:
    """A wrapper as Nix's makeBinaryWrapper makes it: a small binary that sets variables and executes another one."""
    compiler = shutil.which("cc")
    requirements.need(compiler is not None, "needs a C compiler")
    path.parent.mkdir(parents=True, exist_ok=True)
    sets = "".join(f'setenv("{name}", "{value}", 1);' for name, value in variables.items())
    source = path.with_suffix(".c")
    source.write_text(
        f'#include <stdlib.h>\n#include <unistd.h>\nint main(int c, char **v) {{ {sets} v[0] = "{target}"; '
        f'return execv("{target}", v); }}\n'
    )
    subprocess.run([str(compiler), "-O1", "-o", path, source], check=True)
    return str(path)


def is_launcher(path: str) -> bool:
    """Whether what stands at a path is taken for a launcher."""
    return discovery._is_launcher(path, os.stat(path))


def test_a_compiled_wrapper_in_an_environment(tmp_path: Path, environ: dict[str, str]) -> None:
    """A small binary that executes another program is known for a launcher, and a real interpreter is not."""
    root = virtualenv(tmp_path / "v")
    assert not is_launcher(f"{root}/bin/python")
    (tmp_path / "v" / "bin" / "python").unlink()
    wrapper = compiled(tmp_path / "v" / "bin" / "python", BASE)
    assert is_launcher(wrapper)
    found = find(wrapper, environ=environ, cwd="/")
    assert (found.interpreter, found.kind) == (BASE, "system")


# nixpkgs' sitecustomize.py, reduced to what it does to sys.
NIX_SITECUSTOMIZE = """\
import os, sys
executable, prefix = os.environ.pop("NIX_PYTHONEXECUTABLE", None), os.environ.pop("NIX_PYTHONPREFIX", None)
if executable is not None:
    sys.executable = executable
if prefix is not None:
    sys.prefix = sys.exec_prefix = prefix
"""


def nix_environment(tmp_path: Path) -> tuple[str, str]:
    """A Python in a store and a `python3.withPackages` around it: a wrapper that tells Python another prefix."""
    store = prefix(tmp_path / "store" / "aaaa-python3")
    (tmp_path / "store" / "aaaa-python3" / "lib" / PYTHON_LIBRARY / "sitecustomize.py").write_text(NIX_SITECUSTOMIZE)
    root = tmp_path / "store" / "bbbb-python3-env"
    (root / "lib" / PYTHON_LIBRARY / "site-packages").mkdir(parents=True)
    python = str(root / "bin" / "python")
    compiled(root / "bin" / "python", f"{store}/bin/python", NIX_PYTHONEXECUTABLE=python, NIX_PYTHONPREFIX=str(root))
    return store, str(root)


@pytest.mark.parametrize("part", ["", "bin/python"])
def test_an_environment_of_nix(tmp_path: Path, environ: dict[str, str], part: str) -> None:
    """Nix's environments have no pyvenv.cfg but report their own prefix, which uv locks, so they are virtual."""
    store, root = nix_environment(tmp_path)
    found = find(os.path.join(root, part), environ=environ, cwd="/")
    assert seen(found) == (f"{root}/bin/python", root, "virtualenv", f"{store}/bin/{PYTHON_LIBRARY}", "argument")


# --- Conda, PyPy, trees of links ------------------------------------------------------------------------------------


def test_a_conda_root_is_not_executed(tmp_path: Path, environ: dict[str, str]) -> None:
    """conda-meta says enough: the root is the prefix, and it is a system interpreter to Python and to uv."""
    root = tmp_path / "conda"
    (root / "bin").mkdir(parents=True)
    (root / "conda-meta").mkdir()
    (root / "bin" / "python3.12").write_bytes(b"\x7fELF Py_BytesMain")
    (root / "bin" / "python3.12").chmod(0o755)
    (root / "bin" / "python").symlink_to("python3.12")
    expected = (f"{root}/bin/python", str(root), "system", f"{root}/bin/python3.12")
    assert seen(find(str(root), environ=environ, cwd="/")) == (*expected, "argument")
    environ["CONDA_PREFIX"] = str(root)
    assert seen(find(environ=environ, cwd="/")) == (*expected, "CONDA_PREFIX")


def test_a_conda_interpreter(tmp_path: Path, environ: dict[str, str]) -> None:
    """The interpreter of a real conda-like prefix says the same as its root."""
    root = prefix(tmp_path / "conda", conda=True)
    asked = find(f"{root}/bin/python", environ=environ, cwd="/")
    assert seen(asked) == seen(find(root, environ=environ, cwd="/"))


def test_conda_without_python_is_passed_over(tmp_path: Path, environ: dict[str, str], work: Path) -> None:
    """An active conda environment that holds no Python names nothing."""
    (tmp_path / "conda" / "conda-meta").mkdir(parents=True)
    environ["CONDA_PREFIX"] = str(tmp_path / "conda")
    root = virtualenv(work / ".venv")
    assert find(environ=environ, cwd=str(work)).root == root


def test_pypy(tmp_path: Path, environ: dict[str, str]) -> None:
    """An environment of PyPy, whose library is called otherwise, is one by its pyvenv.cfg."""
    base = tmp_path / "pypy" / "bin"
    base.mkdir(parents=True)
    (base / "pypy3").touch(0o755)
    root = virtualenv(
        tmp_path / "v", base=str(base / "pypy3"), configuration=f"home = {base}\nversion_info = 3.10.14\n"
    )
    (tmp_path / "v" / "lib" / "pypy3.10").mkdir()
    found = find(root, environ=environ, cwd="/")
    assert (found.kind, found.base_interpreter) == ("virtualenv", str(base / "pypy3"))
    assert externally_managed.externally_managed(found) is None
    (tmp_path / "v" / "lib" / "pypy3.10" / "EXTERNALLY-MANAGED").touch()
    assert externally_managed.externally_managed(found) == f"{root}/lib/pypy3.10/EXTERNALLY-MANAGED"


def test_a_tree_of_links(tmp_path: Path, environ: dict[str, str]) -> None:
    """An environment of which each file is a link, as Nix's buildEnv makes it, is an environment of its own."""
    real = Path(virtualenv(tmp_path / "store" / "v"))
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    for part in ("pyvenv.cfg", "bin/python", "lib"):
        (tree / part).symlink_to(real / part)
    found = find(str(tree / "bin" / "python"), environ=environ, cwd="/")
    assert seen(found) == (f"{tree}/bin/python", str(tree), "virtualenv", BASE, "argument")


# --- pyvenv.cfg -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"\xef\xbb\xbfhome = /b\r\n", b"home = /nowhere\n", b"home = relative\n", b"\xff\xfe\x00", b"no keys"]
)
def test_an_odd_pyvenv_cfg_makes_an_environment_all_the_same(
    tmp_path: Path, environ: dict[str, str], data: bytes
) -> None:
    """Whatever the file says, uv locks the root, and the base is what the link leads to."""
    root = virtualenv(tmp_path / "v")
    (tmp_path / "v" / "pyvenv.cfg").write_bytes(data)
    assert seen(find(root, environ=environ, cwd="/")) == (f"{root}/bin/python", root, "virtualenv", BASE, "argument")


def test_a_root_with_a_broken_interpreter(tmp_path: Path, environ: dict[str, str]) -> None:
    """A root whose bin/python leads nowhere, or is missing, is an environment, and its base what pyvenv.cfg says."""
    root = virtualenv(tmp_path / "v", base="/nowhere/python3.9", configuration=f"executable = {BASE}\n")
    for _ in range(2):
        found = find(root, environ=environ, cwd="/")
        assert seen(found) == (f"{root}/bin/python", root, "virtualenv", BASE, "argument")
        (tmp_path / "v" / "bin" / "python").unlink(missing_ok=True)


@pytest.mark.parametrize("part", ["", "/bin/python"])
def test_what_is_no_regular_pyvenv_cfg(tmp_path: Path, environ: dict[str, str], part: str) -> None:
    """A FIFO, on which Python would hang, a directory, a device or a file above 64 KiB is refused and never read."""
    root = virtualenv(tmp_path / "v")
    path = tmp_path / "v" / "pyvenv.cfg"
    path.write_text("home = /b\n".ljust(64 * 1024 + 1))
    assert refusal(root + part, environ) == f"{path}: larger than 64 KiB{REMEDY}"
    path.unlink()
    os.mkfifo(path)
    assert refusal(root + part, environ) == f"{path}: not a regular file{REMEDY}"
    path.unlink()
    path.mkdir()
    assert refusal(root + part, environ) == f"{path}: not a regular file{REMEDY}"
    path.rmdir()
    path.symlink_to("/dev/zero")
    assert refusal(root + part, environ) == f"{path}: not a regular file{REMEDY}"


# --- What was found -------------------------------------------------------------------------------------------------


def test_the_order(tmp_path: Path, environ: dict[str, str], work: Path) -> None:
    """The first of argument, --python, UV_PYTHON, VIRTUAL_ENV, CONDA_PREFIX, .venv and PATH counts, and is named."""
    roots = {name: virtualenv(tmp_path / name) for name in ("a", "p", "u", "v", "path")}
    roots["near"] = virtualenv(work / ".venv")
    conda = tmp_path / "c"
    (conda / "bin").mkdir(parents=True)
    (conda / "conda-meta").mkdir()
    (conda / "bin" / "python").symlink_to(BASE)
    environ |= {
        "UV_PYTHON": roots["u"],
        "VIRTUAL_ENV": roots["v"],
        "CONDA_PREFIX": str(conda),
        "PATH": f"{roots['path']}/bin",
    }
    cwd = str(work / "deep" / "er")
    order = [
        ("argument", roots["a"]),
        ("--python", roots["p"]),
        ("UV_PYTHON", roots["u"]),
        ("VIRTUAL_ENV", roots["v"]),
        ("CONDA_PREFIX", str(conda)),
        (".venv", roots["near"]),
        ("PATH", roots["path"]),
    ]
    named: str | None = roots["a"]
    python: str | None = roots["p"]
    for found_by, root in order:
        found = find(named, python=python, environ=environ, cwd=cwd)
        assert (found.found_by, found.root) == (found_by, root)
        if found_by == "argument":
            named = None
        elif found_by == "--python":
            python = None
        elif found_by == ".venv":
            shutil.rmtree(root)
        elif found_by in environ and found_by != "PATH":
            environ[found_by] = ""  # as good as not set
    environ["PATH"] = ""
    assert refusal(None, environ, cwd) == (
        f"no Python environment found: none is active, there is no .venv in {cwd} or above it, and no "
        f"python3 on PATH{REMEDY}"
    )


def test_the_nearest_venv_counts(environ: dict[str, str], work: Path) -> None:
    """Of several `.venv` on the way up the first is taken; one without pyvenv.cfg, or a file of that name, is none."""
    outer = virtualenv(work / ".venv")
    (work / "deep" / ".venv" / "bin").mkdir(parents=True)
    (work / "deep" / "er" / ".venv").write_text("a file")
    assert find(environ=environ, cwd=str(work / "deep" / "er")).root == outer
    (work / "deep" / ".venv" / "pyvenv.cfg").touch()
    assert find(environ=environ, cwd=str(work / "deep" / "er")).root == str(work / "deep" / ".venv")


def test_working_directory_inside_an_environment(environ: dict[str, str], work: Path) -> None:
    """As for uv, a working directory in an environment needs no `.venv` above it."""
    root = virtualenv(work / "deep")
    found = find(environ=environ, cwd=str(work / "deep" / "lib"))
    assert (found.root, found.found_by) == (root, ".venv")


@pytest.mark.parametrize("request_", [None, "3.11", ">=3.9", "pypy"])
@pytest.mark.parametrize("configuration", ["home = /b\nversion = 3.11.2\n", "", None], ids=["plain", "empty", "fifo"])
def test_nothing_that_was_merely_found_is_executed(
    environ: dict[str, str], work: Path, configuration: str | None, request_: str | None
) -> None:
    """A `.venv` of a checkout may hold any program as its interpreter: it never runs."""
    virtualenv(work / ".venv", configuration=configuration)
    if configuration is None:
        (work / ".venv" / "pyvenv.cfg").unlink()
        os.mkfifo(work / ".venv" / "pyvenv.cfg")
    marker = work / "executed"
    for name in ("python", "python3"):
        (work / ".venv" / "bin" / name).unlink()
        script(work / ".venv" / "bin" / name, f"touch {shlex.quote(str(marker))}")
    if request_ is not None:
        environ["UV_PYTHON"] = request_
    try:
        found = find(environ=environ, cwd=str(work / "deep"))
        assert found.found_by == ".venv"
        assert found.base_interpreter
        externally_managed.externally_managed(found)
    except EnvironmentNotFound:
        pass
    assert not marker.exists()


def test_condas_base_environment_comes_after_a_venv(tmp_path: Path, environ: dict[str, str], work: Path) -> None:
    """Conda activates its base environment by itself, so uv, and we, prefer a `.venv` to it."""
    conda = tmp_path / "conda"
    (conda / "bin").mkdir(parents=True)
    (conda / "conda-meta").mkdir()
    (conda / "bin" / "python").symlink_to(BASE)
    environ |= {"CONDA_PREFIX": str(conda), "CONDA_DEFAULT_ENV": "base"}
    assert find(environ=environ, cwd=str(work)).found_by == "CONDA_PREFIX"
    root = virtualenv(work / ".venv")
    assert find(environ=environ, cwd=str(work)).root == root
    environ["CONDA_DEFAULT_ENV"] = "conda"
    assert find(environ=environ, cwd=str(work)).root == str(conda)


def test_a_version_in_uv_python(tmp_path: Path, environ: dict[str, str], work: Path) -> None:
    """As for uv, what is active or near counts if it is of the version asked for, else the command on PATH."""
    near = virtualenv(work / ".venv")
    active = virtualenv(tmp_path / "v", configuration=f"home = {os.path.dirname(BASE)}\nversion_info = 3.12.1\n")
    environ |= {"VIRTUAL_ENV": active, "UV_PYTHON": "3.11"}
    assert find(environ=environ, cwd=str(work)).root == near
    environ["UV_PYTHON"] = ">=3.12,<3.13"
    assert find(environ=environ, cwd=str(work)).root == active
    environ["UV_PYTHON"] = "cpython-3.77"
    assert refusal(None, environ, work) == (
        f"UV_PYTHON: cpython-3.77: no such Python is active, near or on PATH{REMEDY}, or unset UV_PYTHON"
    )
    other = virtualenv(tmp_path / "w", configuration="version = 3.77.0\n")
    (tmp_path / "w" / "bin" / "python3.77").symlink_to("python")
    environ["PATH"] = f"{other}/bin"
    found = find(environ=environ, cwd=str(work))
    assert (found.interpreter, found.found_by) == (f"{other}/bin/python3.77", "PATH")


def test_a_version_by_name(tmp_path: Path, environ: dict[str, str], work: Path) -> None:
    """A version as an argument is that version on PATH, and interpreters that are not virtual are asked for theirs."""
    root = prefix(tmp_path / "prefix")
    environ["PATH"] += f":{root}/bin"
    version = PYTHON_LIBRARY.removeprefix("python")
    for request_, name in ((version, PYTHON_LIBRARY), (">=3.9", "python3")):
        found = find(request_, environ=environ, cwd=str(work))
        assert (found.interpreter, found.found_by) == (f"{root}/bin/{name}", "argument")
        found = find(environ={**environ, "UV_PYTHON": request_}, cwd=str(work))
        assert (found.interpreter, found.found_by) == (f"{root}/bin/{name}", "PATH")
    assert refusal(">=4", environ) == f">=4: no such Python is active, near or on PATH{REMEDY}"


def test_a_shim_that_has_no_interpreter_is_passed_over(tmp_path: Path, environ: dict[str, str]) -> None:
    """A shim of pyenv that has nothing to start does not hide an interpreter further on in PATH."""
    script(tmp_path / "shims" / "python3", "echo 'pyenv: python3: command not found' >&2; exit 127")
    environ["PATH"] = str(tmp_path / "shims")
    shim = tmp_path / "shims" / "python3"
    assert refusal(None, environ) == (
        f"{shim}: not a Python interpreter: pyenv: python3: command not found; name another one"
    )
    root = virtualenv(tmp_path / "v")
    environ["PATH"] += f":{root}/bin"
    assert find(environ=environ, cwd="/").root == root


# --- --target and --prefix ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["target", "prefix"])
@pytest.mark.parametrize("spelled", ["lib", "./lib/", "../{here}/lib", "{there}/lib", "{there}//x/../lib"])
def test_target_and_prefix(tmp_path: Path, environ: dict[str, str], kind: str, spelled: str) -> None:
    """The directory is the root, absolute and normal, and need not exist; the interpreter is found as without it."""
    root = virtualenv(tmp_path / "v")
    directory = spelled.format(here=tmp_path.name, there=tmp_path)
    found = find(root, environ=environ, cwd=str(tmp_path), **{kind: directory})
    assert seen(found) == (f"{root}/bin/python", f"{tmp_path}/lib", kind, BASE, f"--{kind}")
    assert externally_managed.externally_managed(found) is None


def test_a_linked_target_is_not_resolved(tmp_path: Path, environ: dict[str, str]) -> None:
    """The spelling of `--target` is kept."""
    root = virtualenv(tmp_path / "v")
    (tmp_path / "link").symlink_to(tmp_path)
    assert find(root, target="link/x", environ=environ, cwd=str(tmp_path)).root == f"{tmp_path}/link/x"


def test_an_empty_target(tmp_path: Path, environ: dict[str, str]) -> None:
    """An empty path is an error, not the working directory."""
    assert refusal(virtualenv(tmp_path / "v"), environ, target="") == "--target: an empty path; name a directory"


def test_a_target_that_is_a_file(tmp_path: Path, environ: dict[str, str]) -> None:
    """A file cannot be installed into: it is said what was named."""
    file = tmp_path / "file"
    file.touch()
    assert (
        refusal(virtualenv(tmp_path / "v"), environ, target=str(file))
        == f"--target: {file} is a file; name a directory"
    )


# --- Wrong input ----------------------------------------------------------------------------------------------------


def test_a_missing_interpreter(tmp_path: Path, environ: dict[str, str]) -> None:
    """A path that does not exist in a directory that is something else is reported as missing."""
    path = tmp_path / "bin" / "python"
    (tmp_path / "pyproject.toml").touch()
    assert refusal(str(path), environ) == f"{path}: no such file or directory{REMEDY}"


@pytest.mark.parametrize("part", ["", "bin/python", "bin/python3.12"])
@pytest.mark.parametrize("made", [(), ("new",), ("new/bin", "new/lib")])
def test_an_environment_that_does_not_exist_yet(
    tmp_path: Path, environ: dict[str, str], part: str, made: tuple[str, ...]
) -> None:
    """A root that is named may be missing, empty or half made; it is the same environment when it has been made."""
    for folder in made:
        (tmp_path / folder).mkdir(parents=True)
    root = str(tmp_path / "new")
    for found in (
        find(os.path.join(root, part), environ=environ, cwd="/"),
        find(python=os.path.join("new", part), environ=environ, cwd=str(tmp_path)),
    ):
        assert (found.root, found.kind, found.exists) == (root, "virtualenv", False)
    virtualenv(tmp_path / "new") if not made else None
    assert made or find(root, environ=environ, cwd="/").exists


def test_a_directory_with_other_things_is_no_new_environment(tmp_path: Path, environ: dict[str, str]) -> None:
    """A directory that holds something else is not taken for an environment to come: the name was wrong."""
    (tmp_path / "setup.py").touch()
    assert "without pyvenv.cfg" in refusal(str(tmp_path), environ)


def test_a_name_that_is_nowhere(environ: dict[str, str]) -> None:
    """A bare name was looked for here and on PATH."""
    assert (
        refusal("no-such-python", environ) == f"no-such-python: no such file, and no such command on PATH{REMEDY}{NEW}"
    )


def test_a_directory_that_is_no_environment(environ: dict[str, str], work: Path) -> None:
    """For a directory, the error names what it lacks, and which environment in it may be meant."""
    fault = f"{work}: a directory without pyvenv.cfg and without an interpreter"
    assert refusal(str(work), environ) == f"{fault}{REMEDY}"
    virtualenv(work / ".venv")
    assert refusal(str(work), environ) == f"{fault}; name {work}/.venv"


def test_a_file_that_is_not_executable(tmp_path: Path, environ: dict[str, str]) -> None:
    """A plain file is no interpreter."""
    path = tmp_path / "file"
    path.touch(0o644)
    assert refusal(str(path), environ) == f"{path}: not executable{REMEDY}"


def test_a_broken_link(tmp_path: Path, environ: dict[str, str]) -> None:
    """For an interpreter that is a broken link, the error names its target, by path, by name and as a prefix's."""
    (tmp_path / "bin").mkdir()
    path = tmp_path / "bin" / "python"
    path.symlink_to("/nowhere/python3.9")
    fault = f"{path}: a broken link to /nowhere/python3.9{REMEDY}"
    assert refusal(str(path), environ) == fault
    assert refusal("python", environ, tmp_path / "bin") == fault
    assert refusal(str(tmp_path), environ) == fault


def test_what_is_neither_file_nor_directory(tmp_path: Path, environ: dict[str, str]) -> None:
    """A device or a FIFO is not opened."""
    os.mkfifo(tmp_path / "python")
    for path in (str(tmp_path / "python"), "/dev/null"):
        assert refusal(path, environ) == f"{path}: neither a file nor a directory{REMEDY}"


def test_a_loop_of_links(tmp_path: Path, environ: dict[str, str]) -> None:
    """For a link to itself, the error is the kernel's."""
    path = tmp_path / "python"
    path.symlink_to("python")
    assert refusal(str(path), environ) == f"{path}: {os.strerror(40).lower()}{REMEDY}"


def test_no_path_at_all(environ: dict[str, str]) -> None:
    """An empty path and one with a NUL name nothing."""
    assert refusal("", environ) == f"an empty path{REMEDY}"
    assert refusal("a\0b", environ) == f"a path with a NUL{REMEDY}"


def test_the_variable_is_told(tmp_path: Path, environ: dict[str, str]) -> None:
    """A fault in what a variable or an option names says which, and that a variable can be unset."""
    gone = str(tmp_path / "gone")
    fault = f"{gone}: no such file or directory{REMEDY}"
    file = tmp_path / "file"
    file.touch()
    below = f"{file}/bin/python"
    assert refusal(None, environ, python=below) == f"--python: {below}: not a directory{REMEDY}"
    for name in ("UV_PYTHON", "VIRTUAL_ENV"):
        assert refusal(None, {**environ, name: gone}) == f"{name}: {fault}, or unset {name}"


def test_a_folder_that_this_user_may_not_enter(tmp_path: Path) -> None:
    """Without permission the answer is that, and no traceback."""
    closed = tmp_path / "closed"
    virtualenv(closed / "v")
    python = real_uv.public_python()
    code = (
        "from policy.environment.discovery import find\nfrom policy.errors import EnvironmentNotFound\n"
        f"for named in ({str(closed / 'v')!r}, {str(closed)!r}):\n"
        "    try: find(named, environ={}, cwd='/')\n    except EnvironmentNotFound as error: print(error)"
    )
    real_uv.given_to(tmp_path)
    if os.geteuid() == 0:
        os.chown(closed, 0, 0)
    closed.chmod(0)
    try:
        done = real_uv.as_user([python, "-B", "-c", code], environ={"PYTHONPATH": real_uv.public_path()})
    finally:
        closed.chmod(0o755)
    expected = f"{closed / 'v'}: permission denied{REMEDY}\n{closed}/pyvenv.cfg: permission denied{REMEDY}\n"
    assert (done.stdout, done.stderr) == (expected, "")


# --- Windows, as far as it can be tried elsewhere -------------------------------------------------------------------


def test_the_windows_layout(tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """python.exe in Scripts is the interpreter, its launcher is not asked, and Lib is the standard library."""
    for module in (discovery, externally_managed, pyvenv):
        monkeypatch.setattr(module, "_WINDOWS", True)
    home = tmp_path / "Python311"
    (home / "Lib").mkdir(parents=True)
    (home / "Lib" / "os.py").touch()
    (home / "python.exe").touch(0o755)
    root = tmp_path / "v"
    (root / "Scripts").mkdir(parents=True)
    (root / "Scripts" / "python.exe").write_bytes(b"MZ execv")
    (root / "Scripts" / "python.exe").chmod(0o755)
    (root / "pyvenv.cfg").write_text(f"home = {home}\n")
    expected = (str(root / "Scripts" / "python.exe"), str(root), "virtualenv", str(home / "python.exe"), "argument")
    assert seen(find(str(root), environ=environ, cwd="/")) == expected
    assert seen(find(expected[0], environ=environ, cwd="/")) == expected
    environ["PATH"] = str(root / "Scripts")
    assert seen(find(environ=environ, cwd="/")) == (*expected[:4], "PATH")
    conda = Environment(str(home / "python.exe"), str(home), "system", str(home / "python.exe"))
    (home / "Lib" / "EXTERNALLY-MANAGED").touch()
    assert externally_managed.externally_managed(conda) == str(home / "Lib" / "EXTERNALLY-MANAGED")


# --- Real uv --------------------------------------------------------------------------------------------------------


def locked_by(uv: Path, python: str, home: Path) -> list[str]:
    """The lock files that a real uv leaves when it changes nothing in an environment."""
    environ = real_uv.clean_environ(home)
    command = [str(uv), "pip", "uninstall", "--break-system-packages", "no-such-package", "--python", python]
    done = subprocess.run(command, env=environ, cwd=home, capture_output=True, text=True, check=False, timeout=60)
    found = re.search(r"Using Python .* environment at:? (.*)", done.stderr)
    assert found, done.stderr
    kept = [str(path) for path in Path(environ["TMPDIR"]).glob("uv-*.lock")]
    return kept + [str(path) for path in home.parent.rglob(".lock") if not path.is_relative_to(home)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "layout",
    ["virtualenv", "root", "wrapper-outside", "wrapper-inside", "conda", "nix", "link-elsewhere", "dots", "tree"],
)
def test_uv_locks_what_was_found(
    tmp_path: Path,
    every_uv: Path,
    layout: str,
) -> None:
    """Whatever the layout, kind, root and interpreter lead to the lock that real uv makes."""
    world = tmp_path / "world"
    if layout in {"virtualenv", "root"}:
        named = virtualenv(world / "v") + ("/bin/python3" if layout == "virtualenv" else "")
    elif layout == "wrapper-outside":
        named = script(world / "wrapper", f'exec {shlex.quote(BASE)} "$@"')
    elif layout == "wrapper-inside":
        named = virtualenv(world / "v") + "/bin/python"
        os.unlink(named)
        script(Path(named), f'exec {shlex.quote(BASE)} "$@"')
    elif layout == "conda":
        named = prefix(world / "conda", conda=True)
    elif layout == "nix":
        named = nix_environment(world)[1] + "/bin/python"
    elif layout == "link-elsewhere":
        named = str(world / "my python")
        world.mkdir()
        os.symlink(BASE, named)
    elif layout == "dots":
        named = f"{os.path.dirname(BASE)}/../{os.path.basename(os.path.dirname(BASE))}//{os.path.basename(BASE)}"
        world.mkdir()
    else:
        virtualenv(world / "store" / "v")
        named = str(world / "tree")
        (world / "tree" / "bin").mkdir(parents=True)
        for part in ("pyvenv.cfg", "bin/python", "bin/python3", "lib"):
            (world / "tree" / part).symlink_to(world / "store" / "v" / part)
    home = tmp_path / "home"
    environ = real_uv.clean_environ(home)
    found = find(named, environ=environ, cwd=str(home))
    if found.kind == "virtualenv":
        expected = {os.path.join(found.root, ".lock")}
    else:
        expected = set(names.interpreter_locks(found.interpreter, environ))
    locked = set(locked_by(every_uv, named, home))
    assert locked
    assert locked <= expected


# --- What is looked at once ------------------------------------------------------------------------------------------


def test_settled(tmp_path: Path) -> None:
    """Where links lead is kept with an environment; `now` looks where they lead by then, a copy anew."""
    for name in ("one", "two"):
        (tmp_path / name / "bin").mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to("one")
    kept = factories.environment(str(link))
    spelled = f"{link}/bin/python", str(link), "virtualenv"
    assert kept.now() is kept
    assert kept.settled == (*spelled, f"{tmp_path}/one/bin/python", f"{tmp_path}/one")
    assert kept.now() is kept
    link.unlink()
    link.symlink_to("two")
    assert kept.settled == (*spelled, f"{tmp_path}/one/bin/python", f"{tmp_path}/one")
    for anew in (kept.now(), kept.replace()):
        assert anew.settled == (*spelled, f"{tmp_path}/two/bin/python", f"{tmp_path}/two")
    assert seen(kept.replace("/x", "target", "--target"))[1:] == ("/x", "target", kept.base_interpreter, "--target")


def test_folder_of_the_interpreter_is_a_link(tmp_path: Path) -> None:
    """The interpreter's folder may lead elsewhere while the root does not; `now` sees that, too."""
    (tmp_path / "one" / "bin").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    kept = factories.environment(str(tmp_path / "one"))
    assert kept.settled[3:] == (f"{tmp_path}/one/bin/python", f"{tmp_path}/one")
    (tmp_path / "one" / "bin").rmdir()
    (tmp_path / "one" / "bin").symlink_to("../bin")
    assert kept.now().settled[3:] == (f"{tmp_path}/bin/python", f"{tmp_path}/one")


def test_base_is_found_once() -> None:
    """The base interpreter is found when it is first asked for, and once; what `now` gives finds it anew."""
    found = ["/usr/bin/python3.12", "/usr/bin/python3.11"]
    kept = Environment("/e/bin/python", "/e", "virtualenv", found.pop)
    assert [kept.base_interpreter, kept.base_interpreter] == ["/usr/bin/python3.11"] * 2
    assert kept.now().base_interpreter == "/usr/bin/python3.12"


def test_seen_just_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at the root counts for a moment only, and a later look says what is there by then."""
    root = tmp_path / "root"
    root.mkdir()
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    kept = factories.environment(str(root))
    assert kept.seen is None
    assert kept.settled[-1] == str(root)
    assert kept.seen == real_folder(str(root))
    clock[0] += 2 * JUST_NOW
    assert kept.seen is None
    root.rename(tmp_path / "moved")
    root.mkdir()
    assert kept.now().seen == real_folder(str(root)) != real_folder(str(tmp_path / "moved"))
