"""A started hub for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.inprocess_hub import TestHub, running


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[TestHub]:
    async with running(tmp_path) as started:
        yield started
