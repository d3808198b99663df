"""The program of scripts/bench: the benchmarks by name."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from scripts.benches import page
from scripts.benches.access.costs import costs
from scripts.benches.access.requests import request_overhead, revocation
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
from scripts.benches.measure import Results
from scripts.benches.rollouts.live import live
from scripts.benches.rollouts.look import look
from scripts.benches.rollouts.placebo import placebo
from scripts.benches.spider.figures import hours, spider_figures
from scripts.benches.spider.unit import unit_rss

Bench = Callable[[], Results] | Callable[[], Coroutine[Any, Any, Results]]

BENCHES: dict[str, Bench] = {
    "spider": spider_figures,
    "spider.unit_rss": unit_rss,
    "hub.frame_cpu": frame_cpu,
    "hub.fleet": fleet.crowd,
    "hub.reconnect": fleet.reconnect,
    "hub.connection": connection,
    "hub.start": start,
    "store.isolation": isolation,
    "live.fleet_age": fleet_age,
    "alert.eval": alerts.evaluation,
    "alert.memory": alerts.memory,
    "alert.storm": alert_service.storm,
    "alert.restart": alert_service.restart,
    "alert.explain": alert_service.explain,
    "alert.latency": alert_service.latency,
    "rollouts.placebo": placebo,
    "rollouts.live": live,
    "rollouts.look": look,
    "history": history,
    "deploy.first_second": first_second,
    "deploy.many": many,
    "access.request_overhead": request_overhead,
    "access.storms": storms,
    "access.costs": costs,
    "access.revocation": revocation,
    "access.sso": sso,
    "job.output": output.output,
    "job.line": output.line,
    "job.plan": plan.plan,
    "job.plans_of_many": plans_of_many,
    "job.fairness": output.fairness,
    **page.BENCHES,
}
LONG: dict[str, Bench] = {"hub.soak": fleet.soak, "spider.hours": hours, **page.LONG}
"""Benchmarks that run only if they are named."""
HELP = """usage: scripts/bench [NAME ...]

Each line: {"name", "value", "unit", "versus"?, "ratio"?}; `versus` was measured in the same run, `ratio` is value / versus.
Without NAME, all run except those marked (named only). Those of deploy, job.line, job.plan, rollouts.look and spider.unit_rss need lab hosts.
"""


def names() -> str:
    """A line for each benchmark: its name, and what its function says first."""
    about = {name: re.split(r"\. |\n", inspect.getdoc(bench) or "")[0] for name, bench in (BENCHES | LONG).items()}
    return "\n".join(f"  {name:<24}{'(named only) ' if name in LONG else ''}{text}" for name, text in about.items())


def main() -> int:
    """Run the named benchmarks, or all of BENCHES. Returns: 2 if a name is unknown, else 0."""
    every = BENCHES | LONG
    if {"-h", "--help"} & set(sys.argv):
        print(f"{HELP}{names()}")
        return 0
    chosen = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in chosen if name not in every]
    if unknown:
        print(f"scripts/bench: no benchmark is called {', '.join(unknown)}; there are:\n{names()}", file=sys.stderr)
        return 2
    for name in chosen:
        found = every[name]()
        for line in found if isinstance(found, list) else asyncio.run(found):
            print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
