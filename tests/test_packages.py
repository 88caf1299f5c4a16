"""What other tools install this project with: each recipe is read by the tool that it is for, or by its schema."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from packaging.requirements import Requirement
from ruamel.yaml import YAML  # check-jsonschema brings it

from policy import __version__
from policy.__main__ import main
from tests import requirements

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES = [Requirement(one) for one in PROJECT["dependencies"]]
SETTINGS = {
    "timeout": 60,
    "rules": [{"name": "nix-store", "match": {"interpreter": "/nix/store/*"}, "lock": "global"}],
}


def schema_faults(schema: str, *files: Path) -> str:
    """What a schema of check-jsonschema finds in files; "" where it finds nothing."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"])
def test_workflows(schema: str) -> None:
    """The workflows are what GitHub reads, and no job may run forever."""
    assert len(WORKFLOWS) == 3
    assert schema_faults(schema, *WORKFLOWS) == ""


def test_compose_file() -> None:
    """The example of a server in a container is what the Compose specification allows."""
    assert schema_faults("vendor.compose-spec", ROOT / "examples" / "cluster" / "compose.yaml") == ""


def test_workflows_run_what_exists() -> None:
    """Every session of nox that a workflow runs is there."""
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE))
    for workflow in WORKFLOWS:
        for line in re.findall(r"nox -s ([\w ]+)", workflow.read_text(encoding="utf-8")):
            assert set(line.split()) <= sessions, workflow.name


def test_action() -> None:
    """action.yml is what GitHub reads."""
    assert schema_faults("vendor.github-actions", ROOT / "action.yml") == ""


def test_action_calls_commands_that_exist(tmp_path: Path) -> None:
    """The steps of the action that check and test run as they stand, and fail where a check fails."""
    steps = {step.get("name"): step for step in YAML(typ="safe").load(ROOT / "action.yml")["runs"]["steps"]}
    (tmp_path / "policy").write_text(f'#!/bin/sh\nexec {sys.executable} -m policy "$@"\n', encoding="utf-8")
    (tmp_path / "policy").chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    for file, code in (("good/ci.toml", 0), ("bad/unknown-lock.toml", 2)):
        environ |= {"FILES": str(ROOT / "examples" / file), "STRICT": "--strict"}
        done = subprocess.run(
            ["bash", "-e", "-c", steps["Check"]["run"]], env=environ, cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode == code, done.stderr
    environ["FILES"] = str(ROOT / "examples" / "good" / "ci.toml")
    subprocess.run(
        ["bash", "-e", "-c", steps["Test"]["run"]], env=environ, cwd=tmp_path, capture_output=True, check=True
    )


@pytest.fixture(scope="module")
def flake(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the flake gives to somebody with some settings, as Nix evaluates it beside a small nixpkgs."""
    requirements.need(bool(shutil.which("nix-instantiate")), "needs nix-instantiate")
    folder = tmp_path_factory.mktemp("nix")
    settings = f"{{ settings = builtins.fromJSON ''{json.dumps(SETTINGS)}''; }}"
    expression = f"import {ROOT}/tests/stub.nix {settings}"
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "NIX_REMOTE": f"local?root={folder}"}
    done = subprocess.run(
        ["nix-instantiate", "--eval", "--strict", "--json", "--expr", expression],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nix_package(flake: Any) -> None:
    """The flake's package, its overlay's too, is this version with the dependencies of pyproject.toml."""
    expected = {"pname": "lock-policy", "version": __version__, "pyproject": True}
    for package in (flake["package"], flake["overlay"]):
        assert sorted(package.pop("dependencies")) == sorted(one.name for one in DEPENDENCIES)
        assert package == expected
    assert len(flake["systems"]) == 4


@pytest.mark.parametrize("module", ["nixos", "home"])
def test_nix_modules(flake: Any, module: str, tmp_path: Path) -> None:
    """`programs.lock-policy.settings` becomes the configuration file, which `policy check` accepts."""
    made = flake[module]
    assert [package["pname"] for package in made["packages"]] == ["lock-policy"]
    files = made["files"]
    assert list(files) == ["lock-policy/lock-policy.toml"]
    content = files["lock-policy/lock-policy.toml"]["source"]["value"]
    assert content == SETTINGS
    written = tmp_path / "lock-policy.toml"
    written.write_text(tomli_w.dumps(content), encoding="utf-8")
    layer = "system" if module == "nixos" else "user"
    assert main(["check", "--strict", "--layer", layer, str(written)]) == 0


def test_nix_module_that_is_off(flake: Any) -> None:
    """A module that is not enabled changes nothing."""
    assert flake["off"] == {}


def test_conda() -> None:
    """The conda recipe is of this version, needs what pyproject.toml needs, and makes its commands."""
    recipe = YAML(typ="safe").load(ROOT / "recipes" / "conda" / "recipe.yaml")
    assert recipe["context"] == {"version": __version__}
    wanted = {f"{one.name} {one.specifier}" for one in DEPENDENCIES} | {f"python {PROJECT['requires-python']}"}
    assert set(recipe["requirements"]["run"]) == wanted
    commands = {f"{name} = {target}" for name, target in PROJECT["scripts"].items()}
    assert set(recipe["build"]["python"]["entry_points"]) == commands
    assert recipe["about"]["summary"] == PROJECT["description"]


def test_debian() -> None:
    """The Debian recipe needs what pyproject.toml needs, is of this version, and suggests the driver of PostgreSQL."""
    folder = ROOT / "recipes" / "debian"
    control = (folder / "control").read_text(encoding="utf-8")
    depends = re.findall(r"^Depends: (.+)$", control, re.MULTILINE)[0].split(", ")
    names = {"attrs": "attr"}  # after what is imported
    wanted = {f"python3-{names.get(one.name, one.name)} ({one.specifier})".replace(">=", ">= ") for one in DEPENDENCIES}
    assert set(depends) == wanted | {"${python3:Depends}", "${misc:Depends}"}
    assert (folder / "changelog").read_text(encoding="utf-8").startswith(f"lock-policy ({__version__}-1) ")
    assert os.access(folder / "rules", os.X_OK)


def test_homebrew(tmp_path: Path) -> None:
    """The formula names the archive by its digest, and installs what the wheel has in share/."""
    archive = tmp_path / f"lock_policy-{__version__}.tar.gz"
    archive.write_bytes(b"an archive")
    command = [sys.executable, str(ROOT / "recipes" / "homebrew.py"), str(archive)]
    formula = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f'sha256 "{hashlib.sha256(b"an archive").hexdigest()}"' in formula
    assert archive.name in formula
    for folder in re.findall(r'libexec/"(share/[^*"]+)/\*"', formula):
        assert (ROOT / folder).is_dir(), folder
    if shutil.which("ruby"):
        subprocess.run(["ruby", "-c"], input=formula, text=True, capture_output=True, check=True)


def test_container() -> None:
    """The Containerfile installs a wheel of this checkout, and its entry point is a command of the project."""
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    (entry,) = re.findall(r"^ENTRYPOINT (.+)$", text, re.MULTILINE)
    (default,) = re.findall(r"^CMD (.+)$", text, re.MULTILINE)
    assert json.loads(entry)[0] in PROJECT["scripts"]
    assert json.loads(default)[0] in {"help", "--help"}
    assert "pip wheel" in text


def test_sources_are_complete() -> None:
    """A source distribution holds all folders and pages that the recipes and the tests read."""
    included = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    names = {one.strip("/") for one in included["targets"]["sdist"]["include"]}
    assert names >= {"policy", "schemas", "tests", "examples", "docs", "recipes", "changelog.d", "flake.nix"}
    assert all((ROOT / name).exists() for name in names)
