"""Jobs with more output than anybody reads: stored output is complete and bounded, and other jobs are not delayed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from spider.jobs.files import LOG, JobResult, write_result
from spider.root.terminal import MAX_LOG_BYTES, NOTES_BYTES, Log
from spider.wire.job_messages import MAX_OUTPUT_BYTES, OUTPUT_WINDOW_BYTES, JobAck, JobAnswer, JobOutput, JobStart
from spider.wire.orders import SignedOrder
from tests.support.agent import IDENTITY, SpiderProcess, TestAgent, agents, layout_of, pack_of
from tests.support.eventually import eventually
from tests.support.fake_launcher import FakeLauncher, FakeRunner
from tests.support.hub import HubProcess
from tests.support.invariants import check_databases
from tests.support.job_messages import order

MEBIBYTE = 1 << 20
SPIDER_LIMIT_BYTES = 100_000_000
QUICK, FLOOD = 12 * MEBIBYTE, 600 * MEBIBYTE


# -- a flooding job --------------------------------------------------------------------------------------------


def flood(folder: Path, size: int) -> Log:
    """Numbered lines as fast as they can be written, into the runner's own log, which keeps what it may."""
    (folder / LOG).unlink()
    log = Log(str(folder / LOG))
    printed = at = 0
    while printed < size:
        block = b"".join(b"%09d the package manager has a lot to say about nothing in particular\r\n" % (at + line) for line in range(4000))
        log.write(block)
        printed, at = printed + len(block), at + 4000
    log.close()
    return log


def peak_bytes(pid: int) -> int:
    """The most memory that a process ever had resident."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


async def print_all(hub: HubProcess, tmp_path: Path, size: int) -> None:
    """F-16: the real Spider tells a flood whole, in bounds, while another node's samples go on being acknowledged."""
    logs: list[Log] = []

    async def work(runner: FakeRunner, _order: SignedOrder) -> None:
        log = await asyncio.to_thread(flood, runner.folder, size)
        logs.append(log)
        result = JobResult(
            state="succeeded", rc=0, signal=0, bytes=log.bytes, lost=log.lost, sha256=log.sha256(), started_at=runner.started_at,
            ended_at=runner.started_at + 1, changes=[], error_code="", error_text="",
        )  # fmt: skip
        write_result(str(runner.folder), result)

    printer, measurer = await asyncio.to_thread(hub.enrol, "printer", "measurer")
    spider = SpiderProcess(tmp_path / "spider", hub, printer)
    async with FakeLauncher(spider.launcher, spider.jobs, printer.launch_key, work), agents(hub, measurer) as [other]:
        try:
            await other.join()
            await other.say(layout_of())
            spider.launch()
            await eventually(lambda: hub.node(printer.node_id)["policy"])
            job = (await order(hub, printer))["id"]
            await eventually(lambda: hub.job(job)["output_bytes"])
            shown = None
            while shown is None or not shown["ended_at"]:
                seq = other.acked[0] + 1
                await other.say(pack_of(seq))
                await other.wait_acked(seq)
                shown = await asyncio.to_thread(hub.job, job)
            assert spider.process is not None
            peak = peak_bytes(spider.process.pid)
        finally:
            await asyncio.to_thread(spider.close)
    [log] = logs
    assert (shown["state"], shown["error"]) == ("succeeded", None)
    assert (shown["output_bytes"], shown["output_sha256"]) == (log.bytes, log.sha256())
    assert shown["output_total_bytes"] == log.bytes + log.lost >= size
    assert log.bytes <= MAX_LOG_BYTES + NOTES_BYTES if size > MAX_LOG_BYTES else log.lost == 0
    end = await asyncio.to_thread(hub.job_output, job, log.bytes - NOTES_BYTES)
    assert (b"[stardust: the log of this job is full" in end) is (size > MAX_LOG_BYTES)
    assert peak < SPIDER_LIMIT_BYTES
    await asyncio.to_thread(check_databases, hub.folder)


@pytest.mark.holds("SAFETY-86", "F-16")
async def test_a_flood_of_output_arrives_complete_and_blocks_nothing(hub: HubProcess, tmp_path: Path) -> None:
    await print_all(hub, tmp_path, QUICK)


@pytest.mark.holds("SAFETY-86", "F-16")
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_six_hundred_megabytes_of_output_are_capped_with_their_true_total(hub: HubProcess, tmp_path: Path) -> None:
    await print_all(hub, tmp_path, FLOOD)


# -- many that do ----------------------------------------------------------------------------------------------


async def serve_alike(hub: HubProcess, count: int, mebibytes: int) -> None:
    """F-17: each sends ahead as much as its window lets it, until the hub holds so much of all together."""
    nodes = await asyncio.to_thread(hub.enrol, *(f"printer-{number}" for number in range(count)))
    held = dict.fromkeys((node.node_id for node in nodes), 0)

    def enough() -> bool:
        return sum(held.values()) >= count * mebibytes * MEBIBYTE

    async def stream(agent: TestAgent) -> None:
        start = await agent.expect(JobStart)
        await agent.say(JobAnswer(start.job, "accepted", "", 0))
        sent, chunk = 0, os.urandom(MAX_OUTPUT_BYTES)
        while not enough():
            while sent - held[agent.node.node_id] < OUTPUT_WINDOW_BYTES:
                await agent.say(JobOutput(start.job, sent, 0, chunk))
                sent += len(chunk)
            held[agent.node.node_id] = (await agent.expect(JobAck)).offset

    async with agents(hub, *nodes) as crowd:
        for agent in crowd:
            await agent.join()
            await agent.say(IDENTITY)
        for node in nodes:
            await eventually(lambda node=node: hub.node(node.node_id)["policy"])  # type: ignore[misc]
            await order(hub, node)
        async with asyncio.timeout(240), asyncio.TaskGroup() as group:
            for agent in crowd:
                group.create_task(stream(agent))
    mean = sum(held.values()) / count
    shares = sorted(round(bytes_ / mean, 2) for bytes_ in held.values())
    print(f"{count} nodes, shares of the mean: {shares[0]} to {shares[-1]}")
    assert 0.8 <= shares[0] <= shares[-1] <= 1.2, shares
    await asyncio.to_thread(check_databases, hub.folder)


@pytest.mark.holds("SAFETY-97", "F-17")
async def test_nodes_with_maximum_output_are_served_equally(hub: HubProcess) -> None:
    await serve_alike(hub, 5, 8)


@pytest.mark.holds("F-17")
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_twenty_nodes_with_maximum_output_are_served_equally(hub: HubProcess) -> None:
    await serve_alike(hub, 20, 20)
