"""deploy.many: one request for many real servers, until every server is connected, with one confirmation of all fingerprints."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from scripts.benches.jobs.first_second import wait
from scripts.benches.measure import Results, cpu_seconds, line
from tests.support import lab as labs
from tests.support.hub import HubProcess


def deploy_all(hub: HubProcess, hosts: list[labs.Host], **more: str) -> tuple[float, float, int]:
    """Add all hosts by one request.

    Args:    more: further fields of the request.
    Returns: seconds until every fingerprint was shown, seconds until every deployment had ended, and the number of connected nodes.
    """
    servers = [{"host": host.address, "port": host.port, "name": host.name} for host in hosts]
    body = {"servers": servers, "username": "root", "private_key": hosts[0].private_key(), **more}
    started_at = time.monotonic()
    made = hub.local("POST", "/api/v1/deployments/many", body).json["deployments"]
    path = f"/api/v1/deployments?limit=500&batch={made[0]['batch_id']}"

    shown = wait(hub, path, lambda found: all(row["state"] != "running" for row in found["deployments"]))["deployments"]
    shown_s = time.monotonic() - started_at
    waiting = [row for row in shown if row["state"] == "awaiting_host_key"]
    known = {key["fingerprint"] for host in hosts for key in host.host_keys}
    assert all(row["host_key"]["fingerprint"] in known for row in waiting)
    keys = [{"deployment": row["id"], "fingerprint": row["host_key"]["fingerprint"]} for row in waiting]
    hub.local("POST", "/api/v1/deployments/host-keys", {"host_keys": keys})
    ended = wait(hub, path, lambda found: all(row["ended_at"] is not None for row in found["deployments"]))["deployments"]
    took_s = time.monotonic() - started_at
    for row in ended:
        if row["state"] != "succeeded":
            print(f"{row['name']}: {row['error']['message']}", file=sys.stderr)
    online = [node for node in hub.local("GET", "/api/v1/nodes?limit=500").json["nodes"] if node["state"] == "online"]
    return shown_s, took_s, len(online)


def many() -> Results:
    """Deploy to STARDUST_BENCH_HOSTS lab hosts (default: 10) by one request."""
    count = int(os.environ.get("STARDUST_BENCH_HOSTS", "10"))
    try:
        hosts = labs.up(debian=count)
        with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder) / "hub") as hub:
            before_s = cpu_seconds(hub.pid)
            shown_s, took_s, connected = deploy_all(hub, hosts)
            used_s = cpu_seconds(hub.pid) - before_s
    finally:
        labs.down()
    return [
        line("deploy.many", took_s, "s", hosts=count, connected=connected),
        line("deploy.many_fingerprints", shown_s, "s", hosts=count),
        line("deploy.many_hub_cpu", used_s / count, "s a host", hosts=count),
    ]
