"""The program of scripts/bench: the benchmarks by name."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable

import uvloop

from scripts.benches import page
from scripts.benches.access import requests
from scripts.benches.access.costs import costs
from scripts.benches.access.sso import sso
from scripts.benches.access.storms import storms
from scripts.benches.hub import alert_service, alerts, fleet
from scripts.benches.hub.connection import connection
from scripts.benches.hub.fleet_latency import fleet_age
from scripts.benches.hub.frames import frame_cpu
from scripts.benches.hub.history import history
from scripts.benches.hub.isolation import isolation
from scripts.benches.hub.start import start
from scripts.benches.jobs import output, plan
from scripts.benches.jobs.bulk_deploy import many
from scripts.benches.jobs.first_second import first_second
from scripts.benches.jobs.plans_of_many import plans_of_many
from scripts.benches.rollouts.live import live
from scripts.benches.rollouts.look import look
from scripts.benches.rollouts.placebo import placebo
from scripts.benches.spider.figures import hours, spider_figures
from scripts.benches.spider.unit import unit_rss

SPIDER_SECONDS = 30

Results = list[dict[str, object]]


def spider() -> Results:
    """The agent compared with other programs, its frames, its bytes a day, its start."""
    return spider_figures(SPIDER_SECONDS)


def spider_hours() -> Results:
    """The agent's memory over hours."""
    return asyncio.run(hours(int(os.environ.get("STARDUST_SPIDER_MINUTES", "180"))))


BENCHES: dict[str, Callable[[], Results]] = {
    "spider": spider,
    "hub.frame_cpu": lambda: asyncio.run(frame_cpu()),
    "hub.fleet": fleet.crowd,
    "hub.reconnect": fleet.reconnect,
    "hub.connection": lambda: asyncio.run(connection()),
    "hub.start": start,
    "store.isolation": isolation,
    "live.fleet_age": fleet_age,
    "alert.eval": alerts.evaluation,
    "alert.memory": alerts.memory,
    "alert.storm": lambda: asyncio.run(alert_service.storm()),
    "alert.restart": lambda: asyncio.run(alert_service.restart()),
    "alert.explain": lambda: asyncio.run(alert_service.explain()),
    "alert.latency": alert_service.latency,
    "rollouts.placebo": placebo,
    "rollouts.live": live,
    "rollouts.look": look,
    "history": lambda: asyncio.run(history()),
    "spider.unit_rss": unit_rss,
    "deploy.first_second": first_second,
    "deploy.many": many,
    "access.request_overhead": lambda: uvloop.run(requests.request_overhead()),  # as the hub
    "access.storms": lambda: asyncio.run(storms()),
    "access.costs": lambda: asyncio.run(costs()),
    "access.revocation": lambda: asyncio.run(requests.revocation()),
    "access.foreign": lambda: asyncio.run(requests.foreign()),
    "access.sso": lambda: asyncio.run(sso()),
    "job.output": lambda: asyncio.run(output.output()),
    "job.line": lambda: asyncio.run(output.line()),
    "job.plan": plan.plan,
    "job.plans_of_many": plans_of_many,
    "job.fairness": lambda: asyncio.run(output.fairness()),
    **page.BENCHES,
}
LONG: dict[str, Callable[[], Results]] = {"hub.soak": fleet.soak, "spider.hours": spider_hours, **page.LONG}
"""Benchmarks that run only if they are named."""


def main() -> int:
    """Run the named benchmarks, or all of BENCHES. Returns: 2 if a name is unknown, else 0."""
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
