"""The host's own system file, seen by the real program: no option, no variable and no other file leads around it."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests import factories, requirements

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform != "linux":
    pytest.skip("needs mount namespaces", allow_module_level=True)

SITE = 'gate-dir = "{}"\n[[rules]]\nname = "site"\nmatch.environment = "**/env"\nlock = "both"\nmandatory = true\n'
OTHER = '[[rules]]\nname = "other"\nlock = "local"\n'

WAYS: dict[str, tuple[list[str], dict[str, str]]] = {
    "plainly": ([], {}),
    "--no-config": (["--no-config"], {}),
    "the variable for that": ([], {"LOCK_POLICY_NO_CONFIG": "1"}),
    "--config-file": (["--config-file", "other.toml"], {}),
    "the variable for a file": ([], {"LOCK_POLICY_CONFIG_FILE": "other.toml"}),
    "another system file": ([], {"XDG_CONFIG_DIRS": "HERE/xdg"}),
    "no home": ([], {"HOME": "/nonexistent", "XDG_CONFIG_HOME": ""}),
}


@pytest.fixture
def explained(tmp_path: Path) -> Any:
    """Runs `policy explain` where /etc holds a system file, in a mount namespace of its own."""
    requirements.need_root()
    etc = tmp_path / "etc"
    factories.written(etc / "lock-policy" / "lock-policy.toml", SITE.format(tmp_path / "gates"))
    (tmp_path / "gates").mkdir()
    for name in ("passwd", "group", "nsswitch.conf"):
        shutil.copy(f"/etc/{name}", etc / name)
    for folder in ("", "xdg/lock-policy", "home/.config/lock-policy"):
        factories.written(tmp_path / folder / "lock-policy.toml", OTHER)
    factories.written(tmp_path / "other.toml", OTHER)
    factories.virtualenv(tmp_path / "env")

    def run(options: list[str], environ: dict[str, str]) -> Any:
        variables = {name: value.replace("HERE", str(tmp_path)) for name, value in environ.items()}
        words = ["explain", "env", "--output-format", "json", *options]
        script = f'mount --bind "{etc}" /etc && exec "$0" -m policy "$@"'
        program = ["unshare", "-m", "sh", "-c", script, sys.executable]
        base = {name: value for name, value in factories.alone(tmp_path).items() if name != "XDG_CONFIG_DIRS"}
        done = factories.policy(*words, environ={**base, **variables}, cwd=tmp_path, program=program)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("way", WAYS)
def test_nothing_leads_around_it(explained: Any, tmp_path: Path, way: str) -> None:
    """Its mandatory rule decides, and its gate is the gate, however somebody tries to have it otherwise."""
    record = explained(*WAYS[way])
    assert (record["rule"]["name"], record["rule"]["layer"]) == ("site", "system")
    gates = [lock["path"] for lock in record["plan"] if lock["purpose"] == "gate"]
    assert gates
    assert all(path.startswith(f"{tmp_path}/gates/") for path in gates)
