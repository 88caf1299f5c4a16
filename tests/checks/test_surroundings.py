from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from policy.checks.lint import check
from policy.checks.surroundings import ignored
from policy.config.layers import SYSTEM, Notice, Source
from tests import factories

if TYPE_CHECKING:
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)


def test_ignored() -> None:
    """A file that is not used is a finding about that file."""
    (finding,) = ignored([Notice("/p/pyproject.toml", "is ignored: because")])
    assert (finding.code, finding.severity, finding.diagnostic.location.file, finding.diagnostic.message) == (
        "ignored-file",
        "warning",
        "/p/pyproject.toml",
        "is ignored: because",
    )


@pytest.mark.parametrize("together", [True, False])
def test_missing_directory(tmp_path: Path, *, together: bool) -> None:
    """A directory for locks that does not exist is found where it is written, and is gone when it is created."""
    source = factories.source(tmp_path / "lock-policy.toml", 'timeout = 5\nglobal-dir = "locks"\n')
    (finding,) = check([source], together=together).findings
    assert (finding.code, finding.diagnostic.line) == ("missing-directory", 2)
    assert finding.diagnostic.message == f"{tmp_path}/locks is not a directory, so every lock in it fails; create it"
    (tmp_path / "locks").write_text("", encoding="utf-8")
    assert check([source], together=together).findings
    (tmp_path / "locks").unlink()
    (tmp_path / "locks").mkdir()
    assert check([source], together=together).findings == ()


def test_directories_of_another_host(tmp_path: Path) -> None:
    """A file that was named may be for another host, so that only what lies beside it is judged."""
    text = 'global-dir = "/no/such/folder"\ngate-dir = "/no/such/other"\n'
    source = Source(SYSTEM, str(factories.written(tmp_path / "lock-policy.toml", text)))
    assert check([source], together=False).findings == ()
    assert [finding.code for finding in check([source], together=True).findings] == ["missing-directory"] * 2


SERVER = '[cluster]\nengine = "postgresql"\nservice = "x"\n'
KEY = 'cluster-key = {{ name = "envs", root = "/mnt" }}\n'
ON_SERVER = '[[rules]]\nname = "{}"\nlock = ["cluster", "local"]\nmatch.writable = true\n' + KEY


def codes(tmp_path: Path, project: str, system: str) -> list[str]:
    """What is found in a project's and the system file that apply here."""
    texts = (("project", project), ("system", system))
    sources = [factories.source(tmp_path / layer / "lock-policy.toml", text, layer) for layer, text in texts]
    return [finding.code for finding in check(sources, together=True).findings]


def test_missing_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that locks on a server is found where no file says which one, and no variable does."""
    rule = ON_SERVER.format("p")
    assert codes(tmp_path, rule, "") == ["missing-server"]
    assert codes(tmp_path, rule, SERVER) == []
    (finding,) = check([factories.source(tmp_path / "a.toml", rule)], together=True).findings
    assert (finding.diagnostic.line, finding.diagnostic.column) == (3, 8)
    assert check([factories.source(tmp_path / "a.toml", rule)], together=False).findings == ()
    monkeypatch.setenv("LOCK_POLICY_CLUSTER_SERVICE", "x")
    assert codes(tmp_path, rule, "") == []
    assert codes(tmp_path, "", ON_SERVER.format("s") + "mandatory = true\n") == ["missing-server"]


def test_unnamed_key(tmp_path: Path) -> None:
    """A lock on a server without a name of its own is a finding; with a name it is none, nor is a local lock."""
    named, unnamed = ON_SERVER.format("p"), ON_SERVER.replace(KEY, "").format("p")
    for text, found in ((unnamed, ["unnamed-key"]), (named, []), ('[[rules]]\nlock = "local"\n', [])):
        source = factories.source(tmp_path / "lock-policy.toml", text)
        assert [finding.code for finding in check([source], together=False).findings] == found


def test_exclusive_readers(tmp_path: Path) -> None:
    """A shared rule with a strict lock is a finding at `shared`; one of the two alone is none."""
    for lock, shared, found in (("strict", "true", 1), ("strict", "false", 0), ("local", "true", 0)):
        text = f'[[rules]]\nlock = ["{lock}"]\nshared = {shared}\n'
        source = factories.source(tmp_path / "lock-policy.toml", text)
        findings = check([source], together=False).findings
        assert [(one.code, one.diagnostic.line) for one in findings] == [("no-readers", 3)] * found
