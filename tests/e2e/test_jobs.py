"""Jobs from the order to the result: by the real Spider with a test launcher, and message by message."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path

import pytest

from spider.wire.frames import CLOSE_PROTOCOL
from spider.wire.job_messages import JobAck, JobAnswer, JobDone, JobOutput, JobProgress, JobStart
from spider.wire.orders import SignedOrder
from tests.support.agent import IDENTITY, SpiderProcess, TestAgent, agents, node_name
from tests.support.eventually import eventually
from tests.support.fake_launcher import FakeLauncher, FakeRunner
from tests.support.hub import HubProcess
from tests.support.job_messages import LINE, ended, job_is, order, started
from tests.support.wire import open_order

# -- with the real Spider ------------------------------------------------------------------------------


class LongJob:
    """Prints the half of its output, and the rest once the test has seen what it wanted to see of a job in its middle."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def work(self, runner: FakeRunner, _order: SignedOrder) -> None:
        for step in range(20):
            if step == 10:
                await self.go_on.wait()
            runner.say(b"%d " % step + LINE * 50)
            runner.progress("commit", step * 5)
            await asyncio.sleep(0.1)
        runner.end(changes=(("lab-slow", "1.0", "1.1"),))


async def test_a_job_runs_from_the_order_to_the_result(hub: HubProcess, tmp_path: Path) -> None:
    [node] = hub.enrol("worker")
    spider, long = SpiderProcess(tmp_path / "spider", hub, node), LongJob()
    async with FakeLauncher(spider.launcher, spider.jobs, node.launch_key, long.work) as launcher:
        try:
            spider.launch()
            await eventually(lambda: hub.node(node.node_id)["policy"])
            job = await order(hub, node, packages=["lab-slow"])
            await job_is(hub, job["id"], "running")
            await eventually(lambda: hub.job(job["id"])["progress_percent"])
            long.go_on.set()
            done = await job_is(hub, job["id"], "succeeded")
        finally:
            spider.close()
    printed = b"".join(b"%d " % step + LINE * 50 for step in range(20))
    assert [(told.verb, told.args) for told in launcher.orders] == [("upgrade", {"packages": ["lab-slow"]})]
    assert hub.job_output(job["id"]) == printed
    assert done["output_sha256"] == hashlib.sha256(printed).hexdigest()
    assert done["changes"] == [{"package": "lab-slow", "from": "1.0", "to": "1.1"}]
    assert (done["exit_code"], done["progress_percent"], done["error"]) == (0, 100, None)
    types = [event["type"] for event in hub.local("GET", f"/api/v1/events?node={node.node_id}").json["events"]]
    assert "job_succeeded" in types


@pytest.mark.holds("F-02")
@pytest.mark.parametrize(
    "victim", ["hub", pytest.param("spider", marks=pytest.mark.slow)]
)  # tests/system/test_survival.py kills Spider in a job
async def test_a_job_continues_when_either_end_is_killed_and_no_byte_is_lost(hub: HubProcess, tmp_path: Path, victim: str) -> None:
    [node] = hub.enrol("worker")
    spider, long = SpiderProcess(tmp_path / "spider", hub, node), LongJob()
    async with FakeLauncher(spider.launcher, spider.jobs, node.launch_key, long.work) as launcher:
        try:
            spider.launch()
            await eventually(lambda: hub.node(node.node_id)["policy"])
            job = await order(hub, node)
            await eventually(lambda: hub.job(job["id"])["output_bytes"] > 5000)
            if victim == "hub":
                await hub.kill()
                await hub.start()
            else:
                await asyncio.to_thread(spider.slay)
                spider.launch()
            long.go_on.set()
            done = await job_is(hub, job["id"], "succeeded", 60)
        finally:
            spider.close()
    printed = b"".join(b"%d " % step + LINE * 50 for step in range(20))
    assert len(launcher.orders) == 1
    assert hub.job_output(job["id"]) == printed
    assert done["output_sha256"] == hashlib.sha256(printed).hexdigest()


async def test_a_busy_launcher_is_retried(hub: HubProcess, tmp_path: Path) -> None:
    async def short(runner: FakeRunner, _order: SignedOrder) -> None:
        runner.say(LINE)
        runner.end()

    [node] = hub.enrol("worker")
    spider = SpiderProcess(tmp_path / "spider", hub, node)
    async with FakeLauncher(spider.launcher, spider.jobs, node.launch_key, short) as launcher:
        launcher.refuse = ["busy"] * 12
        try:
            spider.launch()
            await eventually(lambda: hub.node(node.node_id)["policy"])
            job = await order(hub, node)
            await job_is(hub, job["id"], "succeeded", 90)
        finally:
            spider.close()
    assert len(launcher.orders) == 1
    assert not launcher.refuse


# -- message by message ---------------------------------------------------------------------------------


async def test_output_is_acknowledged_once_it_is_stored_and_continues_where_it_stopped(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, told = await started(shared_hub, agent, packages=["lab-slow", "libc6:amd64"])
    assert (told.job, told.verb, told.args, told.node) == (job, "upgrade", {"packages": ["lab-slow", "libc6:amd64"]}, agent.node.node_id)
    assert told.exp - told.iat <= 600
    await agent.say(JobAnswer(job, "accepted", "", int(time.time() * 1000)), JobOutput(job, 0, 0, LINE))
    assert (await agent.expect(JobAck)).offset == len(LINE)
    assert await asyncio.to_thread(shared_hub.job_output, job) == LINE
    await agent.close()
    agent.known_jobs = [job]
    welcome = await agent.join()
    assert (welcome.job_ids, welcome.job_offsets, welcome.forget_jobs) == ([job], [len(LINE)], [])
    await agent.say(JobOutput(job, len(LINE) - 5, 0, LINE[-5:] + LINE), ended(job, LINE + LINE))
    await agent.expect(JobDone)
    assert await asyncio.to_thread(shared_hub.job_output, job) == LINE + LINE
    await agent.say(ended(job, LINE + LINE))  # our answer was lost
    await agent.expect(JobDone)
    await agent.close()
    assert (await agent.join()).forget_jobs == [job]


async def test_progress_is_shown(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    for percent in range(0, 60, 10):
        await agent.say(JobProgress(job, 0, "download", percent, "a", "b"))
    await eventually(lambda: shared_hub.job(job)["progress_percent"] == 50)
    await agent.say(JobProgress(job, 0, "no such phase", -1, "a", "b"))
    await agent.say(ended(job, b"", state="failed", exit_code=100, error_code="job.apt", error_text="E: it\x1b[2J broke"))
    done = await job_is(shared_hub, job, "failed")
    assert (done["phase"], done["exit_code"]) == ("download", 100)
    assert done["error"] == {"code": "job.apt", "message": "E: it[2J broke"}


@pytest.mark.holds("SAFETY-76")
async def test_output_that_differs_from_its_digest_makes_the_outcome_unknown(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(JobOutput(job, 0, 0, LINE), ended(job, LINE, output_sha256="0" * 64))
    await agent.expect(JobDone)
    done = await asyncio.to_thread(shared_hub.job, job)
    assert done["state"] == "unknown"
    assert done["error"]["code"] == "job.output_mismatch"


async def test_a_gap_in_the_output_ends_the_session_and_the_next_one_fills_it(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(JobOutput(job, 0, 0, LINE), JobOutput(job, 10_000, 0, LINE))
    assert (await agent.wait_closed()).code == CLOSE_PROTOCOL
    agent.known_jobs = [job]
    assert (await agent.join()).job_offsets == [len(LINE)]


async def test_a_job_that_ended_before_its_output_came_is_asked_for_the_rest(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(JobOutput(job, 0, 0, LINE), ended(job, LINE + LINE))
    assert (await agent.wait_closed()).code == CLOSE_PROTOCOL
    agent.known_jobs = [job]
    assert (await agent.join()).job_offsets == [len(LINE)]
    await agent.say(JobOutput(job, len(LINE), 0, LINE), ended(job, LINE + LINE))
    await agent.expect(JobDone)
    assert (await asyncio.to_thread(shared_hub.job, job))["state"] == "succeeded"


@pytest.mark.holds("SAFETY-79")
async def test_a_late_result_replaces_an_unknown_outcome_once(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(ended(job, b"", state="interrupted", exit_code=None, error_code="job.killed", error_text="killed"))
    await agent.expect(JobDone)
    assert (await asyncio.to_thread(shared_hub.job, job))["state"] == "interrupted"
    await agent.say(JobOutput(job, 0, 0, LINE), ended(job, LINE))
    await agent.expect(JobDone)
    truth = await job_is(shared_hub, job, "succeeded")
    assert truth["error"] is None
    assert truth["exit_code"] == 0
    await agent.say(ended(job, LINE, state="failed"))
    await agent.expect(JobDone)
    assert (await asyncio.to_thread(shared_hub.job, job))["state"] == "succeeded"


async def test_a_node_with_a_wrong_clock_gets_the_order_once_more_by_its_time(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, first = await started(shared_hub, agent)
    behind_ms = int((time.time() - 7200) * 1000)
    await agent.say(JobAnswer(job, "refused", "too-early", behind_ms))
    again = await agent.expect(JobStart)
    second = open_order(agent.node.launch_key, again.order)
    assert abs(first.iat - 7200 - second.iat) <= 2
    await agent.say(JobAnswer(job, "refused", "too-early", behind_ms))
    done = await job_is(shared_hub, job, "failed")
    assert done["error"]["code"] == "job.too_early"


@pytest.mark.parametrize("why", ["policy-verb", "no-space", "bad-mac", "bad-args", "no-key", "some-new-word"])
async def test_a_refusal_of_the_launcher_is_a_failed_job_with_a_sentence(shared_hub: HubProcess, agent: TestAgent, why: str) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(JobAnswer(job, "refused", why, int(time.time() * 1000)))
    done = await job_is(shared_hub, job, "failed")
    assert done["error"]["message"]
    assert done["error"]["code"] == ("job.refused" if why == "some-new-word" else f"job.{why.replace('-', '_')}")


async def test_a_lost_order_is_resent_in_the_next_session(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.close()
    await agent.join()
    assert (await agent.expect(JobStart)).job == job
    await agent.close()
    agent.known_jobs = [job]
    await agent.join()
    with pytest.raises(TimeoutError):
        await agent.expect(JobStart, 3)


@pytest.mark.holds("SAFETY-78")
async def test_a_job_that_the_node_lost_becomes_unknown(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    await agent.say(JobAnswer(job, "accepted", "", 0), JobOutput(job, 0, 0, LINE))
    await job_is(shared_hub, job, "running")
    await agent.close()
    agent.known_jobs = []
    await agent.join()
    done = await job_is(shared_hub, job, "unknown")
    assert done["error"]["code"] == "job.lost"


async def test_one_job_runs_at_a_time_and_a_waiting_one_can_be_cancelled(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    waiting = await order(shared_hub, agent.node, "check")
    with pytest.raises(TimeoutError):
        await agent.expect(JobStart, 3)
    assert (await shared_hub.call("POST", f"/api/v1/jobs/{waiting['id']}/cancel")).json["state"] == "cancelled"
    third = await order(shared_hub, agent.node, "refresh")
    await agent.say(ended(job, b""))
    await agent.expect(JobDone)
    assert (await agent.expect(JobStart)).job == third["id"]


async def test_waiting_jobs_run_in_the_order_of_their_requests(shared_hub: HubProcess, agent: TestAgent) -> None:
    job, _ = await started(shared_hub, agent)
    waiting = [(await order(shared_hub, agent.node, "check"))["id"] for _ in range(10)]
    for following in waiting:
        await agent.say(ended(job, b"") if job not in waiting[::2] else JobAnswer(job, "refused", "no-space", 0))
        assert (await agent.expect(JobStart)).job == following
        job = following


async def test_a_job_for_an_offline_node_waits(shared_hub: HubProcess) -> None:
    [node] = await asyncio.to_thread(shared_hub.enrol, node_name())
    job = await order(shared_hub, node)
    assert job["state"] == "queued"
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        assert (await agent.expect(JobStart)).job == job["id"]


@pytest.mark.parametrize(
    ("policy", "action", "status"),
    [
        (("monitor", []), "refresh", 409),
        (("readonly", ["refresh", "check"]), "upgrade", 409),
        (("readonly", ["refresh", "check"]), "check", 202),
        (("managed", ["refresh"]), "check", 409),
        (("invalid", []), "check", 409),
    ],
)
async def test_an_action_that_the_policy_forbids_is_refused_immediately(
    shared_hub: HubProcess, agent: TestAgent, policy: tuple[str, list[str]], action: str, status: int
) -> None:
    mode, verbs = policy
    await agent.say(IDENTITY._replace(policy_mode=mode, policy_verbs=verbs))
    await eventually(lambda: shared_hub.node(agent.node.node_id)["policy"]["verbs"] == verbs)
    reply = await shared_hub.call("POST", f"/api/v1/nodes/{agent.node.node_id}/jobs", {"action": action})
    assert reply.status == status
    if status == 409:
        assert reply.json["code"] == "node.policy_refuses"
        assert "policy.conf" in reply.json["detail"]


@pytest.mark.holds("SAFETY-56", "SAFETY-35")
async def test_units_that_the_policy_names_are_restarted_beside_an_upgrade_and_others_are_refused(
    shared_hub: HubProcess, agent: TestAgent
) -> None:
    verbs = ["upgrade", "unit-restart", "unit-stop"]
    path = f"/api/v1/nodes/{agent.node.node_id}/jobs"
    await agent.say(IDENTITY._replace(policy_mode="managed", policy_verbs=verbs, policy_units="nginx.service, php*, stardust*"))
    await eventually(lambda: shared_hub.node(agent.node.node_id)["policy"]["units"] == ["nginx.service", "php*", "stardust*"])
    for units, action, status, word in (
        (["ssh.service"], "unit-restart", 409, "`units = nginx.service, php*, stardust*, ssh.service`"),
        (["stardust-spider.service"], "unit-restart", 409, "no policy allows that"),
        (["nginx.service"], "unit-reload", 409, "its verbs are upgrade, unit-restart, unit-stop"),
        (["--now"], "unit-restart", 400, "not the full name"),
        (["../x.service"], "unit-restart", 400, "not the full name"),
        (["nginx"], "unit-restart", 400, "not the full name"),
        ([], "unit-restart", 400, "needs units"),
        (["nginx.service"], "upgrade", 400, "takes no units"),
    ):
        reply = await shared_hub.call("POST", path, {"action": action, "units": units})
        assert (reply.status, word in reply.json["detail"]) == (status, True), (units, reply.body)
    upgrade, _ = await started(shared_hub, agent)
    job, restart = await started(shared_hub, agent, action="unit-restart", units=["nginx.service", "php8.2-fpm.service"])
    assert (restart.verb, restart.args) == ("unit-restart", {"units": ["nginx.service", "php8.2-fpm.service"]})
    waiting = await order(shared_hub, agent.node, "unit-stop", units=["nginx.service"])
    await agent.say(ended(job, b"", "failed", error_code="job.unit_failed", error_text="nginx.service: it is failed (failed)"))
    assert (await agent.expect(JobStart)).job == waiting["id"]  # one unit job at a time, whatever happens to the upgrade
    done = await job_is(shared_hub, job, "failed")
    assert (done["units"], done["error"]["code"]) == (["nginx.service", "php8.2-fpm.service"], "job.unit_failed")
    await agent.say(JobAnswer(waiting["id"], "refused", "policy-unit", 0), ended(upgrade, b""))
    assert "the line `units`" in (await job_is(shared_hub, waiting["id"], "failed"))["error"]["message"]


@pytest.mark.holds("SAFETY-56")
async def test_a_container_that_the_policy_names_is_restarted_beside_an_upgrade_and_others_are_refused(
    shared_hub: HubProcess, agent: TestAgent
) -> None:
    path = f"/api/v1/nodes/{agent.node.node_id}/jobs"
    await agent.say(IDENTITY._replace(policy_mode="managed", policy_verbs=["upgrade"]))  # as of a Spider that does not know the verb
    await eventually(lambda: shared_hub.node(agent.node.node_id)["policy"]["verbs"] == ["upgrade"])
    reply = await shared_hub.call("POST", path, {"action": "container-restart", "container": "shop"})
    assert (reply.status, "`containers = shop, …` with `version = 2`" in reply.json["detail"]) == (409, True)
    verbs = ["upgrade", "container-restart"]
    await agent.say(IDENTITY._replace(policy_mode="managed", policy_verbs=verbs, policy_containers="shop, mail-*"))
    await eventually(lambda: shared_hub.node(agent.node.node_id)["policy"]["containers"] == ["shop", "mail-*"])
    for more, status, word in (
        ({"container": "db"}, 409, "`containers = shop, mail-*, db`"),
        ({"container": "../shop"}, 400, "not the name of a container"),
        ({}, 400, "needs a container"),
        ({"action": "upgrade", "container": "shop"}, 400, "takes no container"),
    ):
        reply = await shared_hub.call("POST", path, {"action": "container-restart", **more})
        assert (reply.status, word in reply.json["detail"]) == (status, True), (more, reply.body)
    upgrade, _ = await started(shared_hub, agent)
    job, restart = await started(shared_hub, agent, action="container-restart", container="mail-1")
    assert (restart.verb, restart.args) == ("container-restart", {"container": "mail-1"})
    await agent.say(ended(job, b"", "failed", error_code="job.container_failed", error_text="mail-1: it is exited, exit status 1"))
    done = await job_is(shared_hub, job, "failed")
    assert (done["container"], done["units"], done["error"]["code"]) == ("mail-1", [], "job.container_failed")
    await agent.say(ended(upgrade, b""))


@pytest.mark.holds("SAFETY-107")
async def test_an_action_that_the_policy_names_is_ordered_by_its_name_alone(shared_hub: HubProcess, agent: TestAgent) -> None:
    path = f"/api/v1/nodes/{agent.node.node_id}/jobs"
    await agent.say(
        IDENTITY._replace(policy_mode="managed", policy_verbs=["upgrade", "action-run"], policy_lines="actions = drain, backup\nlater = x")
    )
    await eventually(lambda: shared_hub.node(agent.node.node_id)["policy"]["actions"] == ["drain", "backup"])
    for more, status, word in (
        ({"named_action": "reboot"}, 409, "`actions = drain, backup, reboot`"),
        ({"named_action": "../drain"}, 400, "not the name of an action"),
        ({"named_action": "drain", "packages": ["x"]}, 400, "takes no packages"),
        ({}, 400, "needs an action"),
    ):
        reply = await shared_hub.call("POST", path, {"action": "action-run", **more})
        assert (reply.status, word in reply.json["detail"]) == (status, True), (more, reply.body)
    job, run = await started(shared_hub, agent, action="action-run", named_action="drain")
    assert (run.verb, run.args) == ("action-run", {"named_action": "drain"})
    await agent.say(ended(job, b"", "failed", error_code="job.action_failed", error_text="drain ended with status 3"))
    done = await job_is(shared_hub, job, "failed")
    assert (done["named_action"], done["container"], done["error"]["code"]) == ("drain", None, "job.action_failed")


@pytest.mark.parametrize(
    "body",
    [
        {"action": "upgrade", "packages": []},
        {"action": "upgrade", "packages": ["sudo-"]},
        {"action": "upgrade", "packages": ["-oAPT::Foo"]},
        {"action": "upgrade", "packages": ["a b"]},
        {"action": "refresh", "packages": ["bash"]},
        {"action": "upgrade", "packages": ["x" * 200]},
        {"action": "check", "reboot": True},
        {"action": "remove"},
        {"action": "plan"},
        {},
    ],
)
async def test_an_invalid_order_is_refused(shared_hub: HubProcess, agent: TestAgent, body: object) -> None:
    reply = await shared_hub.call("POST", f"/api/v1/nodes/{agent.node.node_id}/jobs", body)
    assert reply.status == 400, reply.body
