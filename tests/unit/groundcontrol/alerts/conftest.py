"""A simulated fleet with its alerts, for the tests of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.alert_trial import AlertTrial, alert_trial


@pytest.fixture
async def trial(tmp_path: Path) -> AsyncIterator[AlertTrial]:
    async with alert_trial(tmp_path) as made:
        yield made
