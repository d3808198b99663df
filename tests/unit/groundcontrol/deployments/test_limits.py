"""The queue for writing, and the limit on waiting."""

from __future__ import annotations

import asyncio

import pytest

from groundcontrol.adapters.sqlite.engine.writer import STALL_S
from groundcontrol.core.errors import StoreBusy
from groundcontrol.deployments.limits import PATIENCE_S, WriteLock
from tests.support.clock import settle


def test_the_patience_equals_the_stall_limit_of_the_store() -> None:
    assert PATIENCE_S == STALL_S


async def test_a_late_caller_is_refused_immediately_and_a_patient_one_waits() -> None:
    lock, loop = WriteLock(patience_s=0.3), asyncio.get_running_loop()

    async def patient() -> None:
        async with lock:
            pass

    async def in_time() -> None:
        async with lock.in_time():
            pass

    async with asyncio.timeout(60):
        began = loop.time()
        async with lock:
            waiting = asyncio.create_task(patient())
            with pytest.raises(StoreBusy):
                await in_time()
            assert loop.time() - began >= 0.29
            late = asyncio.create_task(in_time())
            await settle()
            assert late.done()  # after a few turns of the loop, and so without waiting
            with pytest.raises(StoreBusy):
                await late
            assert not waiting.done()
        await waiting
        async with lock.in_time():
            assert lock.locked()
    assert not lock.locked()
