"""The README's three tasks, done for real with the files of `examples/`, and the README held to those files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from policy.commands import COMMANDS
from tests import factories, processes, real_uv, requirements
from tests.running import PYTHON, Place, ended, wait_until

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX processes", allow_module_level=True)

EXAMPLES = factories.CHECKOUT / "examples"
NIX, CI, INSTALLER = EXAMPLES / "nix.toml", EXAMPLES / "ci.toml", EXAMPLES / "installer.py"
README = (factories.CHECKOUT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A user's directory."""
    return Place(tmp_path)


def policy(place: Place, *words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the program there."""
    return factories.policy(*words, environ={**place.environ, **variables}, cwd=place.directory)


# The files themselves


@pytest.mark.slow
@pytest.mark.parametrize("file", [NIX, CI], ids=lambda file: file.name)
def test_own_tests_pass(place: Place, file: Path) -> None:
    """The tests in an example's file pass, and reach each of its rules."""
    done = policy(place, "test", file)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "no test reaches" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("file", "layer"), [(NIX, "user"), (NIX, "project"), (CI, "system")])
def test_nothing_to_find(place: Place, file: Path, layer: str) -> None:
    """`policy check --strict` finds nothing in an example, in the place for which it is meant."""
    done = policy(place, "check", "--strict", "--layer", layer, file)
    assert (done.returncode, done.stderr) == (0, "")


# Nix


def test_nix_without_configuration(place: Place) -> None:
    """An environment that this user cannot write is locked outside of it, with nothing configured."""
    factories.open_to_all(place.directory)
    place.root.chmod(0o555)
    words = [real_uv.public_python(), "-m", "policy", "explain", str(place.root), "--output-format", "json"]
    environ = {**place.environ, "PYTHONPATH": real_uv.public_path()}
    done = real_uv.as_user(words, environ=environ, cwd=place.directory)
    record = json.loads(done.stdout)
    assert (record["lock"], record["rule"]["name"]) == (["global"], "read-only")


@pytest.mark.slow
@pytest.mark.parametrize("where", ["--config-file", "user", "project"])
def test_nix_in_writing(place: Place, where: str) -> None:
    """The file decides for interpreters in the store, and for no other, wherever it is copied to."""
    words: tuple[str | Path, ...] = ()
    if where == "--config-file":
        words = ("--config-file", NIX)
    elif where == "user":
        factories.written(place.directory / "home/.config/lock-policy/lock-policy.toml", NIX.read_text())
    else:
        shutil.copy(NIX, place.directory / "lock-policy.toml")
    for interpreter, rule, lock in (
        ("/nix/store/0abc-app-env/bin/python", "nix-store", "global"),
        ("/home/anna/.venv/bin/python", "environment", "local"),
    ):
        assumed = ("--assume", f"interpreter={interpreter}", "--output-format", "json")
        done = policy(place, "explain", place.root, *words, *assumed)
        record = json.loads(done.stdout)
        assert (record["rule"]["name"], record["lock"]) == (rule, lock.split())
    assert record["steps"][0]["rule"]["reason"] == "store paths are read-only"


def test_nix_in_a_shell(place: Place) -> None:
    """UV_ONLY_GLOBAL_LOCKS=1 keeps every lock file out of the environment, for the command that is run."""
    environ = {**place.environ, "UV_ONLY_GLOBAL_LOCKS": "1", "LOCK_POLICY_GLOBAL_DIR": str(place.directory)}
    assert place.run("true", env=environ).returncode == 0
    assert not os.path.exists(place.lock)
    assert len(list(place.directory.glob("lock-policy-*.lock"))) == 1


# CI


@pytest.mark.slow
def test_ci_in_an_image(place: Place) -> None:
    """As the system's file it decides for what goes into the image, and gives the timeout."""
    factories.written(place.directory / "etc/lock-policy/lock-policy.toml", CI.read_text())
    for root, rule in (("/opt/site", "image"), ("/app/.venv", "image"), ("/root/.venv", "environment")):
        assumed = ("--assume", f"environment={root}", "--output-format", "json")
        record = json.loads(policy(place, "explain", place.root, *assumed).stdout)
        assert record["rule"]["name"] == rule
    done = policy(place, "show", "--output-format", "json")
    assert json.loads(done.stdout)["settings"]["timeout"]["value"] == 600
    assert policy(place, "check", "--strict").returncode == 0


def with_pip(root: Path) -> Path:
    """A virtual environment with the pip that comes with Python."""
    done = subprocess.run(
        [real_uv.public_python(), "-m", "venv", root], capture_output=True, text=True, check=False, timeout=300
    )
    requirements.need(done.returncode == 0, f"needs ensurepip: {done.stdout}{done.stderr}")
    return root


@pytest.mark.slow
def test_ci_installs_without_a_lock_file(place: Place) -> None:
    """The README's command installs into a target below one of the rule's folders and leaves no lock file there."""
    pip = with_pip(place.directory / "pip") / "bin" / "pip"
    wheels = real_uv.wheelhouse(place.directory / "wheels")
    factories.written(place.directory / "requirements.txt", "small\n")
    site = place.directory / "opt" / "site"
    site.mkdir(parents=True)
    text = CI.read_text().replace('"/opt/**"', f'"{place.directory}/opt/**"')
    factories.written(place.directory / "etc/lock-policy/lock-policy.toml", text)
    install = (
        pip,
        "install",
        "--quiet",
        "--no-index",
        "--find-links",
        wheels,
        "--target",
        site,
        "-r",
        "requirements.txt",
    )
    done = policy(
        place,
        "run",
        "--target",
        site,
        "--",
        *install,
        LOCK_POLICY_GLOBAL_DIR=str(place.directory),
        PIP_DISABLE_PIP_VERSION_CHECK="1",
    )
    assert done.returncode == 0, done.stderr
    assert {"small.py", "tiny.py"} <= set(os.listdir(site))
    assert ".lock" not in os.listdir(site)
    assert len(list(place.directory.glob("lock-policy-*.lock"))) == 1


# An installer


def installer(environment: Path, *wheels: str | Path) -> list[str]:
    """The command line of the example."""
    return [str(word) for word in (PYTHON, INSTALLER, environment, *wheels)]


def opened_for(reader: subprocess.Popen[str], fifo: Path) -> int:
    """The writing end of a FIFO, as soon as somebody waits for what is written into it."""
    found: list[int] = []

    def opened() -> bool:
        assert reader.poll() is None, reader.communicate()
        try:
            found.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # ENXIO: nobody reads
            return False
        return True

    wait_until(opened, "nobody reads")
    return found[0]


@pytest.mark.slow
def test_installer(place: Place) -> None:
    """The example installs a wheel into a real environment, and nobody else has the lock while pip runs."""
    root = with_pip(place.directory / "real")
    lock = str(root / ".lock")
    wheel = real_uv.wheel(place.directory / "wheels", "tiny")
    # pip stops as Python starts, until the test has looked around
    purelib = next((root / "lib").glob("python*/site-packages"))
    factories.written(
        purelib / "gate.pth",
        "import os, sys; 'pip' in sys.orig_argv and os.path.exists('gate') and open('gate').read()\n",
    )
    gate = place.directory / "gate"
    os.mkfifo(gate)
    running = place.start(installer(root, wheel))
    try:
        writer = opened_for(running, gate)
        gate.unlink()
        assert not place.is_free(lock)
        refused = place.call(
            [*factories.PROGRAM, "run", "--python", str(root), "--timeout", "0.1", "--", "touch", "ran"]
        )
        assert refused.returncode == 124
        assert not (place.directory / "ran").exists()
        assert not (purelib / "tiny.py").exists()
        os.close(writer)
        _, said = running.communicate(timeout=factories.TIMEOUT)
    finally:
        ended(running)
    assert running.returncode == 0, said
    assert re.match(rf"holding \S+, {re.escape(str(lock))}\n", said)
    assert (purelib / "tiny.py").exists()
    assert place.is_free(lock)
    assert subprocess.run([root / "bin" / "python", "-c", "import tiny; tiny.main()"], check=True).returncode == 0


@pytest.mark.slow
def test_installer_waits(place: Place) -> None:
    """While another process holds the lock nothing is installed; when it lets go, the wheel is."""
    root = with_pip(place.directory / "real")
    wheel = real_uv.wheel(place.directory / "wheels", "tiny")
    holder = processes.holder(str(root / ".lock"))
    running = place.start(installer(root, wheel))
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(timeout=1.5)
        assert not list(root.glob("lib/**/tiny.py"))
        processes.end(holder)
        _, said = running.communicate(timeout=factories.TIMEOUT)
    finally:
        ended(holder, running)
    assert running.returncode == 0, said
    assert list(root.glob("lib/**/tiny.py"))


def test_installer_says_what_is_wrong(place: Place) -> None:
    """Without an environment the example fails with one line and the error's code; without arguments it says how."""
    done = place.call(installer(place.directory / "nowhere", "x.whl"))
    assert done.returncode == 2
    assert done.stderr.startswith("installer: ")
    assert len(done.stderr.splitlines()) == 1
    done = place.call([PYTHON, str(INSTALLER)])
    assert done.returncode == 1
    assert "Usage: python installer.py ENVIRONMENT WHEEL..." in done.stderr


# The README


def toml_blocks() -> list[str]:
    """The README's blocks of TOML."""
    return [text for language, text in BLOCKS if language == "toml"]


@pytest.mark.parametrize("file", [NIX, CI], ids=lambda file: file.name)
def test_readme_shows_the_files(file: Path) -> None:
    """What the README shows of an example is what stands in its file before the tests, comments aside."""
    text = file.read_text(encoding="utf-8").partition("[[tests]]")[0]
    without = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip()
    assert without in [block.strip() for block in toml_blocks()]


def test_readme_s_toml_is_good(place: Place) -> None:
    """Every block of TOML in the README is a configuration without a fault and without a warning."""
    assert len(toml_blocks()) >= 3
    for number, block in enumerate(toml_blocks()):
        tomllib.loads(block)
        file = factories.written(place.directory / f"{number}.toml", block)
        done = policy(place, "check", "--layer", "user", file)
        assert (done.returncode, done.stderr) == (0, ""), block


def test_readme_s_python_runs(place: Place) -> None:
    """The README's Python holds the lock of an environment that is there."""
    (block,) = (text for language, text in BLOCKS if language == "python")
    assert '".venv"' in block
    done = place.call([PYTHON, "-c", block.replace('".venv"', repr(str(place.root)))])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "local gate local\n"


def test_readme_names_what_exists() -> None:
    """The commands in the README's table are the program's, all of them, and the files that it links to are there."""
    rows = " ".join(re.findall(r"^\| (`policy .*?) \|", README, re.MULTILINE))
    assert sorted(set(re.findall(r"`policy (\w+)", rows))) == sorted(COMMANDS)
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("https://") or (factories.CHECKOUT / link).exists(), link


def test_readme_s_commands_are_understood(place: Place) -> None:
    """Every line of a console block that begins with `policy` is a command line that the program understands."""
    lines = [line for language, text in BLOCKS if language == "console" for line in text.splitlines()]
    found = [
        line.partition("policy ")[2].partition("  ")[0].partition("#")[0].split() for line in lines if "policy " in line
    ]
    assert len(found) >= 4
    for words in found:
        head = words[: words.index("--") + 1] if "--" in words else words
        done = policy(place, *head, *(["true"] if "--" in words else []), VIRTUAL_ENV=str(place.root))
        assert "usage:" not in done.stderr, words
