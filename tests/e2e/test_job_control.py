"""Stops, plans, reports and batches of jobs, message by message."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.agents.quota import OPENINGS, OPENINGS_PER_S
from spider.wire.frames import CLOSE_GOING_AWAY, CLOSE_PROTOCOL, Message
from spider.wire.job_messages import JobAck, JobAnswer, JobDone, JobOutput, JobPlan, JobProgress, JobReport, JobStart, JobStop
from spider.wire.sentences import sentence
from tests.support.agent import IDENTITY, AgentClosed, TestAgent, agents, node_name
from tests.support.eventually import eventually
from tests.support.hub import HubProcess
from tests.support.job_messages import LINE, ended, job_is, order, started
from tests.support.wire import open_order

DIGEST = "5e" * 32


def plan_of(job: str, part: int = 0, parts: int = 1, **other: Any) -> JobPlan:
    return JobPlan(
        job, part, parts, DIGEST, ["curl", "old"], ["1.0", "2"], ["1.1", ""], ["yes", "no"], ["main", ""],
        ["vim"], ["9.1"], ["phased"], 2048, -100, "yes", "a new kernel",
    )._replace(**other)  # fmt: skip


def report_of(job: str, **other: Any) -> JobReport:
    return JobReport(
        job, "yes", "a new kernel", ["nginx.service"], ["/etc/a.conf.dpkg-dist"], ["--- a\n+++ b\n-x\n+y\n"], ["cron.service"], ["look here"]
    )._replace(**other)  # fmt: skip


def progress(job: str, **other: Any) -> JobProgress:
    return JobProgress(job, int(time.time() * 1000), "commit", 40, "curl", "")._replace(**other)


async def cancel(hub: HubProcess, job: str, body: object = None) -> Any:
    return await hub.call("POST", f"/api/v1/jobs/{job}/cancel", body)


async def stop_order(agent: TestAgent, job: str) -> dict[str, Any]:
    """The message to the node about a job that is to be stopped."""
    told = await agent.expect(JobStop)
    assert told.job == job
    sealed = open_order(agent.node.launch_key, told.order)
    assert (sealed.verb, sealed.job, sealed.node) == ("stop", job, agent.node.node_id)
    assert sealed.exp - sealed.iat <= 600
    return sealed.args


# -- stops -----------------------------------------------------------------------------------------------


async def test_a_stop_request_is_repeated_until_answered_and_only_the_node_ends_the_job(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(JobAnswer(job, "accepted", "", 0), JobOutput(job, 0, 0, LINE))
    await job_is(shared_hub, job, "running")
    asked = (await cancel(shared_hub, job)).json
    assert (asked["state"], asked["stop"]["state"]) == ("running", "asked")
    assert await stop_order(agent, job) == {}
    await agent.close()
    agent.known_jobs = [job]
    await agent.join()
    assert await stop_order(agent, job) == {}, "the answer was lost with the session"
    await agent.say(progress(job, stop="after_package", text="curl is being unpacked"))
    await eventually(lambda: shared_hub.job(job)["stop"]["state"] == "after_package")
    assert (await asyncio.to_thread(shared_hub.job, job))["state"] == "running"
    assert (await asyncio.to_thread(shared_hub.job, job))["stop"]["why"] == "curl is being unpacked"
    with pytest.raises(TimeoutError):
        await agent.expect(JobStop, 6)
    killed = (await cancel(shared_hub, job, {"force": True})).json
    assert (killed["stop"]["state"], killed["stop"]["force"]) == ("asked", True)
    assert await stop_order(agent, job) == {"force": True}
    await agent.say(ended(job, LINE, state="cancelled", exit_code=100, error_code="job.stopped", error_text="it was stopped"))
    await agent.expect(JobDone)
    done = await job_is(shared_hub, job, "cancelled")
    assert (done["exit_code"], done["output_sha256"], done["error"]["code"]) == (100, hashlib.sha256(LINE).hexdigest(), "job.stopped")


async def test_a_job_that_cannot_be_stopped_any_more_gives_the_reason(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(JobAnswer(job, "accepted", "", 0), progress(job))
    assert (await cancel(shared_hub, job)).status == 200
    await stop_order(agent, job)
    await agent.say(progress(job, stop="too_late", text=sentence("stop.rpm_at_work")))
    await eventually(lambda: shared_hub.job(job)["stop"]["state"] == "too_late")
    refused = await cancel(shared_hub, job)
    assert (refused.status, refused.json["code"]) == (409, "job.not_cancellable")
    assert "two versions of the same package" in refused.json["detail"]
    shown = await asyncio.to_thread(shared_hub.job, job)
    assert shown["stop"]["why_coded"]["code"] == shown["note_coded"]["code"] == "stop.rpm_at_work"
    await agent.say(JobOutput(job, 0, 0, LINE), ended(job, LINE))
    await job_is(shared_hub, job, "succeeded")


@pytest.mark.parametrize("why", ["busy", "host-stopping", "no-such-job", "expired"])
async def test_a_job_stopped_before_its_start_is_cancelled_and_not_resent(shared_hub: HubProcess, agent: TestAgent, why: str) -> None:
    job, _ = await started(shared_hub, agent)
    asked = (await cancel(shared_hub, job)).json
    assert (asked["state"], asked["stop"]["state"]) == ("dispatched", "asked")
    await stop_order(agent, job)
    await agent.say(JobAnswer(job, "refused", why, int(time.time() * 1000)))
    done = await job_is(shared_hub, job, "cancelled")
    assert (done["error"], done["started_at"]) == (None, None)
    await agent.close()
    await agent.join()
    with pytest.raises(TimeoutError):
        await agent.expect(JobStart, 3)


async def test_an_old_refusal_does_not_cancel_a_resent_order(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(JobAnswer(job, "refused", "busy", int(time.time() * 1000)))
    assert (await agent.expect(JobStart)).job == job  # and now the node is at it
    asked = (await cancel(shared_hub, job)).json
    assert (asked["state"], asked["stop"]["state"]) == ("dispatched", "asked")
    await stop_order(agent, job)
    await agent.say(JobAnswer(job, "accepted", "", 0), JobOutput(job, 0, 0, LINE), ended(job, LINE))
    await job_is(shared_hub, job, "succeeded")


async def test_the_last_progress_of_a_job_is_stored_before_its_end(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(JobAnswer(job, "accepted", "", 0), progress(job))
    assert (await cancel(shared_hub, job)).status == 200
    await stop_order(agent, job)
    stopped = ended(job, b"", state="cancelled", exit_code=None, error_code="job.stopped", error_text="it was stopped")
    await agent.say(progress(job, stop="now"), stopped)
    assert (await job_is(shared_hub, job, "cancelled"))["stop"]["state"] == "now"


async def test_data_of_before_a_jobs_end_that_are_put_back_get_the_rest_of_it(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(JobAnswer(job, "accepted", "", 0), JobOutput(job, 0, 0, LINE))
    await job_is(shared_hub, job, "running")
    await agent.close()
    agent.known_jobs = []  # the node has sent all of it, to a hub that no longer knows
    welcome = await agent.join()
    assert dict(zip(welcome.job_ids, welcome.job_offsets, strict=True)) == {job: len(LINE)}
    await agent.say(JobOutput(job, len(LINE), 0, LINE), ended(job, LINE * 2))
    await job_is(shared_hub, job, "succeeded")
    assert await asyncio.to_thread(shared_hub.job_output, job) == LINE * 2


async def test_a_launcher_that_does_not_answer_is_no_evidence_that_nothing_runs(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    assert (await cancel(shared_hub, job)).status == 200
    await agent.say(JobAnswer(job, "unreachable", "", int(time.time() * 1000)), JobOutput(job, 0, 0, LINE))
    await agent.expect(JobAck)
    assert (await job_is(shared_hub, job, "running"))["stop"]["state"] == "asked"


async def test_an_error_of_a_running_job_has_a_code_and_is_cleared_by_its_end(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(progress(job, error_code="job.orphaned", text="anything"))
    await eventually(lambda: shared_hub.job(job)["error"])
    shown = await asyncio.to_thread(shared_hub.job, job)
    assert (shown["state"], shown["error"]["code"], shown["package"]) == ("running", "job.orphaned", "curl")
    await agent.say(progress(job, error_code="<script>", text="x"), JobOutput(job, 0, 0, LINE), ended(job, LINE))
    assert (await job_is(shared_hub, job, "succeeded"))["error"] is None


# -- plans and reports -------------------------------------------------------------------------------------


async def test_a_plan_is_seen_then_ordered_by_its_digest_and_a_changed_one_is_readable(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, told = await started(shared_hub, agent, action="plan", **{"for": "upgrade"})
    assert (told.verb, told.args) == ("plan", {"for": "upgrade"})
    await agent.say(plan_of(job, 1, 2, packages=["b\x1b[2Jad"], before=["1"], after=["2"], security=["maybe"], repositories=["r"]))
    await agent.say(plan_of(job, 0, 2, kept_reasons=["because"]), ended(job, b"", change_packages=[], change_from=[], change_to=[]))
    await agent.expect(JobDone)
    plan = (await shared_hub.call("GET", f"/api/v1/jobs/{job}/plan")).json
    assert (plan["digest"], plan["complete"], plan["download_bytes"], plan["installed_bytes"]) == (DIGEST, True, 2048, -100)
    assert [step["package"] for step in plan["steps"]] == ["curl", "old", "b[2Jad"]
    assert [step["security"] for step in plan["steps"]] == ["yes", "no", "unknown"]
    assert [kept["reason"] for kept in plan["kept"]] == ["other", "phased"]
    assert plan["counts"] == {"upgrades": 2, "new": 0, "removals": 1, "security": 1, "kept": 2}

    job, told = await started(shared_hub, agent, plan=DIGEST)
    assert told.args == {"plan": DIGEST}
    await agent.say(plan_of(job, digest="6f" * 32))
    await agent.say(ended(job, b"", state="failed", exit_code=None, error_code="job.plan_changed", error_text="curl 1.2 came meanwhile"))
    done = await job_is(shared_hub, job, "failed")
    assert (done["error"]["code"], done["plan"], done["plan_digest"]) == ("job.plan_changed", DIGEST, "6f" * 32)
    assert (await shared_hub.call("GET", f"/api/v1/jobs/{job}/plan")).json["digest"] == "6f" * 32


async def test_a_job_shows_its_report_and_is_followed_by_the_requested_reboot(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, told = await started(shared_hub, agent, action="full-upgrade", reboot=True)
    assert told.args == {}, "the reboot is a job of its own"
    await agent.say(
        JobOutput(job, 0, 0, LINE), report_of(job, notes=["\u202eevil", "", sentence("report.more_services", count=3)]), ended(job, LINE)
    )
    following = await agent.expect(JobStart)
    assert open_order(agent.node.launch_key, following.order).verb == "reboot"
    report = (await shared_hub.call("GET", f"/api/v1/jobs/{job}/report")).json
    assert (report["reboot"], report["services"], report["failed_units"]) == ("yes", ["nginx.service"], ["cron.service"])
    assert report["config_files"] == [{"path": "/etc/a.conf.dpkg-dist", "diff": "--- a\n+++ b\n-x\n+y\n"}]
    assert report["notes"] == ["evil", "3 more services are not listed."]
    coded = {"code": "report.more_services", "template": "{count} more services are not listed.", "facts": {"count": "3"}}
    assert report["notes_coded"] == [None, coded]
    assert (await asyncio.to_thread(shared_hub.node, agent.node.node_id))["reboot_required"] == "yes"
    reboot = await asyncio.to_thread(shared_hub.job, following.job)
    assert (reboot["action"], reboot["follows"]) == ("reboot", job)
    await agent.say(report_of(following.job, reboot="no"), ended(following.job, b""))
    await job_is(shared_hub, following.job, "succeeded")
    assert (await asyncio.to_thread(shared_hub.node, agent.node.node_id))["reboot_required"] == "no"


async def test_no_reboot_follows_where_none_is_due_or_where_it_is_not_known_what_failed(shared_hub: HubProcess, agent: TestAgent) -> None:
    for due, state in (("no", "succeeded"), ("yes", "failed")):
        job, _ = await started(shared_hub, agent, reboot=True)
        await agent.say(report_of(job, reboot=due), ended(job, b"", state=state))
        await job_is(shared_hub, job, state)
    with pytest.raises(TimeoutError):
        await agent.expect(JobStart, 3)
    assert "A reboot is due and was held: it is not known which packages were not changed" in shared_hub.job(job)["error"]["message"]


async def test_printed_and_stored_output_sizes_are_distinguished(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(JobOutput(job, 0, 0, LINE), ended(job, LINE, lost_bytes=10**9))
    done = await job_is(shared_hub, job, "succeeded")
    assert (done["output_bytes"], done["output_total_bytes"]) == (len(LINE), len(LINE) + 10**9)
    assert done["last_output_at"] is not None


# -- a node that lies ----------------------------------------------------------------------------------------


@pytest.mark.holds("SAFETY-47", "S-44")
@pytest.mark.parametrize("kind", ["plan", "report", "ended", "progress", "answer", "output"])
async def test_a_message_about_a_foreign_job_ends_the_session(shared_hub: HubProcess, agent: TestAgent, kind: str) -> None:
    [other] = await asyncio.to_thread(shared_hub.enrol, node_name())
    foreign = (await order(shared_hub, other))["id"]
    words: dict[str, Message] = {
        "plan": plan_of(foreign), "report": report_of(foreign), "ended": ended(foreign, b""), "progress": progress(foreign),
        "answer": JobAnswer(foreign, "accepted", "", 0), "output": JobOutput(foreign, 0, 0, LINE),
    }  # fmt: skip
    await agent.say(words[kind])
    assert (await agent.wait_closed()).code == CLOSE_PROTOCOL
    job = await asyncio.to_thread(shared_hub.job, foreign)
    assert (job["state"], job["output_bytes"], job["plan_digest"], job["has_report"]) == ("queued", 0, None, False)
    rows = (await shared_hub.call("GET", "/api/v1/audit")).json["audit"]
    assert any(row["action"] == "job.evidence" and foreign in row["target"] for row in rows)


@pytest.mark.holds("S-44", "S-48")
async def test_repeated_lies_of_a_node_do_not_fill_audit_log_and_events(shared_hub: HubProcess) -> None:
    """It opens sessions as fast as possible, and names a foreign job in each."""
    liar, other = await asyncio.to_thread(shared_hub.enrol, node_name(), node_name())
    foreign = (await order(shared_hub, other))["id"]
    closed: list[int | None] = []
    began = time.monotonic()
    while CLOSE_GOING_AWAY not in closed and time.monotonic() - began < 60 and len(closed) < 2 * OPENINGS:
        async with agents(shared_hub, liar) as [agent]:
            try:
                await agent.join()
                await agent.say(progress(foreign))
                closed.append((await agent.wait_closed()).code)
            except AgentClosed as exc:
                closed.append(exc.code)
    assert set(closed) <= {CLOSE_PROTOCOL, CLOSE_GOING_AWAY}
    assert CLOSE_GOING_AWAY in closed or len(closed) < OPENINGS + 60 * OPENINGS_PER_S, "who has opened too many is sent away for a while"
    assert len(closed) > 10
    rows = [row for row in (await shared_hub.call("GET", "/api/v1/audit?limit=500")).json["audit"] if liar.node_id in row["actor"]]
    rows = [row for row in rows if row["result"] == "refused"]
    assert {row["action"] for row in rows} == {"job.evidence", "agent.session", *({"agent.open"} if CLOSE_GOING_AWAY in closed else ())}
    assert len([row for row in rows if row["action"] == "job.evidence"]) <= 5, "one a minute"
    assert [row for row in rows if row["chain"]] == [], "of these, only summaries stand in the audit log itself"
    events = (await shared_hub.call("GET", f"/api/v1/events?node={liar.node_id}&limit=500")).json["events"]
    assert len(events) <= 3, events
    lines = [line for line in shared_hub.lines if "agent_refused" in line]
    assert len(lines) <= 5, "one a minute and address"


NONSENSE: dict[str, Any] = {
    "a part beyond its plan": lambda job: plan_of(job, 1, 1),
    "too many parts": lambda job: plan_of(job, 0, 17),
    "no digest": lambda job: plan_of(job, digest="x"),
    "lists of two lengths": lambda job: plan_of(job, before=[]),
    "kept without reasons": lambda job: plan_of(job, kept_reasons=[]),
    "a download below nothing": lambda job: plan_of(job, download_bytes=-2),
    "a disk that no host has": lambda job: plan_of(job, installed_bytes=1 << 60),
    "files without differences": lambda job: report_of(job, config_diffs=[]),
    "output beyond the cap": lambda job: JobOutput(job, 256 * 1024 * 1024 + 4096, 0, b"x"),
    "an end that no job has": lambda job: ended(job, b"", state="queued"),
    "an end that lost less than nothing": lambda job: ended(job, b"", lost_bytes=-1),
}


@pytest.mark.holds("S-44")
@pytest.mark.parametrize("what", NONSENSE)
async def test_an_impossible_message_of_a_job_ends_only_this_session(shared_hub: HubProcess, agent: TestAgent, what: str) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(JobAnswer(job, "accepted", "", 0), NONSENSE[what](job))
    assert (await agent.wait_closed()).code == CLOSE_PROTOCOL
    shown = await asyncio.to_thread(shared_hub.job, job)
    assert (shown["state"] in ("accepted", "running"), shown["plan_digest"], shown["has_report"]) == (True, None, False)
    assert (await shared_hub.call("GET", "/healthz")).status == 200


async def test_messages_about_a_queued_job_end_the_session(shared_hub: HubProcess, agent: TestAgent) -> None:
    await started(shared_hub, agent)
    waiting = (await order(shared_hub, agent.node, "check"))["id"]
    for say in (plan_of(waiting), report_of(waiting), JobOutput(waiting, 0, 0, LINE), ended(waiting, b"")):
        await agent.say(say)
        with pytest.raises(AgentClosed):
            await agent.expect(JobDone)
        assert (await asyncio.to_thread(shared_hub.job, waiting))["state"] == "queued"
        await agent.join()


# -- batches ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncIterator[HubProcess]:
    """A hub of which one job of a batch goes on at a time."""
    hub = HubProcess(tmp_path / "hub", env={"STARDUST_JOBS_AT_ONCE": "1"})
    await hub.start()
    try:
        yield hub
    finally:
        await asyncio.to_thread(hub.close)


async def test_a_bulk_request_runs_sequentially_with_one_result_page(narrow: HubProcess) -> None:
    nodes = await asyncio.to_thread(narrow.enrol, "a", "b", "c", "monitor")
    async with agents(narrow, *nodes) as joined:
        for agent in joined:
            await agent.join()
            await agent.say(IDENTITY._replace(policy_mode="monitor" if agent.node.name == "monitor" else "managed"))
        await eventually(lambda: all(narrow.node(node.node_id)["policy"] for node in nodes))
        body = {"nodes": [node.node_id for node in nodes], "action": "security-upgrade"}
        reply = await narrow.call("POST", "/api/v1/jobs", body)
        assert reply.status == 202
        batch = reply.json
        assert [(one["node_id"], one["code"]) for one in batch["refused"]] == [(nodes[3].node_id, "node.policy_refuses")]
        for at, agent in enumerate(joined[:3]):
            start = await agent.expect(JobStart)
            page = (await narrow.call("GET", f"/api/v1/batches/{batch['id']}")).json
            assert sum(page["counts"].get(state, 0) for state in ("dispatched", "accepted", "running")) == 1
            if at == 1:
                assert (await narrow.call("POST", f"/api/v1/batches/{batch['id']}/cancel")).json["counts"]["cancelled"] == 1
                assert await stop_order(agent, start.job) == {}
                await agent.say(JobOutput(start.job, 0, 0, LINE), ended(start.job, LINE, state="cancelled"))
                break
            await agent.say(JobOutput(start.job, 0, 0, LINE), ended(start.job, LINE))
        await eventually(lambda: narrow.local("GET", f"/api/v1/batches/{batch['id']}").json["state"] == "done")
        page = (await narrow.call("GET", f"/api/v1/batches/{batch['id']}")).json
        assert page["counts"] == {"succeeded": 1, "cancelled": 2}
        assert {job["node_id"] for job in page["jobs"]} == {node.node_id for node in nodes[:3]}
        listed = (await narrow.call("GET", "/api/v1/batches")).json["batches"]
        assert [one["id"] for one in listed] == [batch["id"]]


@pytest.mark.holds("SAFETY-35", "S-20")
@pytest.mark.parametrize("nodes", [[], None, "*", "all", {}, [str(at) for at in range(1001)]], ids=lambda nodes: repr(nodes)[:20])
async def test_an_empty_list_of_nodes_never_means_all(shared_hub: HubProcess, nodes: object) -> None:
    reply = await shared_hub.call("POST", "/api/v1/jobs", {"nodes": nodes, "action": "check"})
    assert (reply.status, reply.json["code"]) == (400, "request.invalid")
    assert (await shared_hub.call("POST", "/api/v1/jobs", {"action": "check"})).status == 400
