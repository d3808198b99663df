"""Spider as shipped, and the files of a launcher."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.root.launcher import LauncherPaths
from tests.support.bundles import WITHOUT_MANAGER, bundle_of, shipped_bundle
from tests.support.launcher import launcher_paths


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "spider.pyz"
    path.write_bytes(shipped_bundle())
    return path


@pytest.fixture
def bundle_without_manager(tmp_path: Path) -> Path:
    """Spider as it is shipped, but for the questions to the package manager."""
    return bundle_of(tmp_path, "0.0.0", fault=WITHOUT_MANAGER)


@pytest.fixture
def paths(tmp_path: Path) -> LauncherPaths:
    return launcher_paths(tmp_path)
