from __future__ import annotations

from packaging.version import Version

from policy import __version__


def test_version() -> None:
    """The version is a release of PEP 440, spelled in its normal form, as `required-version` compares it."""
    assert str(Version(__version__)) == __version__
