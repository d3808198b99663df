"""job.plans_of_many: from one request for the plans of 26 servers until the page can show the first, half and all of them.

Simulated servers: the agent's own code, and 0.3 to 3 s for the plan in the place of a package manager. With STARDUST_BENCH_HOSTS also that many lab
hosts, each with a real apt, on the same processors.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from scripts.benches.hub.fleet import a_fleet
from scripts.benches.jobs.bulk_deploy import deploy_all
from scripts.benches.measure import Results, line
from tests.support import lab as labs
from tests.support.hub import HubProcess

SERVERS = 26
LIMIT_S = 300.0
POLL_S = 0.05


class Seen(NamedTuple):
    """Seconds from the request until a reader of the batch saw this."""

    at_work: list[float]
    """That a server had begun, for each of them."""
    planned: list[float]
    """That its plan could be read, for each of them."""


def plans(hub: HubProcess) -> Seen:
    """Order the plan of an upgrade on all servers. Raises: TimeoutError: one has none after LIMIT_S."""
    nodes = [node["id"] for node in hub.local("GET", "/api/v1/nodes?limit=500").json["nodes"]]
    began = time.monotonic()
    batch = hub.local("POST", "/api/v1/jobs", {"nodes": nodes, "action": "plan", "for": "upgrade"}).json["id"]
    at_work, planned = dict[str, float](), dict[str, float]()
    while len(planned) < len(nodes):
        if time.monotonic() - began > LIMIT_S:
            raise TimeoutError(f"{len(planned)} of {len(nodes)} plans within {LIMIT_S:.0f} s")
        jobs: list[Any] = hub.local("GET", f"/api/v1/batches/{batch}").json["jobs"]
        now = time.monotonic() - began
        for job in jobs:
            if job["phase"] is not None or job["planned"]:
                at_work.setdefault(job["node_id"], now)
            if job["planned"]:
                planned.setdefault(job["node_id"], now)
        time.sleep(POLL_S)
    return Seen(sorted(at_work.values()), sorted(planned.values()))


def _lines(name: str, servers: int, seen: Seen) -> Results:
    shown = {
        "first_at_work": seen.at_work[0], "all_at_work": seen.at_work[-1],
        "first": seen.planned[0], "half": seen.planned[(servers - 1) // 2], "all": seen.planned[-1],
    }  # fmt: skip
    return [line(f"job.plans_of_many.{name}.{what}", at, "s", servers=servers) for what, at in shown.items()]


def plans_of_many() -> Results:
    """Plans of simulated servers, and of lab hosts if STARDUST_BENCH_HOSTS gives their number."""
    with tempfile.TemporaryDirectory() as folder, a_fleet(Path(folder), SERVERS) as (hub, _):
        results = _lines("simulated", SERVERS, plans(hub))
    count = int(os.environ.get("STARDUST_BENCH_HOSTS", "0"))
    if not count:
        return results
    try:
        hosts = labs.up(debian=count)
        with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder) / "hub") as hub:
            deploy_all(hub, hosts, policy="managed")
            return results + _lines("hosts", count, plans(hub))
    finally:
        labs.down()
