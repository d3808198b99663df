"""`/api/v1/jobs` and `nodes/{id}/jobs`."""

from __future__ import annotations

from typing import Any

import pytest

from groundcontrol.access.portions import MANY_NODES
from groundcontrol.core.permissions import PERMISSIONS, job_action
from groundcontrol.core.scope import Role
from groundcontrol.core.verbs import JOBS
from groundcontrol.jobs.model import Change, JobUpdate, StopAnswer
from spider.wire.ids import new_random_id
from spider.wire.verbs import CATALOGUE
from tests.support.inprocess_hub import TestHub
from tests.support.measured_node import managed
from tests.support.printing_node import Printing, tell_plan_and_report


async def test_a_job_is_created_once(hub: TestHub) -> None:
    operator, node = await hub.logged_in("operator"), await managed(hub)
    body = {"action": "upgrade", "packages": ["openssl", "curl"]}

    first = await operator.post(f"nodes/{node.id}/jobs", body, headers={"Idempotency-Key": "k"})
    again = await operator.post(f"nodes/{node.id}/jobs", body, headers={"Idempotency-Key": "k"})
    other = await operator.post(f"nodes/{node.id}/jobs", {"action": "refresh"}, headers={"Idempotency-Key": "k"})

    assert (first.status, first.json["state"], first.json["packages"]) == (202, "queued", ["openssl", "curl"])
    assert again.json["id"] == first.json["id"]
    assert (other.status, other.code) == (409, "request.idempotency_mismatch")


INVALID = [
    {}, {"action": "install"}, {"action": "upgrade", "packages": []}, {"action": "plan"}, {"action": "plan", "for": "hold"}, {"action": "check", "for": "upgrade"},
    {"action": "refresh", "plan": "a" * 64}, {"action": "upgrade", "plan": "abc"}, {"action": "check", "reboot": True}, {"action": "repair", "packages": ["curl"]},
    {"action": "plan", "for": "upgrade", "plan": "a" * 64}, {"action": "upgrade", "packages": ["x" * 120 + str(n) for n in range(200)]}, {"action": "upgrade", "packages": None}, {"action": "refresh", "packages": ["curl"]}, {"action": "upgrade", "packages": ["libc6-"]},
    {"action": "upgrade", "packages": ["-oAPT::x"]}, {"action": "upgrade", "packages": ["a b"]}, {"action": "upgrade", "packages": "curl"}, {"action": "upgrade", "reboot": "yes"}
]  # fmt: skip


@pytest.mark.holds("S-20")
async def test_an_invalid_job_is_refused(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await managed(hub)

    for body in INVALID:
        answer = await admin.post(f"nodes/{node.id}/jobs", body)
        assert (body, answer.status, answer.code) == (body, 400, "request.invalid")
    assert (await admin.get("jobs")).json["jobs"] == []


@pytest.mark.holds("S-15")
async def test_dangerous_jobs_need_a_recent_password(hub: TestHub) -> None:
    node = await managed(hub)
    for body in [
        {"action": "reboot"},
        {"action": "upgrade", "reboot": True},
        {"action": "remove", "packages": ["curl"]},
        {"action": "autoremove"},
        {"action": "unit-stop", "units": ["nginx.service"]},
    ]:
        admin = await hub.logged_in()
        assert (await admin.post(f"nodes/{node.id}/jobs", body)).status == 202, body
        hub.clock.shift += 901
        await admin.post("auth/refresh")

        answer = await admin.post(f"nodes/{node.id}/jobs", body)

        assert (answer.status, answer.code) == (403, "auth.step_up_required"), body


async def test_every_verb_can_be_ordered(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await managed(hub)
    bodies: list[dict[str, Any]] = [
        {"action": "plan", "for": "install", "packages": ["ImageMagick", "bash.x86_64", "g++", "R"]},
        {"action": "security-upgrade", "plan": "a" * 64},
        {"action": "full-upgrade", "reboot": True},
        {"action": "hold", "packages": ["linux-image-amd64"]},
        *({"action": action} for action in ("refresh", "check", "autoremove", "clean", "repair", "reboot")),
    ]
    for body in bodies:
        answer = await admin.post(f"nodes/{node.id}/jobs", body)

        assert answer.status == 202, answer.body
        assert {name: answer.json[name] for name in body} == body, body


ASKED: dict[str, dict[str, Any]] = {
    "plan": {"for": "upgrade"},
    **{
        verb.name: {verb.kind.name: verb.kind.example if verb.kind.single else [verb.kind.example]}
        for verb in CATALOGUE
        if verb.kind is not None and not verb.optional
    },
}


@pytest.mark.holds("S-19", "S-23")
@pytest.mark.parametrize("role", ["admin", "operator", "viewer"])
async def test_each_role_may_order_the_verbs_of_the_permission_table(hub: TestHub, role: Role) -> None:
    """Every verb against every role, for one node and for many."""
    client, node = await hub.logged_in(role), await managed(hub)
    for action in JOBS:
        may = role in PERMISSIONS[job_action(action)]
        body = {"action": action, **ASKED.get(action, {})}
        one = await client.post(f"nodes/{node.id}/jobs", body)
        many = await client.post("jobs", {**body, "nodes": [node.id]})
        assert (one.status, many.status) == ((202, 202) if may else (403, 403)), action
        assert may or {one.code, many.code} == {"auth.forbidden"}


@pytest.mark.holds("SAFETY-22")
async def test_changing_many_nodes_needs_a_recent_password_and_checking_does_not(hub: TestHub) -> None:
    admin = await hub.logged_in()
    nodes = [(await managed(hub)).id for _ in range(MANY_NODES + 1)]
    hub.clock.shift += 901
    await admin.post("auth/refresh")

    changing = await admin.post("jobs", {"action": "upgrade", "nodes": nodes})
    fewer = await admin.post("jobs", {"action": "upgrade", "nodes": nodes[1:]})
    looking = await admin.post("jobs", {"action": "check", "nodes": nodes})

    assert (changing.status, changing.code) == (403, "auth.step_up_required")
    assert (fewer.status, looking.status) == (202, 202)


async def test_a_bulk_order_is_one_job_row_and_plans_can_be_skipped(hub: TestHub) -> None:
    admin = await hub.logged_in()
    nodes = [(await managed(hub)).id for _ in range(3)]
    for action, more in (("upgrade", {}), ("plan", {"for": "upgrade"})):
        assert (await admin.post("jobs", {"action": action, "nodes": nodes, **more})).status == 202
    single = (await admin.post(f"nodes/{nodes[0]}/jobs", {"action": "check"})).json["id"]

    every = (await admin.get("jobs")).json
    folded = (await admin.get("jobs?folded=true&plans=false")).json

    assert (len(every["jobs"]), every["batches"]) == (7, [])
    assert [job["action"] for job in folded["jobs"]] == ["check", "upgrade"]
    assert folded["jobs"][0]["id"] == single
    [batch] = folded["batches"]
    assert (batch["id"], batch["counts"]) == (folded["jobs"][1]["batch_id"], {"queued": 3})
    assert (await admin.get("jobs?folded=yes")).status == 400


@pytest.mark.holds("SAFETY-22", "S-15")
async def test_many_nodes_ordered_one_by_one_need_a_recent_password(hub: TestHub) -> None:
    """Ten at a time, one at a time, or both; other sessions have a count of their own, and a fresh proof needs none."""
    admin, colleague = await hub.logged_in(), await hub.logged_in()
    nodes = [(await managed(hub)).id for _ in range(MANY_NODES + 2)]
    wanted = {"action": "upgrade"}
    fresh = await admin.post("jobs", {**wanted, "nodes": nodes})
    hub.clock.shift += 901
    for one in (admin, colleague):
        await one.post("auth/refresh")

    first = await admin.post("jobs", {**wanted, "nodes": nodes[:6]})
    singles = [(await admin.post(f"nodes/{node}/jobs", wanted)).status for node in nodes[6:]]
    second = await admin.post("jobs", {**wanted, "nodes": nodes[8:]})
    known = await admin.post("jobs", {**wanted, "nodes": nodes[:10]})
    looking = await admin.post(f"nodes/{nodes[11]}/jobs", {"action": "check"})
    other = await colleague.post(f"nodes/{nodes[11]}/jobs", wanted)

    assert (fresh.status, first.status) == (202, 202)
    assert singles == [202] * 4 + [403] * 2
    assert (second.status, second.code) == (403, "auth.step_up_required")
    assert (known.status, looking.status, other.status) == (202, 202, 202)


@pytest.mark.holds("SAFETY-22", "S-15")
async def test_a_token_cannot_change_more_nodes_one_by_one_than_together(hub: TestHub) -> None:
    admin = await hub.logged_in()
    made = [
        await admin.post("tokens", {"name": f"t{sensitive}", "role": "operator", "sensitive": sensitive}) for sensitive in (False, True)
    ]
    assert [one.status for one in made] == [201, 201], made[0].body
    nodes = [(await managed(hub)).id for _ in range(MANY_NODES + 1)]
    told = []
    for one in made:
        program = hub.anonymous()
        program.bearer = one.json["token"]
        told.append([(await program.post(f"nodes/{node}/jobs", {"action": "upgrade"})).status for node in nodes])
    assert told == [[202] * MANY_NODES + [403], [202] * (MANY_NODES + 1)]


async def test_a_limited_user_cannot_order_jobs_on_other_nodes(hub: TestHub) -> None:
    operator, mine, other = await hub.logged_in("operator"), await managed(hub), await managed(hub)
    await hub.sql(
        "UPDATE membership SET grants = ? WHERE account = (SELECT no FROM account WHERE id = ?)",
        f'{{"nodes": ["{mine.id}"], "tags": []}}',
        operator.user.id,
    )

    batch = (await operator.post("jobs", {"action": "check", "nodes": [mine.id, other.id]})).json

    assert [job["node_id"] for job in batch["jobs"]] == [mine.id]
    assert [(one["node_id"], one["code"]) for one in batch["refused"]] == [(other.id, "not_found")]
    assert (await operator.post(f"nodes/{other.id}/jobs", {"action": "check"})).status == 404


async def test_plan_and_report_are_shown_once_they_exist(hub: TestHub) -> None:
    viewer, printing = await hub.logged_in("viewer"), await Printing.start(hub)
    path = f"jobs/{printing.job.id}"
    assert [(await viewer.get(f"{path}/{what}")).code for what in ("plan", "report")] == ["not_found"] * 2
    assert (await viewer.get(path)).json["plan_digest"] is None

    await tell_plan_and_report(hub, printing.session, printing.job.id)

    plan, report = (await viewer.get(f"{path}/plan")).json, (await viewer.get(f"{path}/report")).json
    assert plan["counts"] == {"upgrades": 1, "new": 0, "removals": 1, "security": 1, "kept": 1}
    assert plan["steps"][0] == {"package": "curl", "from": "1", "to": "2", "security": "yes", "repository": "main"}
    assert plan["kept"] == [{"package": "vim", "version": "9", "reason": "held"}]
    assert (plan["complete"], plan["digest"], plan["download_bytes"]) == (True, "a" * 64, 1000)
    assert report["config_files"] == [{"path": "/etc/x.dpkg-dist", "diff": "-a\n+b\n"}]
    assert (report["reboot"], report["services"]) == ("yes", ["nginx.service"])
    job = (await viewer.get(path)).json
    assert (job["plan_digest"], job["has_report"]) == ("a" * 64, True)
    assert (await viewer.get(f"nodes/{printing.node.id}")).json["reboot_required"] == "yes"


async def test_a_job_for_an_unknown_node_is_not_found(hub: TestHub) -> None:
    assert (await (await hub.logged_in()).post(f"nodes/{new_random_id()}/jobs", {"action": "refresh"})).status == 404


async def test_jobs_are_listed_for_all_and_for_one_node(hub: TestHub) -> None:
    admin, one, two = await hub.logged_in(), await managed(hub), await managed(hub)
    for node in (one, two):
        assert (await admin.post(f"nodes/{node.id}/jobs", {"action": "check"})).status == 202

    every = (await admin.get("jobs")).json["jobs"]
    ones = (await admin.get(f"jobs?node={one.id}")).json["jobs"]

    assert len(every) == 2
    assert [job["node_id"] for job in ones] == [one.id]
    assert (await admin.get("jobs?node=x")).code == "request.invalid"


async def test_a_waiting_job_is_cancelled_and_a_running_one_is_asked_to_stop(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await managed(hub)
    waiting = (await admin.post(f"nodes/{node.id}/jobs", {"action": "check"})).json
    printing = await Printing.start(hub)
    running, store = printing.job, hub.store.jobs

    assert (await admin.post(f"jobs/{waiting['id']}/cancel")).json["state"] == "cancelled"
    asked = (await admin.post(f"jobs/{running.id}/cancel")).json
    assert (asked["state"], asked["stop"]["state"], asked["stop"]["by"]) == ("running", "asked", admin.user.username)
    assert [job.id for job in await store.stopping()] == [running.id]
    await store.advance(running.id, "running", printing.session, JobUpdate(stop=StopAnswer("too_late", "rpm cannot be interrupted")))
    refused = await admin.post(f"jobs/{running.id}/cancel")
    assert (refused.status, refused.code) == (409, "job.not_cancellable")
    killed = (await admin.post(f"jobs/{running.id}/cancel", {"force": True})).json
    assert (killed["stop"]["state"], killed["stop"]["force"], killed["state"]) == ("asked", True, "running")
    assert "rpm cannot be interrupted" in refused.json["detail"]
    await store.advance(running.id, "succeeded", printing.session, JobUpdate())
    assert (await admin.post(f"jobs/{running.id}/cancel")).code == "job.not_cancellable"
    assert (await admin.post(f"jobs/{new_random_id()}/cancel")).status == 404


async def test_a_kill_needs_an_earlier_stop_request_and_a_recent_password(hub: TestHub) -> None:
    admin, printing = await hub.logged_in(), await Printing.start(hub)
    path = f"jobs/{printing.job.id}/cancel"

    first = await admin.post(path, {"force": True})
    assert (first.code, first.json["facts"]) == ("request.invalid", {"field": "force"})
    assert (await admin.post(path)).status == 200
    hub.clock.shift += 901
    await admin.post("auth/refresh")
    assert (await admin.post(path, {"force": True})).code == "auth.step_up_required"


async def test_a_change_lists_its_old_and_new_version(hub: TestHub) -> None:
    viewer, printing = await hub.logged_in("viewer"), await Printing.start(hub)
    await hub.store.jobs.advance(
        printing.job.id, "succeeded", printing.session, JobUpdate(exit_code=0, changes=(Change("curl", "1", "2"),))
    )

    shown = (await viewer.get(f"jobs/{printing.job.id}")).json

    assert shown["changes"] == [{"package": "curl", "from": "1", "to": "2"}]


OUTPUT = bytes(range(256)) * 1000


@pytest.mark.holds("SAFETY-30")
async def test_output_is_the_raw_bytes_from_an_offset(hub: TestHub) -> None:
    viewer, printing = await hub.logged_in("viewer"), await Printing.start(hub)
    for start in range(0, len(OUTPUT), 50_000):
        await printing.print(OUTPUT[start : start + 50_000], told=False)

    for offset in (0, 1, 255_999, 256_000, 10**12):
        answer = await viewer.get(f"jobs/{printing.job.id}/output?offset={offset}")

        assert (answer.status, answer.content_type) == (200, "text/plain"), offset
        assert answer.body == OUTPUT[offset:], offset
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert int(answer.headers["Content-Length"]) == len(answer.body)


async def test_an_invalid_offset_is_refused(hub: TestHub) -> None:
    for query in ["offset=-1", "offset=x", "offset=1.5", "offset=", "from=1", "offset=1&offset=2"]:
        answer = await (await hub.logged_in()).get(f"jobs/{new_random_id()}/output?{query}")

        assert (answer.status, answer.code) == (400, "request.invalid"), query


async def test_output_of_an_unknown_job_is_not_found(hub: TestHub) -> None:
    assert (await (await hub.logged_in()).get(f"jobs/{new_random_id()}/output")).status == 404
