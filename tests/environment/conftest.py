from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.environment.work import Work

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """The folder of all."""
    return Work(tmp_path)
