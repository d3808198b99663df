"""The benchmarks by name; `scripts/bench` prepares what they need."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable

import uvloop

from scripts import bench_access, bench_alerts, bench_fleet, bench_jobs, bench_page, bench_plan
from scripts.bench_age import fleet_age
from scripts.bench_connection import connection
from scripts.bench_costs import costs
from scripts.bench_deploy import first_second
from scripts.bench_frames import frame_cpu
from scripts.bench_handshake import handshake
from scripts.bench_history import history
from scripts.bench_latest import latest_1000
from scripts.bench_many import many
from scripts.bench_return import spread
from scripts.bench_spider import hours, spider_figures
from scripts.bench_start import start
from scripts.bench_storms import storms
from scripts.bench_threads import beside_a_thread
from scripts.bench_unit import unit_rss
from scripts.bench_updates import updates

SPIDER_SECONDS = 30

Results = list[dict[str, object]]


def spider() -> Results:
    """The agent beside other programs, its frames, its bytes a day, its start."""
    return spider_figures(SPIDER_SECONDS)


def spider_hours() -> Results:
    """The agent's memory over hours."""
    return asyncio.run(hours(int(os.environ.get("STARDUST_SPIDER_MINUTES", "180"))))


BENCHES: dict[str, Callable[[], Results]] = {
    "spider": spider,
    "hub.frame_cpu": lambda: asyncio.run(frame_cpu()),
    "hub.beside_a_thread": beside_a_thread,
    "hub.fleet": bench_fleet.crowd,
    "hub.reconnect": bench_fleet.reconnect,
    "hub.return": spread,
    "hub.handshake": handshake,
    "hub.connection": lambda: asyncio.run(connection()),
    "hub.start": start,
    "hub.updates": lambda: asyncio.run(updates()),
    "live.fleet_age": fleet_age,
    "live.latest_1000": latest_1000,
    "alert.eval": bench_alerts.evaluation,
    "alert.memory": bench_alerts.memory,
    "history": lambda: asyncio.run(history()),
    "spider.unit_rss": unit_rss,
    "deploy.first_second": first_second,
    "deploy.many": many,
    "access.request_overhead": lambda: uvloop.run(bench_access.request_overhead()),  # as the hub
    "access.storms": lambda: asyncio.run(storms()),
    "access.costs": lambda: asyncio.run(costs()),
    "access.revocation": lambda: asyncio.run(bench_access.revocation()),
    "job.output": lambda: asyncio.run(bench_jobs.output()),
    "job.line": lambda: asyncio.run(bench_jobs.line()),
    "job.plan": bench_plan.plan,
    "job.fairness": lambda: asyncio.run(bench_jobs.fairness()),
    **bench_page.BENCHES,
}
LONG: dict[str, Callable[[], Results]] = {"hub.soak": bench_fleet.soak, "spider.hours": spider_hours, **bench_page.LONG}
"""Only when they are named."""


def main() -> int:
    """Run what is named, or everything."""
    names = sys.argv[1:] or list(BENCHES)
    every = BENCHES | LONG
    unknown = [name for name in names if name not in every]
    if unknown:
        print(f"scripts/bench: no benchmark is called {', '.join(unknown)}; there are {', '.join(every)}", file=sys.stderr)
        return 2
    for name in names:
        for line in every[name]():
            print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
