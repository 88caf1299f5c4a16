from __future__ import annotations

import inspect

import pytest

import policy


@pytest.mark.parametrize("name", policy.__all__)
def test_public_names(name: str) -> None:
    """Every public name is there, keeps its place once it was used, and says what it is."""
    value = getattr(policy, name)
    assert getattr(policy, name) is value
    assert name in vars(policy)
    assert inspect.getdoc(value)


def test_names_are_listed() -> None:
    """`dir(policy)` is what is public, in order, before anything is imported."""
    assert dir(policy) == sorted(policy.__all__)
    assert policy.__version__


def test_no_other_names() -> None:
    """A name that does not exist is an AttributeError that says so."""
    with pytest.raises(AttributeError, match=r"^module 'policy' has no attribute 'locker'$"):
        _ = policy.locker
