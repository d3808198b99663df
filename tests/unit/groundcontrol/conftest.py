"""A started hub for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.alert_trial import AlertTrial, alert_trial
from tests.support.inprocess_hub import TestHub, running


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[TestHub]:
    async with running(tmp_path) as started:
        yield started


@pytest.fixture
async def trial(tmp_path: Path) -> AsyncIterator[AlertTrial]:
    """A simulated fleet with its alerts and messages."""
    async with alert_trial(tmp_path) as made:
        yield made
