"""Where a value was written: file, path of keys, line and column."""

from __future__ import annotations

from attrs import frozen


@frozen
class Location:
    """A value in a configuration file.

    Args:
        file: The file as it is shown to people.
        keys: The path of keys and indices that leads to the value.
    """

    file: str
    keys: tuple[str | int, ...] = ()

    def at(self, key: str | int) -> Location:
        """One key further in."""
        return Location(self.file, (*self.keys, key))


@frozen
class Diagnostic:
    """Something wrong with a value, a key or a file.

    Args:
        location: Which value.
        message: What is wrong and what to do about it.
        of_key: True when the key is at fault, not its value.
        line: Counted from 1; 0 when the whole file is meant.
        column: Counted from 1, in characters.
        width: How many characters the caret underlines.
        excerpt: The line of the file, without its end.
        code: Which kind of thing is wrong, as `policy rule` describes it.
        suggested_for: The name that is not known.
        suggestion: The known name that was probably meant.
    """

    location: Location
    message: str
    of_key: bool = False
    line: int = 0
    column: int = 0
    width: int = 1
    excerpt: str = ""
    code: str = "wrong-value"
    suggested_for: str = ""
    suggestion: str = ""
