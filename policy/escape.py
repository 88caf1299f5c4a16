"""Text from outside, made safe to print."""

from __future__ import annotations


def escape(text: str) -> str:
    r"""Escapes whatever would move the cursor, reorder a line or not be seen, as Python writes it: `\x1b`, `\u202e`.

    Those are the characters that `str.isprintable` refuses: controls, bidirectional and other format characters, lone
    surrogates, private and unassigned ones, and every separator but the space.

    Args:
        text: A message, a path or a line of a file.
    """
    if text.isprintable():
        return text
    return "".join([character if character.isprintable() else escaped(character) for character in text])


def escaped(character: str) -> str:
    """One character as an escape sequence of Python."""
    return character.encode("unicode_escape").decode("ascii")
