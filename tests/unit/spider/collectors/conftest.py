"""Collectors measure file systems: theirs are on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def tmp_path(disk_path: Path) -> Path:
    """A folder whose file systems are measured."""
    return disk_path
