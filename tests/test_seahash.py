from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from policy.seahash import seahash


@given(data=st.binary(max_size=80))
def test_seahash_is_a_64_bit_number(data: bytes) -> None:
    """Any bytes have a hash that fits in 64 bits, and it depends on their length."""
    assert 0 <= seahash(data) < 1 << 64
    assert seahash(data) != seahash(data + b"\0")


def test_as_the_crate() -> None:
    """The hash of a text is the one that the documentation of the crate gives for it."""
    assert seahash(b"to be or not to be") == 1988685042348123509
