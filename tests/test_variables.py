from __future__ import annotations

import os

import pytest

from policy import variables
from policy.errors import UsageError
from policy.variables import boolean, flag

SPELLED = {
    True: ["y", "yes", "t", "true", "on", "1", "YES", "True", "oN", "T", "Y"],
    False: ["n", "no", "f", "false", "off", "0", "NO", "False", "oFF", "F", "N"],
    None: ["", " ", "2", "-1", "truee", "yes ", "enabled", "null", "\u00ff"],
}


@pytest.mark.parametrize(("expected", "value"), [(flag, value) for flag, values in SPELLED.items() for value in values])
def test_boolean(expected: bool | None, value: str) -> None:
    """Booleans in variables are uv's, in any case; anything else, empty too, is none."""
    assert boolean(value) is expected


@pytest.mark.parametrize("value", SPELLED[None])
def test_no_flag(value: str) -> None:
    """A flag of ours that is set to no boolean is an error that does not show the value."""
    with pytest.raises(UsageError) as caught:
        flag({"LOCK_POLICY_NO_CONFIG": value}, "LOCK_POLICY_NO_CONFIG")
    assert str(caught.value) == "LOCK_POLICY_NO_CONFIG must be a boolean (true, false, yes, no, on, off, 1 or 0)"


def test_flag() -> None:
    """An unset flag is false."""
    assert flag({}, "X") is False
    assert flag({"X": "on"}, "X") is True


@pytest.mark.parametrize("quick", [True, False])
def test_own_variables(monkeypatch: pytest.MonkeyPatch, *, quick: bool) -> None:
    """This process's variables are read as os.environ has them, also where its own table cannot be asked."""
    if not quick:
        monkeypatch.setattr(variables, "_own", None)
    value = os.fsdecode(b"\xff-\xc3\xa9")
    monkeypatch.delenv("LOCK_POLICY_A", raising=False)
    monkeypatch.setenv("LOCK_POLICY_B", "")
    before = variables.state(os.environ, ("LOCK_POLICY_A", "LOCK_POLICY_B"))
    assert variables.get(os.environ, "LOCK_POLICY_A") is None
    assert variables.get(os.environ, "LOCK_POLICY_B") == ""
    monkeypatch.setenv("LOCK_POLICY_A", value)
    assert variables.get(os.environ, "LOCK_POLICY_A") == value
    monkeypatch.setenv("\u00e9", "x")
    assert variables.get(os.environ, "\u00e9") == "x"
    assert variables.state(os.environ, ("LOCK_POLICY_A", "LOCK_POLICY_B")) != before
    monkeypatch.delenv("LOCK_POLICY_A")
    assert variables.state(os.environ, ("LOCK_POLICY_A", "LOCK_POLICY_B")) == before


def test_given_variables() -> None:
    """A mapping that is given is asked itself."""
    assert variables.get({"A": "x"}, "A") == "x"
    assert variables.state({"A": "x"}, ("A", "B")) == ("x", None)
