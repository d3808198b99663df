"""job.*: the cost of a job's output, the delay of a line in a browser, and how equally many nodes are served.

The node is the real Spider as a process. A separate program writes the files of a job as the runner does, with the runner's log. A client
of the live socket takes the place of the browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgpack

from scripts.benches.jobs.first_second import plain_ssh
from scripts.benches.measure import Results, cpu_seconds
from scripts.benches.measure import line as figure
from spider.jobs.files import LOG, RUN, JobResult, write_result
from spider.root.terminal import Log
from spider.wire.job_messages import OUTPUT_WINDOW_BYTES, JobAck, JobAnswer, JobOutput, JobStart
from spider.wire.orders import SignedOrder
from tests.support import lab as labs
from tests.support.agent import BOOT, IDENTITY, SpiderProcess, TestAgent, agents
from tests.support.eventually import eventually
from tests.support.fake_launcher import FakeLauncher, FakeRunner
from tests.support.hub import ROOT, HubProcess

MB = 1_000_000
FLOOD_S = 60
FLOOD_MB_PER_S = 10
LINES = 400
LINE_EVERY_S = 0.05
NODES = 20
FAIR_S = 20.0
METRICS_TOKEN = "for the bench of jobs alone"  # for a hub that runs for a minute


def peak_mb(pid: int) -> float:
    """The most memory that a process ever had resident, in MB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / MB


def worst_lag_ms(hub: HubProcess) -> float:
    """The longest delay of the hub's loop within the last minute, in milliseconds."""
    text = hub.request("GET", "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}).body.decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("stardust_loop_lag_seconds_max ")) * 1000


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies, 0 to 1."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


# -- printers ------------------------------------------------------------------------------------------


def print_flood(folder: str) -> None:
    """Write FLOOD_MB_PER_S in numbered lines into the runner's log, which drops the output above its limit."""
    log = Log(os.path.join(folder, LOG))
    began, printed = time.time(), 0
    block = b"".join(b"%07d the package manager has a lot to say about nothing in particular\r\n" % at for at in range(1000))
    while printed < FLOOD_S * FLOOD_MB_PER_S * MB:
        ahead_s = printed / (FLOOD_MB_PER_S * MB) - (time.time() - began)
        if ahead_s > 0:
            time.sleep(ahead_s)
        log.write(block)
        printed += len(block)
    log.close()
    _end(folder, log, began)


def print_lines(folder: str) -> None:
    """Write LINES lines, one every LINE_EVERY_S. Each line is its time, in Unix seconds."""
    log = Log(os.path.join(folder, LOG))
    began = time.time()
    for _ in range(LINES):
        log.write(f"{time.time():.6f}\r\n".encode())
        time.sleep(LINE_EVERY_S)
    log.close()
    _end(folder, log, began)


def _end(folder: str, log: Log, began: float) -> None:
    result = JobResult(
        state="succeeded", rc=0, signal=0, bytes=log.bytes, lost=log.lost, sha256=log.sha256(), started_at=began, ended_at=time.time(),
        changes=[], error_code="", error_text="",
    )  # fmt: skip
    write_result(folder, result)


@contextlib.asynccontextmanager
async def printing(what: str) -> AsyncIterator[tuple[HubProcess, SpiderProcess, str]]:
    """A hub, a Spider, and the id of a job in which a separate program prints `what`: flood or lines."""

    async def work(runner: FakeRunner, order: SignedOrder) -> None:
        (runner.folder / LOG).unlink()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scripts.benches.jobs.output", what, str(runner.folder), order.job, cwd=ROOT, stdin=subprocess.DEVNULL
        )  # Spider recognises a runner by the job's id among its arguments
        (runner.folder / RUN).write_text(json.dumps({"pid": process.pid, "boot": BOOT, "started_at": time.time()}))
        await process.wait()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hub = HubProcess(folder / "hub", env={"STARDUST_METRICS_TOKEN": METRICS_TOKEN})
        await hub.start()
        [node] = await asyncio.to_thread(hub.enrol, "printer")
        spider = SpiderProcess(folder / "spider", hub, node)
        try:
            async with FakeLauncher(spider.launcher, spider.jobs, node.launch_key, work):
                spider.launch()
                await eventually(lambda: hub.node(node.node_id)["policy"], 20)
                job = (await hub.call("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "upgrade"})).json
                yield hub, spider, job["id"]
        finally:
            await asyncio.to_thread(spider.close)
            await asyncio.to_thread(hub.close)


# -- the benches ---------------------------------------------------------------------------------------


async def output() -> Results:
    """10 MB/s for a minute: the hub's loop lag, and the CPU and memory of Spider."""
    async with printing("flood") as (hub, spider, job):
        assert spider.process is not None
        pid = spider.process.pid
        await eventually(lambda: hub.job(job)["output_bytes"] > 0, 20)
        began, used_s = time.monotonic(), cpu_seconds(pid)
        lag_ms = 0.0
        while (shown := await asyncio.to_thread(hub.job, job))["ended_at"] is None:
            lag_ms = max(lag_ms, await asyncio.to_thread(worst_lag_ms, hub))
            if shown["output_bytes"] < 250 * MB:
                took_s, stored, spent_s = time.monotonic() - began, shown["output_bytes"], (cpu_seconds(pid) - used_s)
            await asyncio.sleep(1)
        assert shown["state"] == "succeeded", shown["error"]
        rss_mb = peak_mb(pid)
    return [
        figure("job.output_rate", stored / took_s / MB, "MB/s"),
        figure("job.output_loop_lag", lag_ms, "ms"),
        figure("job.output_spider_cpu", spent_s / took_s, "cores"),
        figure("job.output_spider_rss", rss_mb, "MB"),
        figure("job.output_held", shown["output_bytes"], "bytes", shown["output_total_bytes"]),
    ]


async def _browser_delays(hub: HubProcess, job: str) -> list[float]:
    login = await asyncio.to_thread(hub.login)
    delays: list[float] = []
    rest = b""
    headers = {"Authorization": f"Bearer {login.token}"}
    async with aiohttp.ClientSession(headers=headers) as http, http.ws_connect(f"{hub.url}/api/v1/live") as live:
        await live.send_bytes(msgpack.packb(["subscribe", {"topic": f"job:{job}"}]))
        async for message in live:
            now = time.time()
            kind, body = msgpack.unpackb(message.data)
            if kind == "change" and "output" in body["data"]:
                *lines, rest = (rest + body["data"]["output"]).split(b"\r\n")
                delays += [now - float(line) for line in lines]
            if kind == "change" and body["data"].get("job", {}).get("ended_at"):
                return delays
    return delays


async def _ssh_delays(host: labs.Host, folder: Path) -> list[float]:
    """Delays of the same lines from a program that plain ssh runs on a host, in seconds."""
    code = f"import time\nfor _ in range({LINES}):\n print(f'{{time.time():.6f}}', flush=True)\n time.sleep({LINE_EVERY_S})"
    process = await asyncio.create_subprocess_exec(
        *plain_ssh(host, folder), "python3", "-c", f'"{code}"', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    delays = []
    async for line in process.stdout:
        delays.append(time.time() - float(line))  # noqa: PERF401  # the moment counts
    await process.wait()
    return delays


async def line() -> Results:
    """Delay of a line from the job's terminal to a browser, compared with a line over plain ssh at the same time."""
    host = (await asyncio.to_thread(lambda: labs.up(debian=1)))[0]
    try:
        async with printing("lines") as (hub, _spider, job):
            with tempfile.TemporaryDirectory() as folder:
                browser, ssh = await asyncio.gather(_browser_delays(hub, job), _ssh_delays(host, Path(folder)))
    finally:
        await asyncio.to_thread(labs.down)
    browser, ssh = browser[LINES // 10 :], ssh[LINES // 10 :]  # both have begun
    return [
        figure(f"job.line_{name}", percentile(browser, share) * 1000, "ms", percentile(ssh, share) * 1000)
        for name, share in (("p99", 0.99), ("p50", 0.5))
    ]


async def _stream(agent: TestAgent, until_s: float) -> int:
    """Send one megabyte a second, as far as the window allows. Returns: the acknowledged bytes."""
    start = await agent.expect(JobStart, 60)
    await agent.say(JobAnswer(start.job, "accepted", "", 0))
    sent = acked = 0
    began = time.monotonic()
    chunk = bytes(range(256)) * 128
    while (passed := time.monotonic() - began) < until_s:
        while sent < passed * MB and sent - acked < OUTPUT_WINDOW_BYTES:
            await agent.say(JobOutput(start.job, sent, 0, chunk))
            sent += len(chunk)
        with contextlib.suppress(TimeoutError):
            message: Any = await agent.hear(0.02)
            if isinstance(message, JobAck):
                acked = message.offset
    return acked


async def fairness() -> Results:
    """Twenty nodes print a megabyte a second each: how far the worst and the best are from the mean."""
    with tempfile.TemporaryDirectory() as name:
        hub = HubProcess(Path(name) / "hub", env={"STARDUST_METRICS_TOKEN": METRICS_TOKEN})
        await hub.start()
        try:
            nodes = await asyncio.to_thread(hub.enrol, *(f"n{at}" for at in range(NODES)))
            async with agents(hub, *nodes) as joined:
                for agent in joined:
                    await agent.join()
                    await agent.say(IDENTITY)
                for node in nodes:
                    await hub.call("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "upgrade"})
                acked = await asyncio.gather(*(_stream(agent, FAIR_S) for agent in joined))
                lag_ms = await asyncio.to_thread(worst_lag_ms, hub)
        finally:
            await asyncio.to_thread(hub.close)
    mean = statistics.mean(acked)
    return [
        figure("job.fairness", max(max(acked) / mean - 1, 1 - min(acked) / mean) * 100, "percent"),
        figure("job.fairness_rate", mean / FAIR_S / MB, "MB/s a node"),
        figure("job.fairness_loop_lag", lag_ms, "ms"),
    ]


if __name__ == "__main__":
    {"flood": print_flood, "lines": print_lines}[sys.argv[1]](sys.argv[2])
