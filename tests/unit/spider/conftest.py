"""For tests that run Spider as it is shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bundles import shipped_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "spider.pyz"
    path.write_bytes(shipped_bundle())
    return path
