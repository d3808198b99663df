"""Lists our files ("rooms") whose code runs on two walks: a watched second, from measurement to browser, and a job, from order to end.

Hub, agent, launcher and runner run as separate programs under a trace hook (`scripts/dev/rooms_trace.py`). A file counts if its code
runs in all windows, or in all but one. So every collector of a second counts. The page cannot be traced here, so its files are listed by
hand, at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import msgpack

from scripts.dev.rooms_trace import BOOT
from tests.support.agent import SpiderProcess
from tests.support.eventually import eventually, wait_until
from tests.support.hub import ROOT, Enrolled, HubProcess

WARM_UP: Final = 3
WINDOWS: Final = 9
STEP_LIMIT_S: Final = 60.0
VERB: Final = "refresh"
BOUNDS: Final = {"second": 55, "job": 121}
LIVE: Final = (
    "wire/connection.ts", "wire/unpack.ts", "state/live/link.ts", "state/live/subscribe-with-retry.ts", "state/live/frame-batch.ts",
    "state/clock.ts",
)  # fmt: skip
"""From the socket to the frame in which the page draws."""
PAGE: Final[dict[str, tuple[str, ...]]] = {
    "second": (
        *LIVE, "state/node-detail.ts", "core/charts/window.ts", "pages/node/panels.tsx", "charts/panel.tsx", "charts/chart.tsx",
        "charts/create-plot.ts", "charts/draw-overlays.ts",
    ),
    "job": (
        "pages/jobs/submit/start-job.ts", "state/step-up.ts", "state/job-detail.ts", "wire/http.ts", "state/jobs.ts", "state/router.ts",
        "pages/job/job.tsx", "wire/pack.ts", *LIVE, "core/jobs/job-labels.ts", "pages/job/output.tsx", "core/jobs/output-throttle.ts",
        "core/jobs/ansi-filter.ts", "terminal/screen.tsx",
    ),
}  # fmt: skip
"""Below `capsule/src`."""
BESIDE: Final = ("groundcontrol/lifecycle.py", "groundcontrol/housekeeping.py", "spider/memory_limit.py", "spider/reports/host_reports.py")
"""Files that run on a timer, with or without a sample or a job. They do not count."""


class Window(NamedTuple):
    """From one moment to another, in Unix nanoseconds."""

    begins_ns: int
    ends_ns: int


class Walk(NamedTuple):
    """The files that ran on one walk, in the order of their first execution."""

    name: str
    took_ms: float
    files: list[str]
    page: list[str]

    @property
    def rooms(self) -> int:
        return len(self.files) + len(self.page)


class TracedSpider(SpiderProcess):
    """The agent under the hook."""

    def __init__(self, folder: Path, hub: HubProcess, node: Enrolled, env: Mapping[str, str]) -> None:
        super().__init__(folder, hub, node)
        self._write("launch.key", node.launch_key, 0o600)
        (folder / "started").mkdir()
        self._env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "STARDUST_BOOT": BOOT, "PYTHONUNBUFFERED": "1", **env}
        self._launcher: subprocess.Popen[bytes] | None = None

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-B", "-m", "scripts.dev.rooms_trace", *words], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=self._env,
            )  # fmt: skip

    def launch(self) -> None:
        options = {
            "config": "spider.conf", "key": "session.key", "policy": "policy.conf", "state": "state", "jobs": "jobs",
            "launcher": "launcher.sock",
        }  # fmt: skip
        self._launcher = self._start("launch", str(self.folder))
        wait_until(self.launcher.exists, STEP_LIMIT_S, "the launcher does not listen")
        self.process = self._start(*(word for option, name in options.items() for word in (f"--{option}", str(self.folder / name))))

    def close(self) -> None:
        super().close()
        if self._launcher is not None:
            self._launcher.kill()
            self._launcher.wait()


class Lab(NamedTuple):
    """A hub and an agent under the hook, and a client in the place of a browser."""

    hub: HubProcess
    node: Enrolled
    http: aiohttp.ClientSession
    live: aiohttp.ClientWebSocketResponse

    async def subscribe(self, topic: str) -> None:
        await self.live.send_bytes(msgpack.packb(["subscribe", {"topic": topic}]))

    async def change(self, topic: str) -> tuple[dict[str, Any], int]:
        """The data of the next snapshot or change of a topic, and its arrival in Unix nanoseconds."""
        while True:
            message = await self.live.receive(STEP_LIMIT_S)
            arrived_ns = time.time_ns()
            if message.type is not aiohttp.WSMsgType.BINARY:
                raise RuntimeError(f"the live socket ended: {message!r}")
            kind, body = msgpack.unpackb(message.data)
            if kind in ("snapshot", "change") and body["topic"] == topic:
                return body["data"], arrived_ns


@contextlib.asynccontextmanager
async def lab(folder: Path, traces: Path, **env: str) -> AsyncIterator[Lab]:
    """Start all programs; the traces are complete at the end."""
    env["ROOMS_TRACE"] = str(traces)
    hub = HubProcess(folder / "hub", env=env, program="scripts.dev.rooms_trace")
    spider: TracedSpider | None = None
    try:
        await hub.start()
        [node] = hub.enrol("watched")
        agent = spider = TracedSpider(folder / "spider", hub, node, env)
        await asyncio.to_thread(agent.launch)
        await eventually(lambda: hub.node(node.node_id)["policy"], STEP_LIMIT_S, lambda: agent.log)
        headers = {"Authorization": f"Bearer {(await asyncio.to_thread(hub.login)).token}"}
        async with aiohttp.ClientSession(headers=headers) as http, http.ws_connect(f"{hub.url}/api/v1/live") as live:
            yield Lab(hub, node, http, live)
    finally:
        if spider is not None:
            spider.close()
        hub.close()


async def seconds(programs: Lab) -> list[Window]:
    """Windows from a measurement to its arrival in the browser that shows the node."""
    topic = f"node:{programs.node.node_id}"
    await programs.subscribe(topic)
    found: list[Window] = []
    while len(found) < WARM_UP + WINDOWS:
        data, arrived_ns = await programs.change(topic)
        newest = data["latest"].get("cpu.total")
        if "id" not in data and newest is not None:
            found.append(Window(round(newest["at"] * 1e9), arrived_ns))
    return found[WARM_UP:]


async def jobs(programs: Lab) -> list[Window]:
    """Windows from the order of a job to its end in the browser that shows it. Raises: RuntimeError: a job failed."""
    found: list[Window] = []
    while len(found) < WARM_UP + WINDOWS:
        began_ns = time.time_ns()
        async with programs.http.post(
            f"{programs.hub.url}/api/v1/nodes/{programs.node.node_id}/jobs",
            json={"action": VERB},
            headers={"Idempotency-Key": os.urandom(16).hex()},
        ) as answer:
            made = await answer.json()
        topic = f"job:{made['id']}"
        await programs.subscribe(topic)
        while True:
            data, arrived_ns = await programs.change(topic)
            job = data.get("job") or {}
            if job.get("ended_at"):
                break
        if job["state"] != "succeeded":
            raise RuntimeError(f"the job is {job['state']}: {job['error']}")
        found.append(Window(began_ns, arrived_ns))
        await asyncio.sleep(1)
    return found[WARM_UP:]


def files_of(traces: Path, windows: Sequence[Window]) -> list[str]:
    """The files that ran in all windows, or in all but one, by their median time of first execution."""
    first_ns: dict[str, dict[int, int]] = {}
    for trace in traces.iterdir():
        for line in trace.read_text().splitlines():
            at, _, name = line.partition(" ")
            for number, window in enumerate(windows):
                if window.begins_ns <= int(at) <= window.ends_ns:
                    seen = first_ns.setdefault(name, {})
                    seen[number] = min(seen.get(number, sys.maxsize), int(at) - window.begins_ns)
    often = {name: statistics.median(seen.values()) for name, seen in first_ns.items() if len(seen) >= len(windows) - 1}
    return sorted(often, key=lambda name: often[name])


async def walk(name: str) -> Walk:
    """Trace one walk: `second` or `job`."""
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder, traces = Path(name_of_folder), Path(name_of_folder) / "traces"
        traces.mkdir()
        unsampled = {"ROOMS_UNSAMPLED": "yes"} if name == "job" else {}
        async with lab(folder, traces, **unsampled) as programs:
            windows = await (jobs(programs) if name == "job" else seconds(programs))
        files = files_of(traces, windows)
    took_ms = statistics.median((window.ends_ns - window.begins_ns) / 1e6 for window in windows)
    page = [f"capsule/src/{file}" for file in PAGE[name]]
    return Walk(name, round(took_ms, 1), [file for file in files if file not in BESIDE], page)


def shown(found: Walk) -> str:
    """The report of a walk, as text for a terminal."""
    hub = sum(file.startswith("groundcontrol/") for file in found.files)
    head = f"{found.name}: {found.rooms} rooms (at most {BOUNDS[found.name]}): hub {hub}, agent {len(found.files) - hub}, page {len(found.page)}"
    return "\n".join([head, *(f"  {number:3} {file}" for number, file in enumerate([*found.files, *found.page], 1))])


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/rooms", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("walks", nargs="*", metavar="WALK", help="second, job (both)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    unknown = set(options.walks) - set(BOUNDS)
    if unknown:
        parser.error(f"no walk is called {', '.join(sorted(unknown))}")
    for name in options.walks or BOUNDS:
        found = asyncio.run(walk(name))
        record = {"walk": found.name, "rooms": found.rooms, "bound": BOUNDS[name], **found._asdict()}
        print(json.dumps(record) if options.json else shown(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
