"""A real Nix store: a virtual environment in it, a tree of links to it, a wrapper around it, a real uv that uses them.

Where there is no Nix the same is made by hand.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from tests import real_uv, requirements
from tests.real_uv import NEWEST, OLDEST, as_user, installed, start_as_user

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="Nix knows no Windows")]

# Nix's own builder for environments (nixpkgs' buildEnv is the same in Perl): a tree of links to several store paths.
TREE = """
derivation {
  name = "python-env";
  builder = "builtin:buildenv";
  system = "builtin";
  manifest = builtins.toFile "manifest.nix" "[]";
  derivations =
    [ "true" "5" 1 (builtins.storePath (builtins.getEnv "FIRST"))
      "true" "5" 1 (builtins.storePath (builtins.getEnv "SECOND")) ];
}
"""

# What makeWrapper of nixpkgs writes.
WRAPPER = """\
#! {shell} -e
export PYTHONNOUSERSITE='true'
exec "{interpreter}"  "$@"
"""


@frozen
class Store:
    """A store, and what was added to it.

    Args:
        folder: The store.
        environment: A virtual environment in it.
        tree: Links to it and to something else, as an environment of Nix is.
        wrapper: A script in it that executes the interpreter of `environment`.
        result: A link to `tree` outside of the store, as nix-build leaves it.
        environ: Nix's variables; none where it was made by hand.
    """

    folder: Path
    environment: Path
    tree: Path
    wrapper: Path
    result: Path
    environ: Mapping[str, str]

    def interpreter(self, name: str) -> Path:
        """An interpreter of the store by one of its names: `environment`, `tree`, `wrapper` or `result`."""
        path: Path = getattr(self, name)
        return path if name == "wrapper" else path / "bin" / "python"

    def contents(self) -> list[tuple[str, int, int, str]]:
        """Each file with its mode, its time and what it holds or where it leads."""
        found = []
        for root in (self.environment, self.tree, self.wrapper.parent.parent):
            for path in sorted((root, *root.rglob("*"))):
                status = path.lstat()
                content = os.readlink(path) if path.is_symlink() else ""
                found.append((str(path), status.st_mode, status.st_mtime_ns, content))
        return found


def ingredients(folder: Path) -> tuple[Path, Path]:
    """A virtual environment, and something else to install beside it, that wait to be added to a store."""
    real_uv.virtualenv(folder / "app-env")
    other = folder / "tool" / "bin" / "tool"
    other.parent.mkdir(parents=True)
    other.write_text("#! /bin/sh\n", encoding="utf-8")
    other.chmod(0o755)
    return folder / "app-env", folder / "tool"


def wrapped(folder: Path, interpreter: Path) -> Path:
    """A folder with a wrapper, that waits to be added to a store."""
    wrapper = folder / "wrapped" / "bin" / "python"
    wrapper.parent.mkdir(parents=True)
    wrapper.write_text(
        WRAPPER.format(shell=shutil.which("bash") or "/bin/sh", interpreter=interpreter), encoding="utf-8"
    )
    wrapper.chmod(0o755)
    return folder / "wrapped"


def real_store(folder: Path) -> Store:
    """Nix adds and builds, as the only user of a store of its own."""
    requirements.need(bool(shutil.which("nix-store") and shutil.which("nix-build")), "needs nix-store and nix-build")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "USER": "nobody",  # for a user without an entry in the passwd file
        "NIX_REMOTE": "local",
        **{f"NIX_{name}_DIR": str(folder / f"nix-{name.lower()}") for name in ("STORE", "STATE", "LOG", "CONF")},
    }
    conf = folder / "nix-conf" / "nix.conf"
    conf.parent.mkdir()
    conf.write_text("build-users-group =\nsandbox = false\nsubstitute = false\n", encoding="ascii")

    def nix(*words: str | Path, **more: str) -> Path:
        done = subprocess.run(
            words, env={**environ, **more}, cwd=folder, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip())

    first, second = ingredients(folder / "ingredients")
    environment = nix("nix-store", "--add", first)
    other = nix("nix-store", "--add", second)
    wrapper = nix("nix-store", "--add", wrapped(folder / "ingredients", environment / "bin" / "python"))
    (folder / "tree.nix").write_text(TREE, encoding="ascii")
    tree = nix("nix-build", "tree.nix", FIRST=str(environment), SECOND=str(other))
    result = folder / "result"
    assert result.readlink() == tree
    return Store(folder / "nix-store", environment, tree, wrapper / "bin" / "python", result, environ)


def made_by_hand(folder: Path) -> Store:
    """The same, copied and linked by this test."""
    store = folder / "nix-store"
    store.mkdir()
    hashes = iter(f"{number:032}-" for number in range(4))

    def add(made: Path) -> Path:
        place = store / (next(hashes) + made.name)
        shutil.copytree(made, place, symlinks=True)
        return place

    first, second = ingredients(folder / "ingredients")
    environment, other = add(first), add(second)
    wrapper = add(wrapped(folder / "ingredients", environment / "bin" / "python"))
    tree = store / (next(hashes) + "python-env")
    (tree / "bin").mkdir(parents=True)
    for path in (*environment.iterdir(), *(environment / "bin").iterdir(), *(other / "bin").iterdir()):
        if path.name != "bin":
            (tree / path.relative_to(path.parents[1] if path.parent.name == "bin" else path.parent)).symlink_to(path)
    for path in sorted(store.rglob("*"), reverse=True):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o555)
        os.utime(path, (1, 1), follow_symlinks=False)
    result = folder / "result"
    result.symlink_to(tree)
    return Store(store, environment, tree, wrapper / "bin" / "python", result, {})


@pytest.fixture(scope="module", params=[real_store, made_by_hand])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store that every user can read and nobody but its owner could write; nothing in it changes meanwhile."""
    folder = tmp_path_factory.mktemp("nix")
    made: Store = request.param(folder)
    (folder / "home").mkdir()
    real_uv.given_to(folder / "home")  # others can come here now
    before = made.contents()
    yield made
    assert made.contents() == before
    if made.environ:
        subprocess.run(["nix-store", "--verify", "--check-contents"], env=made.environ, check=True, capture_output=True)
    for path in (made.folder, *made.folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)  # so that pytest can remove them


@frozen
class World:
    """A user with a project, whose interpreter lies in a store.

    Args:
        home: The user's home; the project is `app` in it.
        environ: The user's environment variables.
    """

    home: Path
    environ: Mapping[str, str]

    @property
    def app(self) -> Path:
        """The project's directory."""
        return self.home / "app"

    def using(self, interpreter: Path) -> dict[str, str]:
        """The variables with which uv uses an interpreter."""
        return {**self.environ, "UV_PYTHON": str(interpreter)}

    def explain(self, interpreter: Path) -> Any:
        """What `policy explain` says about it, as JSON."""
        done = as_user(policy("explain", "--output-format", "json", interpreter), environ=self.environ, cwd=self.app)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def policy(*arguments: str | Path) -> list[str | Path]:
    """The command line of `policy` for the user."""
    return [real_uv.public_python(), "-m", "policy", *arguments]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The user's world."""
    home = tmp_path / "home"
    real_uv.project(home / "app")
    wheels = real_uv.wheelhouse(tmp_path / "wheels")
    environ = real_uv.clean_environ(home, UV_FIND_LINKS=str(wheels), PYTHONPATH=real_uv.public_path())
    real_uv.given_to(home)
    return World(home, environ)


@pytest.fixture(params=[OLDEST, NEWEST])
def uv(request: pytest.FixtureRequest) -> Path:
    """A real uv that fails in a store, and one that goes on unlocked."""
    return installed(request.param)


BUILT_IN = "the built-in rules"
RULE = "a rule for the store"

configured = pytest.mark.parametrize("how", [BUILT_IN, RULE])
names = pytest.mark.parametrize("name", ["environment", "tree", "wrapper", "result"])


def configure(world: World, store: Store, how: str) -> None:
    """Writes the rule that covers whatever lies in the store."""
    if how == RULE:
        rule = f'[[rules]]\nname = "nix-store"\nmatch.interpreter = "{store.folder}/*"\nlock = "global"\n'
        (world.app / "lock-policy.toml").write_text(rule, encoding="utf-8")


def test_permissions(store: Store, world: World) -> None:
    """The user can run every interpreter of the store, and make no file beside any."""
    for name in ("environment", "tree", "wrapper", "result"):
        done = as_user([store.interpreter(name), "-c", "import sys; print(sys.prefix)"], environ=world.environ)
        root = Path(done.stdout.strip())
        assert root == {"wrapper": store.environment}.get(name, store.interpreter(name).parent.parent)
        assert root.stat().st_mode & 0o777 == 0o555
        assert as_user(["touch", root / ".lock"], environ=world.environ).returncode != 0


@configured
@names
def test_explain(store: Store, world: World, name: str, how: str) -> None:
    """`policy explain` finds the environment, its base interpreter, and a global lock, by either rule."""
    configure(world, store, how)
    told = world.explain(store.interpreter(name))
    root = {"wrapper": store.environment}.get(name, store.interpreter(name).parent.parent)
    assert told["environment"]["kind"] == "virtualenv"
    assert told["environment"]["root"] == str(root)
    assert told["environment"]["base_interpreter"] == os.path.realpath(real_uv.public_python())
    assert told["lock"] == ["global"]
    assert [file["purpose"] for file in told["plan"]] == ["gate"]
    # `result` is a link into the store, and where links lead counts
    assert told["rule"]["name"] == ("nix-store" if how == RULE else "read-only")
    if told["rule"]["name"] == "read-only":
        assert any(f"UV_PYTHON={told['environment']['base_interpreter']}" in hint for hint in told["hints"])


def test_same_file(store: Store, world: World) -> None:
    """Each spelling of one environment gets one lock file; the tree of links is an environment of its own."""
    files = {
        name: world.explain(store.interpreter(name))["plan"][0]["path"]
        for name in ("environment", "tree", "wrapper", "result")
    }
    assert files["environment"] == files["wrapper"]
    assert files["tree"] == files["result"]
    assert files["environment"] != files["tree"]


@names
def test_plain_uv_fails_or_is_silent(store: Store, world: World, uv: Path, name: str) -> None:
    """Without us uv 0.7.13 fails in a store, and the newest continues without a lock and says nothing."""
    environ = world.using(store.interpreter(name))
    done = as_user([uv, "add", "--no-sync", "tiny"], environ=environ, cwd=world.app)
    if OLDEST in str(uv):
        assert done.returncode != 0
        assert "Permission denied" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert "lock" not in done.stderr.lower().replace("lockfile", "")
        verbose = as_user([uv, "add", "-v", "--no-sync", "small"], environ=environ, cwd=world.app)
        assert "Failed to acquire environment lock" in verbose.stderr or "Permission denied" in verbose.stderr


@configured
@names
def test_run_makes_uv_work(store: Store, world: World, uv: Path, name: str, how: str) -> None:
    """`policy run -- uv add` works with an interpreter of the store, and says where it changed UV_PYTHON."""
    configure(world, store, how)
    environ = world.using(store.interpreter(name))
    done = as_user(policy("run", "--", uv, "add", "--no-sync", "tiny"), environ=environ, cwd=world.app)
    assert done.returncode == 0, done.stderr
    assert "tiny" in (world.app / "pyproject.toml").read_text()
    assert (f"UV_PYTHON={os.path.realpath(real_uv.public_python())}" in done.stderr) is (OLDEST in str(uv))
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("first", "second"),
    [("tree", "result"), ("result", "tree"), ("environment", "wrapper"), ("wrapper", "environment")],
)
def test_spellings_exclude_each_other(
    store: Store, world: World, uv: Path, first: str, second: str, tmp_path: Path
) -> None:
    """While uv runs under `policy run` by one spelling, nobody gets in by another one; then everybody does."""
    slow = real_uv.slow_project(tmp_path / "slow")
    running = start_as_user(
        policy("run", "--", uv, "add", "--no-sync", slow.path),
        environ=world.using(store.interpreter(first)),
        cwd=world.app,
    )
    environ = world.using(store.interpreter(second))
    code = "import os, policy\nwith policy.lock(os.environ['UV_PYTHON'], timeout=0.5): print('inside')"
    try:
        slow.wait(running)
        other = as_user(policy("run", "--timeout", "0.5", "--", "true"), environ=environ, cwd=world.app)
        assert other.returncode == 124, other.stderr
        if sys.platform == "linux":
            assert f"pid {running.pid}" in other.stderr
        library = as_user([real_uv.public_python(), "-c", code], environ=environ, cwd=world.app)
        assert "LockTimeout" in library.stderr
    finally:
        slow.proceed()
        _, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors
    after = as_user([real_uv.public_python(), "-c", code], environ=environ, cwd=world.app)
    assert after.stdout == "inside\n", after.stderr
