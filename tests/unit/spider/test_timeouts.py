"""Timeouts of waits, and cancelled waits."""

from __future__ import annotations

import asyncio

import pytest

from spider.timeouts import wait_for


async def value(given: str) -> str:
    await asyncio.sleep(0)
    return given


async def failure() -> None:
    await asyncio.sleep(0)
    raise OSError("the work failed")


async def test_a_result_in_time_is_returned() -> None:
    dropped: list[str] = []
    assert await wait_for(5, value("a"), drop=dropped.append) == "a"
    assert await wait_for(None, value("b")) == "b"
    with pytest.raises(OSError, match="the work failed"):
        await wait_for(5, failure())
    assert dropped == []


async def test_work_over_its_time_limit_is_cancelled() -> None:
    ended = asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(asyncio.TimeoutError):
        await wait_for(0.01, slow())
    assert ended.is_set()


async def test_a_cancelled_waiter_stays_cancelled_when_the_work_ends_in_that_moment() -> None:
    dropped: list[str] = []
    loop = asyncio.get_running_loop()
    work: asyncio.Future[str] = loop.create_future()
    waiter = asyncio.ensure_future(wait_for(5, work, drop=dropped.append))
    await asyncio.sleep(0.01)
    work.set_result("nobody's")
    loop.call_soon(waiter.cancel)  # after the future has called back, before the waiter goes on
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert dropped == ["nobody's"]


async def test_cancelling_the_waiter_cancels_the_work() -> None:
    dropped: list[str] = []
    work: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    waiter = asyncio.ensure_future(wait_for(None, work, drop=dropped.append))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert work.cancelled()
    assert dropped == []
