"""`/api/v1/jobs` and `nodes/{id}/jobs`."""

from __future__ import annotations

from typing import Any

import pytest

from groundcontrol.domain.ids import BootId, HubId
from groundcontrol.domain.jobs import Change, JobEvidence
from groundcontrol.domain.nodes import Node, NodeIdentity, NodePolicy
from spider.wire.ids import new_random_id
from tests.unit.groundcontrol.web.hub import TestHub
from tests.unit.groundcontrol.web.test_live import Printing


async def managed(hub: TestHub) -> Node:
    """A node whose owner allows everything."""
    node = await hub.node(new_random_id()[:8])
    session = await hub.store.sessions.claim(node.id, BootId("0" * 32), HubId(hub.services.hub_id))
    return await hub.store.nodes.save_identity(session, NodeIdentity(package_manager="apt"), "0.1.0", NodePolicy("managed"), "no", 1.0)


async def test_a_job_is_asked_for_once(hub: TestHub) -> None:
    operator, node = await hub.logged_in("operator"), await managed(hub)
    body = {"action": "upgrade", "packages": ["openssl", "curl"]}

    first = await operator.post(f"nodes/{node.id}/jobs", body, headers={"Idempotency-Key": "k"})
    again = await operator.post(f"nodes/{node.id}/jobs", body, headers={"Idempotency-Key": "k"})
    other = await operator.post(f"nodes/{node.id}/jobs", {"action": "refresh"}, headers={"Idempotency-Key": "k"})

    assert (first.status, first.json["state"], first.json["packages"]) == (202, "queued", ["openssl", "curl"])
    assert again.json["id"] == first.json["id"]
    assert (other.status, other.code) == (409, "request.idempotency_mismatch")


@pytest.mark.parametrize(
    "body",
    [{}, {"action": "install"}, {"action": "upgrade", "packages": []}, {"action": "upgrade", "packages": None}, {"action": "refresh", "packages": ["curl"]}, {"action": "upgrade", "packages": ["libc6-"]},
     {"action": "upgrade", "packages": ["-oAPT::x"]}, {"action": "upgrade", "packages": ["a b"]}, {"action": "upgrade", "packages": "curl"}, {"action": "upgrade", "reboot": "yes"}],
)  # fmt: skip
async def test_a_job_that_makes_no_sense_is_refused(hub: TestHub, body: dict[str, Any]) -> None:
    admin, node = await hub.logged_in(), await managed(hub)

    answer = await admin.post(f"nodes/{node.id}/jobs", body)

    assert (answer.status, answer.code) == (400, "request.invalid")
    assert (await admin.get("jobs")).json["jobs"] == []


async def test_a_reboot_wants_the_password_once_more(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await managed(hub)
    hub.clock.shift += 301

    answer = await admin.post(f"nodes/{node.id}/jobs", {"action": "upgrade", "reboot": True})

    assert (answer.status, answer.code) == (403, "auth.step_up_required")


async def test_a_job_for_no_node_is_not_found(hub: TestHub) -> None:
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


async def test_a_waiting_job_is_cancelled_and_a_running_one_is_not(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await managed(hub)
    waiting = (await admin.post(f"nodes/{node.id}/jobs", {"action": "check"})).json
    running = (await Printing.start(hub)).job

    assert (await admin.post(f"jobs/{waiting['id']}/cancel")).json["state"] == "cancelled"
    refused = await admin.post(f"jobs/{running.id}/cancel")
    assert (refused.status, refused.code) == (409, "job.not_cancellable")
    assert (await admin.post(f"jobs/{new_random_id()}/cancel")).status == 404


async def test_what_changed_says_from_and_to(hub: TestHub) -> None:
    viewer, printing = await hub.logged_in("viewer"), await Printing.start(hub)
    await hub.store.jobs.advance(
        printing.job.id, "succeeded", printing.session, JobEvidence(exit_code=0, changes=(Change("curl", "1", "2"),))
    )

    shown = (await viewer.get(f"jobs/{printing.job.id}")).json

    assert shown["changes"] == [{"package": "curl", "from": "1", "to": "2"}]


OUTPUT = bytes(range(256)) * 1000


@pytest.mark.parametrize("offset", [0, 1, 255_999, 256_000, 10**12])
async def test_output_is_the_raw_bytes_from_an_offset(hub: TestHub, offset: int) -> None:
    viewer, printing = await hub.logged_in("viewer"), await Printing.start(hub)
    for start in range(0, len(OUTPUT), 50_000):
        await printing.print(OUTPUT[start : start + 50_000], told=False)

    answer = await viewer.get(f"jobs/{printing.job.id}/output?offset={offset}")

    assert (answer.status, answer.content_type) == (200, "text/plain")
    assert answer.body == OUTPUT[offset:]
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert int(answer.headers["Content-Length"]) == len(answer.body)


@pytest.mark.parametrize("query", ["offset=-1", "offset=x", "offset=1.5", "offset=", "from=1", "offset=1&offset=2"])
async def test_an_offset_that_is_none_is_refused(hub: TestHub, query: str) -> None:
    answer = await (await hub.logged_in()).get(f"jobs/{new_random_id()}/output?{query}")

    assert (answer.status, answer.code) == (400, "request.invalid")


async def test_output_of_no_job_is_not_found(hub: TestHub) -> None:
    assert (await (await hub.logged_in()).get(f"jobs/{new_random_id()}/output")).status == 404
