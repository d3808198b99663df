"""The hub is killed at every durable step of a removal: the server is left clean, and the hub notices or completes it with a retry."""

from __future__ import annotations

import http.client
import signal
from typing import Any

import pytest

from groundcontrol.core import failpoints
from groundcontrol.deployments.model import REMOVE_STEPS
from tests.support.deploy_client import END_LIMIT_S, Desk, Look
from tests.support.eventually import wait_until
from tests.support.hub_faults import set_fault

pytestmark = pytest.mark.system

PLACES = [name for name in failpoints.NAMES if name.startswith("leave.")]
STEP_PLACES = [f"step.{step}.{place}" for step in REMOVE_STEPS for place in ("begun", "done", "told")]
QUICK = ("leave.row.post",)


def ask(desk: Desk, node: str) -> int:
    """Ask for the removal; returns the status, 0 where the hub died over it."""
    try:
        return desk.hub.local("DELETE", f"/api/v1/nodes/{node}").status
    except (OSError, http.client.HTTPException):
        return 0


def removals(desk: Desk, node: str) -> list[Any]:
    rows = desk.hub.local("GET", "/api/v1/deployments").json["deployments"]
    return [row for row in rows if row["kind"] == "remove" and row["node_id"] == node]


@pytest.mark.parametrize("place", [pytest.param(place, marks=() if place in QUICK else pytest.mark.slow) for place in PLACES])
def test_a_removal_completes_after_a_kill_of_the_hub_at_any_step(desk: Desk, place: str) -> None:
    look = Look(desk)
    node = desk.install("root", keep_credentials=False)["node_id"]
    set_fault(desk.hub, "killable", f"{place} 1")
    assert ask(desk, node) in (0, 202)
    assert desk.hub.outlive(END_LIMIT_S) == -signal.SIGKILL
    desk.hub.launch()

    rows = removals(desk, node)
    assert len(rows) == (place != "leave.row.pre")
    ended = desk.end(rows[0]["id"]) if rows else None
    if ended is None:
        wait_until(lambda: desk.hub.node(node)["state"] == "online", what="the node is there as before", limit_s=END_LIMIT_S)
        assert ask(desk, node) == 202
        assert desk.end(removals(desk, node)[0]["id"])["state"] == "succeeded"
    else:
        assert ended["state"] == "succeeded", ended
        assert all(step["state"] == "done" for step in ended["steps"]), ended
    assert desk.nodes() == []
    desk.until_over()
    look.check_unchanged()
    ends = [entry for entry in desk.hub.local("GET", "/api/v1/audit?limit=100").json["audit"] if entry["target"] == node]
    assert [entry["action"] for entry in ends].count("node.delete") == 1


@pytest.mark.parametrize(
    "place", [pytest.param(place, marks=() if place == "step.uninstall.begun" else pytest.mark.slow) for place in STEP_PLACES]
)
def test_a_retry_continues_a_removal_by_ssh_after_a_kill_at_any_step(desk: Desk, place: str) -> None:
    look = Look(desk)
    node = desk.install("root")["node_id"]
    set_fault(desk.hub, "killable", f"{place} 1")
    assert ask(desk, node) in (0, 202)
    assert desk.hub.outlive(END_LIMIT_S) == -signal.SIGKILL
    desk.hub.launch()

    (row,) = removals(desk, node)
    row = desk.end(row["id"])
    if place not in ("step.wipe.done", "step.wipe.told"):  # by then the node is forgotten
        assert (row["state"], row["error"]["code"]) == ("failed", "hub_stopped"), row
        row = desk.retry(row["id"])
    assert (row["state"], row["steps"][-1]["state"]) == ("succeeded", "done"), row
    assert desk.nodes() == []
    look.check_unchanged()
