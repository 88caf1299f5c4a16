"""SeaHash, by which uv names its lock files and this program the files that it keeps and the gates of environments.

Importing a hash of the standard library costs more than computing this one for a path.
"""

from __future__ import annotations

# The default seeds and the multiplier of the `seahash` crate, version 4.
_SEEDS = (0x16F11FE89B0D677C, 0xB480A793D8E6C86C, 0x6FE2E5AAF078EBC9, 0x14F994A4C5259381)
_MULTIPLIER = 0x6EED0E9DA4D94A4F
_U64 = 0xFFFFFFFFFFFFFFFF
_WORD = 8


def _diffuse(word: int) -> int:
    word = word * _MULTIPLIER & _U64
    word ^= (word >> 32) >> (word >> 60)
    return word * _MULTIPLIER & _U64


def seahash(data: bytes) -> int:
    """SeaHash of bytes, as the stream hasher of the crate's version 4 computes it.

    The stream hasher joins what is written to it, so that any way to cut the data gives the same value.

    Args:
        data: All that is written to the hasher, in order.

    Returns:
        An unsigned integer of 64 bits.
    """
    a, b, c, d = _SEEDS
    whole = len(data) - len(data) % _WORD
    for start in range(0, whole, _WORD):
        a, b, c, d = b, c, d, _diffuse(a ^ int.from_bytes(data[start : start + _WORD], "little"))
    if whole != len(data):
        a = _diffuse(a ^ int.from_bytes(data[whole:], "little"))
    return _diffuse(a ^ b ^ c ^ d ^ len(data))
