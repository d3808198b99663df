"""The agent's messages about jobs, in order and bounded."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.jobs.inbox import JOIN_BYTES, LARGE_WEIGHT, MAX_WAITING, Inbox
from spider.wire.job_messages import JobAnswer, JobOutput, JobProgress, JobReport


@given(st.lists(st.tuples(st.sampled_from("ab"), st.binary(min_size=1, max_size=2000)), max_size=MAX_WAITING))
def test_joined_output_is_the_same_bytes_in_the_same_order(parts: list[tuple[str, bytes]]) -> None:
    async def check() -> None:
        inbox = Inbox()
        said = {"a": b"", "b": b""}
        for job, data in parts:
            await inbox.put(JobOutput(job, len(said[job]), 0, data))
            said[job] += data
        inbox.close()
        heard = {"a": b"", "b": b""}
        while (message := await inbox.get(None)) is not None:
            assert isinstance(message, JobOutput)
            assert message.offset == len(heard[message.job])
            assert len(message.data) < JOIN_BYTES + 2000
            heard[message.job] += message.data
        assert heard == said
        assert inbox.done

    asyncio.run(check())


async def test_only_the_newest_progress_is_stored() -> None:
    inbox = Inbox()
    for percent in range(100):
        await inbox.put(JobProgress("a", 0, "download", percent, "", ""))
    assert await inbox.get(0.01) is None
    assert [message.percent for message in inbox.progress.values()] == [99]


async def test_a_full_inbox_makes_its_sender_wait() -> None:
    inbox = Inbox()
    for _ in range(MAX_WAITING):
        await inbox.put(JobAnswer("a", "accepted", "", 0))
    waiting = asyncio.create_task(inbox.put(JobAnswer("b", "accepted", "", 0)))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert await inbox.get(None) is not None
    await waiting


async def test_a_few_large_messages_fill_the_inbox() -> None:
    """Each may hold thousands of texts: 64 of them would take a hundred megabytes."""
    inbox = Inbox()
    large = JobReport("a", "no", "", [], [], [], [], [])
    for _ in range(MAX_WAITING // LARGE_WEIGHT):
        await inbox.put(large)
    waiting = asyncio.create_task(inbox.put(large))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert await inbox.get(None) is large
    await waiting


async def test_closing_the_inbox_ends_its_waiters() -> None:
    inbox = Inbox()
    reader = asyncio.create_task(inbox.get(None))
    await asyncio.sleep(0)
    inbox.close()
    assert await reader is None
