"""A started hub for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import pbkdf2_hmac
from pathlib import Path

import bcrypt
import pytest

from tests.support.alert_trial import AlertTrial, alert_trial
from tests.support.inprocess_hub import TestHub, running


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[TestHub]:
    async with running(tmp_path) as started:
        yield started


@pytest.fixture
def quick_kdf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are derived from secrets at once. As shipped this takes half a second each time."""
    monkeypatch.setattr(bcrypt, "kdf", lambda secret, salt, size, rounds: pbkdf2_hmac("sha512", secret, salt, rounds, size))


@pytest.fixture
async def trial(tmp_path: Path) -> AsyncIterator[AlertTrial]:
    """A simulated fleet with its alerts and messages."""
    async with alert_trial(tmp_path) as made:
        yield made
