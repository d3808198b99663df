"""`/api/v1/updates`, filtered lists, orders bound to plans, and user preferences."""

from __future__ import annotations

from groundcontrol.core.ids import BootId, HubId, JobId
from groundcontrol.core.tables import SubjectTable
from groundcontrol.jobs.model import JobUpdate
from spider.wire.verbs import VERBS
from tests.support.inprocess_hub import TestHub
from tests.support.measured_node import managed
from tests.support.printing_node import tell_plan_and_report

CELLS = ("curl", "7", "8", "yes", "security", "vim", "9.0", None, None, None)


async def test_updates_are_listed_by_package_and_by_the_nodes_of_one(hub: TestHub) -> None:
    node = await managed(hub)
    session = await hub.store.sessions.claim(node.id, BootId("0" * 32), HubId(hub.services.hub_id))
    await hub.store.tables.save_table(
        session, SubjectTable("updates", 5.0, 2, ("package", "installed", "candidate", "security", "repository"), CELLS)
    )
    viewer = await hub.logged_in("viewer")

    found = (await viewer.get("updates")).json

    assert [(one["package"], one["security"], one["nodes"]) for one in found["packages"]] == [("curl", "yes", 1), ("vim", "unknown", 1)]
    assert found["packages"][0]["candidates"] == [{"version": "8", "security": "yes", "repository": "security", "nodes": 1}]
    assert (found["total"], found["security"], found["told"], found["silent"], found["next"]) == (2, 1, 1, 0, None)
    assert [one["package"] for one in (await viewer.get("updates?search=v")).json["packages"]] == ["vim"]
    assert [one["package"] for one in (await viewer.get("updates?security=true")).json["packages"]] == ["curl"]
    of_curl = (await viewer.get("updates/nodes?package=curl")).json
    assert of_curl["nodes"] == [{"node_id": node.id, "from": "7", "to": "8", "security": "yes", "repository": "security", "held": False}]


UNKNOWN = [
    "updates?security=maybe", "updates?limit=0", "updates?cursor=x", f"updates?search={'x' * 201}", "updates?order=name", "updates/nodes",
    "updates/nodes?package=", f"updates/nodes?package={'x' * 201}", "jobs?state=gone", "jobs?action=dance", f"jobs?by={'x' * 101}",
    "events?severity=loud", f"events?search={'x' * 101}"
]  # fmt: skip


async def test_an_unknown_list_is_refused(hub: TestHub) -> None:
    admin = await hub.logged_in()
    for path in UNKNOWN:
        answer = await admin.get(path)
        assert (path, answer.status, answer.code) == (path, 400, "request.invalid")


async def test_lists_of_jobs_take_states_an_action_and_a_name(hub: TestHub) -> None:
    operator, node = await hub.logged_in("operator"), await managed(hub)
    await operator.post(f"nodes/{node.id}/jobs", {"action": "check"})
    for query, count in (
        ("state=queued,running", 1),
        ("state=failed,incomplete", 0),
        ("action=check", 1),
        ("action=plan", 0),
        (f"by={operator.user.username}", 1),
        ("by=x", 0),
    ):
        assert len((await operator.get(f"jobs?{query}")).json["jobs"]) == count, query


async def test_jobs_of_every_verb_are_found(hub: TestHub) -> None:
    """Those too that are ordered by ways of their own, such as new keys for a node."""
    admin, node = await hub.logged_in("admin"), await managed(hub)
    assert (await admin.post(f"nodes/{node.id}/rekey")).status == 202
    for action in VERBS:
        found = await admin.get(f"jobs?action={action}")
        assert (found.status, len(found.json["jobs"])) == (200, int(action == "rekey")), action


async def test_an_order_is_bound_to_the_plan_of_each_node(hub: TestHub) -> None:
    operator, planning, silent, unasked = await hub.logged_in("operator"), *[await managed(hub) for _ in range(3)]
    nodes = [planning.id, silent.id]
    plans = (await operator.post("jobs", {"action": "plan", "for": "upgrade", "nodes": nodes})).json
    [job] = [JobId(one["id"]) for one in plans["jobs"] if one["node_id"] == planning.id]
    session = await hub.store.sessions.claim(planning.id, BootId("0" * 32), HubId(hub.services.hub_id))
    await tell_plan_and_report(hub, session, job)
    for state in ("accepted", "running", "succeeded"):
        await hub.store.jobs.advance(job, state, session, JobUpdate())

    body = {"action": "upgrade", "nodes": [*nodes, unasked.id], "plans_of": plans["id"]}
    batch = (await operator.post("jobs", body, headers={"Idempotency-Key": "k"})).json
    again = (await operator.post("jobs", body, headers={"Idempotency-Key": "k"})).json
    unbound = await operator.post("jobs", {"action": "upgrade", "nodes": body["nodes"]}, headers={"Idempotency-Key": "k"})

    assert [one["node_id"] for one in batch["jobs"]] == [planning.id]
    assert sorted(one["node_id"] for one in batch["refused"]) == sorted([silent.id, unasked.id])
    assert (await operator.get(f"jobs/{batch['jobs'][0]['id']}")).json["plan"] == "a" * 64
    assert (again["id"], unbound.status) == (batch["id"], 409)
    for other in ({"action": "full-upgrade"}, {"packages": ["curl"]}, {"plan": "a" * 64}):
        assert (await operator.post("jobs", {**body, **other})).code == "request.invalid"
    for nobodys in ("0" * 26, "../jobs"):
        assert (await operator.post("jobs", {**body, "plans_of": nobodys})).status == 404


async def test_preferences_belong_to_one_user(hub: TestHub) -> None:
    viewer, other = await hub.logged_in("viewer"), await hub.logged_in("viewer")
    views = [{"name": " Full disks ", "query": "q=disk%3E90"}]
    nothing = {"views": [], "single_keys": True, "network_bits": False, "columns": []}
    assert (await viewer.get("auth/preferences")).json == nothing
    assert (await viewer.request("PATCH", "auth/preferences", {"views": views})).json["views"] == [
        {"name": "Full disks", "query": "q=disk%3E90"}
    ]
    assert (await viewer.request("PATCH", "auth/preferences", {"single_keys": False})).json["single_keys"] is False
    assert (await viewer.request("PATCH", "auth/preferences", {"network_bits": True})).json["network_bits"] is True
    for bad in (["kernel", "kernel"], [""], ["a\n"], [str(n) for n in range(21)]):
        assert (await viewer.request("PATCH", "auth/preferences", {"columns": bad})).status == 400
    assert (await viewer.request("PATCH", "auth/preferences", {"columns": ["kernel"]})).json["columns"] == ["kernel"]
    kept = {"views": [{"name": "Full disks", "query": "q=disk%3E90"}], "single_keys": False, "network_bits": True, "columns": ["kernel"]}
    assert (await viewer.get("auth/preferences")).json == kept
    assert (await other.get("auth/preferences")).json == nothing


async def test_a_malformed_view_is_refused(hub: TestHub) -> None:
    for views in [
        [{"name": "", "query": ""}],
        [{"name": "x" * 61, "query": ""}],
        [{"name": "x\x1b", "query": ""}],
        [{"name": "x", "query": "y" * 401}],
        [{"name": "x", "query": "a\nb"}],
        [{"name": "x", "query": ""}, {"name": "X", "query": ""}],
        [{"name": str(n), "query": ""} for n in range(41)],
    ]:
        answer = await (await hub.logged_in()).request("PATCH", "auth/preferences", {"views": views})
        assert (answer.status, answer.code) == (400, "request.invalid"), views
