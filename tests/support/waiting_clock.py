"""The clock of a command that waits for a hub."""

from __future__ import annotations

import pytest


class WaitingClock:
    """Time that passes by waiting alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("groundcontrol.cli.watch.time.monotonic", lambda: self.now)
        monkeypatch.setattr("groundcontrol.cli.watch.asyncio.sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
