"""Servers that OpenRC runs: how tests install there, order jobs and wait for their end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support import lab as labs
from tests.support.deploy_client import Desk, Look
from tests.support.eventually import wait_until
from tests.support.hub import HubProcess

FLAVOUR = "debian-openrc"


@contextlib.contextmanager
def openrc_desk(folder: Path) -> Iterator[Desk]:
    """A hub, and a Debian host with sysvinit and OpenRC, without systemd, to deploy to."""
    with labs.one(FLAVOUR) as host, Desk(HubProcess(folder), host) as desk:
        yield desk


def watched(desk: Desk, user: str = "root", **given: Any) -> Any:
    """Install for watching only; returns the deployment."""
    row = desk.install(user, policy="monitor", **given)
    assert row["state"] == "succeeded", (row["error"], row)
    return row


def managed(desk: Desk, user: str = "root", **given: Any) -> str:
    """Install for jobs; returns the node's id."""
    row = desk.install(user, **given)
    assert row["state"] == "succeeded", (row["error"], row)
    node: str = row["node_id"]
    assert desk.hub.node(node)["state"] == "online"
    return node


def order(desk: Desk, node: str, **wish: Any) -> str:
    reply = desk.hub.local("POST", f"/api/v1/nodes/{node}/jobs", wish)
    assert reply.status == 202, reply.body
    job: str = reply.json["id"]
    return job


def ended(desk: Desk, job: str, limit_s: float = 240.0) -> Any:
    def look() -> Any:
        row = desk.hub.job(job)
        return row if row["ended_at"] else None

    return wait_until(look, what=f"job {job} has ended", limit_s=limit_s)


def beside_the_lists(look: Look) -> list[str]:
    """The changes, except for what apt writes when its lists are fetched again."""
    return [line for line in look.changes() if "/var/lib/apt/lists" not in line and "/var/cache/apt/" not in line]
