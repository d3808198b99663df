"""Who waits for a turn to write, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from groundcontrol.deployments.writelock import PATIENCE_S, WriteLock
from groundcontrol.errors import StoreBusy
from groundcontrol.store.sqlite.writer import STALL_S


def test_nobody_is_refused_before_the_store_would_refuse() -> None:
    assert PATIENCE_S == STALL_S


async def test_who_comes_late_is_refused_at_once_and_who_can_wait_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groundcontrol.deployments.writelock.PATIENCE_S", 0.3)
    lock, loop = WriteLock(), asyncio.get_running_loop()

    async def patient() -> None:
        async with lock:
            pass

    async with asyncio.timeout(30):
        async with lock:
            waiting = asyncio.create_task(patient())
            began = loop.time()
            with pytest.raises(StoreBusy):
                await lock.in_time().__aenter__()
            assert loop.time() - began >= 0.25
            began = loop.time()
            with pytest.raises(StoreBusy):
                await lock.in_time().__aenter__()
            assert loop.time() - began < 0.25
            assert not waiting.done()
        await waiting
        async with lock.in_time():
            assert lock.locked()
    assert not lock.locked()
