"""Spider's side of jobs with the real launcher and runner; only systemd and the hub are faked."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from spider.clock import SystemClock
from spider.jobs.files import read_result
from spider.jobs.launcher_client import LauncherClient
from spider.packages.plan import Plan, Planned
from spider.wire.ids import new_time_id
from spider.wire.job_messages import (
    OUTPUT_WINDOW_BYTES,
    JobAck,
    JobAnswer,
    JobDone,
    JobEnded,
    JobPlan,
    JobProgress,
    JobReport,
    JobStart,
    JobStop,
)
from tests.support.eventually import eventually
from tests.support.job_node import LIMIT_S, Node, ShortClock, begun, spider
from tests.support.scripted_hub import ScriptedHub


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path, "i=1; while [ $i -le 30 ]; do echo step $i; sleep 0.01; i=$((i+1)); done; exit 0")
    yield node
    node.close()


@pytest.fixture
def go_on(node: Node, tmp_path: Path) -> Callable[[], None]:
    """Lets the node's jobs end. Until it is called, they wait."""
    path = tmp_path / "go-on"
    node.script = f"echo begun; until test -e {path}; do sleep 0.01; done"
    return path.touch


async def test_an_order_runs_as_a_job_whose_output_arrives_complete(node: Node) -> None:
    hub, order = ScriptedHub(), node.order()
    async with begun(node, hub, order) as jobs:
        jobs.start(order)
        await hub.until(lambda: hub.of(JobEnded))
        assert jobs.unconfirmed() == []
    assert [(answer.answer, answer.why) for answer in hub.of(JobAnswer)] == [("accepted", "")]
    ended = hub.of(JobEnded)[0]
    assert (ended.state, ended.exit_code, ended.change_packages) == ("succeeded", 0, ["lab"])
    assert hub.output == (node.jobs / order.job / "log").read_bytes()
    assert (ended.output_bytes, ended.output_sha256) == (len(hub.output), hashlib.sha256(hub.output).hexdigest())
    assert hub.output.count(b"step") == 30
    assert hub.of(JobProgress)[0].phase == "commit"
    told_ms = hub.of(JobProgress)[-1].output_at_ms
    assert told_ms == 0 or told_ms >= ended.started_at_ms - 100, "times of files are those of the kernel's last tick"
    assert len(node.runners) == 1
    assert [(plan.part, plan.parts, plan.packages, plan.before, plan.after) for plan in hub.of(JobPlan)] == [(0, 1, ["lab"], ["1"], ["2"])]
    assert hub.of(JobPlan)[0].digest == Plan((Planned("lab", "1", "2"),)).digest
    report = hub.of(JobReport)[0]
    assert (report.reboot, report.config_paths, report.config_diffs) == ("yes", ["/etc/a"], ["-1\n+2\n"])


async def test_a_stop_request_reaches_the_runner_and_its_result_reaches_the_hub(node: Node) -> None:
    node.script = "echo begun; exec sleep 60"
    hub, order = ScriptedHub(), node.order()
    async with begun(node, hub, order) as jobs:
        await hub.until(lambda: b"begun" in hub.output)
        for _ in range(3):
            jobs.stop(node.stop(order.job))
        await hub.until(lambda: hub.of(JobEnded))
    ended = hub.of(JobEnded)[0]
    assert (ended.state, ended.signal, ended.error_code) == ("cancelled", signal.SIGINT, "job.stopped")
    assert [progress.stop for progress in hub.of(JobProgress)][-1] == "now"
    assert len(hub.of(JobAnswer)) == 1  # what the launcher says to a stop is no answer to the job's order


async def test_a_stop_of_a_job_that_never_began_is_answered(node: Node) -> None:
    hub = ScriptedHub()
    job = new_time_id()
    async with spider(node, hub) as jobs:
        jobs.resume({})
        jobs.stop(node.stop(job))
        await hub.until(lambda: hub.of(JobAnswer))
    assert [(answer.job, answer.answer, answer.why) for answer in hub.of(JobAnswer)] == [(job, "refused", "no-such-job")]


async def test_a_refused_stop_request_is_answered_with_its_reason(node: Node, go_on: Callable[[], None]) -> None:
    hub, order = ScriptedHub(), node.order()
    async with begun(node, hub, order) as jobs:
        await hub.until(lambda: b"begun" in hub.output)
        jobs.stop(JobStop(order.job, order.order[:-1] + bytes([order.order[-1] ^ 1])))
        await hub.until(lambda: len(hub.of(JobAnswer)) == 3)
        go_on()
        await hub.until(lambda: hub.of(JobEnded))
    assert hub.of(JobEnded)[0].state == "succeeded"
    said = [(answer.answer, answer.why) for answer in hub.of(JobAnswer)]
    assert said == [("accepted", ""), ("accepted", "known"), ("refused", "bad-mac")]


async def test_a_stop_that_the_nodes_clock_refuses_is_answered_with_its_time(node: Node, go_on: Callable[[], None]) -> None:
    """Only of a job that began here: the answer about another would say that its order was refused."""
    hub, order = ScriptedHub(), node.order()
    async with begun(node, hub, order) as jobs:
        await hub.until(lambda: b"begun" in hub.output)
        for job in (new_time_id(), order.job):
            jobs.stop(node.stop(job, late_s=3600))
        await hub.until(lambda: len(hub.of(JobAnswer)) == 3)
        go_on()
        await hub.until(lambda: hub.of(JobEnded))
    said = [(answer.job, answer.answer, answer.why) for answer in hub.of(JobAnswer)]
    assert said == [(order.job, "accepted", ""), (order.job, "accepted", "known"), (order.job, "refused", "expired")]
    assert abs(hub.of(JobAnswer)[-1].clock_ms / 1000 - time.time()) < LIMIT_S


async def test_plan_and_report_are_sent_in_each_session(node: Node) -> None:
    hub, order = ScriptedHub(), node.order()
    hub.confirm_end = False
    for times in (1, 2):
        async with spider(node, hub) as jobs:
            if hub.of(JobEnded):
                jobs.resume({order.job: len(hub.output)})
            else:
                jobs.resume({})
                jobs.start(order)
            await hub.until(partial(_ended, hub, times))
    assert len({plan.digest for plan in hub.of(JobPlan)}) == 1
    assert len(hub.of(JobPlan)) == len(hub.of(JobReport)) == len(hub.of(JobEnded)) == 2


def _ended(hub: ScriptedHub, times: int) -> bool:
    return len(hub.of(JobEnded)) == times


def _moved(hub: ScriptedHub, before: int) -> bool:
    return bool(hub.of(JobEnded)) or len(hub.output) > before + 30


@pytest.mark.holds("F-02")
async def test_repeated_kills_of_spider_neither_lose_nor_duplicate_output(node: Node) -> None:
    hub, order = ScriptedHub(), node.order()
    async with begun(node, hub, order) as jobs:
        await hub.until(lambda: len(hub.output) > 20)
    for _ in range(4):
        async with spider(node, hub) as jobs:
            jobs.resume({job: len(hub.output) for job in jobs.unconfirmed()})
            before = len(hub.output)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.15):
                    await hub.until(partial(_moved, hub, before))
    async with spider(node, hub) as jobs:
        if not hub.of(JobEnded):
            jobs.resume({job: len(hub.output) for job in jobs.unconfirmed()})
            await hub.until(lambda: hub.of(JobEnded))
    assert hub.output == (node.jobs / order.job / "log").read_bytes()
    assert {ended.state for ended in hub.of(JobEnded)} == {"succeeded"}
    assert len(node.runners) == 1


async def test_a_job_continues_in_the_session_after_a_broken_one(node: Node) -> None:
    hub, order = ScriptedHub(), node.order()
    async with begun(node, hub, order) as jobs:
        await hub.until(lambda: len(hub.output) > 20)
        hub.away = True
        held = len(hub.output)
        await hub.until(lambda: hub.in_vain)
        assert await asyncio.to_thread(node.runners[0].wait, 20) == 0  # the job goes on to its end
        assert hub.in_vain == 1  # and Spider, refused once for lack of a session, waits for the next
        hub.away = False
        assert jobs.unconfirmed() == [order.job]
        jobs.resume({order.job: held})
        await hub.until(lambda: hub.of(JobEnded))
    assert hub.output == (node.jobs / order.job / "log").read_bytes()


async def test_unacknowledged_output_is_limited_to_the_window(node: Node) -> None:
    node.script = "i=0; while [ $i -lt 300 ]; do printf '%8000d\\n' $i; i=$((i+1)); done"
    hub, order, clock = ScriptedHub(), node.order(), ShortClock()
    hub.ack_output = False
    async with begun(node, hub, order, clock) as jobs:
        await hub.until(lambda: len(hub.output) == OUTPUT_WINDOW_BYTES)
        for runner in node.runners:
            assert await asyncio.to_thread(runner.wait, 20) == 0  # the job does not wait for Spider or the hub
        await clock.looks()
        assert len(hub.output) == OUTPUT_WINDOW_BYTES
        assert hub.of(JobEnded) == []
        hub.ack_output = True
        jobs.acked(JobAck(order.job, OUTPUT_WINDOW_BYTES))
        await hub.until(lambda: hub.of(JobEnded))
    assert len(hub.output) == 300 * 8002


async def test_the_end_of_a_job_is_sent_in_each_session_until_acknowledged(node: Node) -> None:
    hub, order = ScriptedHub(), node.order()
    hub.confirm_end = False
    async with begun(node, hub, order) as jobs:
        await hub.until(lambda: len(hub.of(JobEnded)) == 1)
        jobs.resume({order.job: len(hub.output)})
        await hub.until(lambda: len(hub.of(JobEnded)) == 2)
        assert jobs.unconfirmed() == [order.job]
        jobs.done(JobDone(order.job))
        assert jobs.unconfirmed() == []
    assert hub.of(JobEnded)[0] == hub.of(JobEnded)[1]
    async with spider(node, hub) as jobs:
        assert jobs.unconfirmed() == [order.job]  # a restarted Spider asks
        jobs.forget([order.job])
        assert jobs.unconfirmed() == []


async def test_an_order_that_is_sent_again_starts_nothing_and_is_no_error(node: Node) -> None:
    hub, order = ScriptedHub(), node.order()
    async with begun(node, hub, order) as jobs:
        await hub.until(lambda: hub.of(JobEnded))
        jobs.start(order)
        await hub.until(lambda: len(hub.of(JobAnswer)) == 2)
    assert [answer.answer for answer in hub.of(JobAnswer)] == ["accepted", "accepted"]
    assert len(node.runners) == 1


async def test_a_refusal_of_the_launcher_is_reported_with_its_reason(node: Node) -> None:
    hub, order = ScriptedHub(), node.order(life_s=-5)
    async with begun(node, hub, order):
        await hub.until(lambda: hub.of(JobAnswer))
    assert (hub.of(JobAnswer)[0].answer, hub.of(JobAnswer)[0].why) == ("refused", "expired")
    assert abs(hub.of(JobAnswer)[0].clock_ms / 1000 - time.time()) < 10
    assert node.runners == []


async def test_a_launcher_without_free_slots_is_retried(node: Node) -> None:
    hub, order = ScriptedHub(), node.order()
    node.drop = 4
    async with begun(node, hub, order, ShortClock()):
        await hub.until(lambda: hub.of(JobAnswer))
    assert hub.of(JobAnswer)[0].answer == "accepted"
    assert len(node.runners) == 1


async def test_a_missing_launcher_is_reported_as_unreachable(node: Node, tmp_path: Path) -> None:
    hub, order = ScriptedHub(), node.order()
    real, node.socket = node.socket, tmp_path / "nowhere.sock"
    async with begun(node, hub, order, ShortClock()):
        await hub.until(lambda: hub.of(JobAnswer))
    node.socket = real
    assert hub.of(JobAnswer)[0].answer == "unreachable"
    assert "FileNotFoundError" in hub.of(JobAnswer)[0].why


async def test_a_monitoring_node_without_launcher_refuses_by_itself(node: Node, tmp_path: Path) -> None:
    for text, why in (("[policy]\nversion = 1\nmode = monitor\n", "policy-monitor"), ("[policy]\n", "policy-invalid")):
        node.set_policy(text)
        hub = ScriptedHub()
        async with begun(node, hub, node.order(), policy=node.policy):
            await hub.until(partial(hub.of, JobAnswer))
        assert (hub.of(JobAnswer)[0].answer, hub.of(JobAnswer)[0].why) == ("refused", why)
    assert node.runners == []
    node.set_policy("[policy]\nversion = 1\nmode = monitor\nrekey = yes\n")  # then the launcher is asked
    assert LauncherClient(str(node.socket), SystemClock(), node.policy, os.geteuid()).refusal() == ""


@pytest.mark.holds("F-03")
async def test_a_killed_runner_is_reported_as_an_interruption(node: Node) -> None:
    node.script = "echo begun; sleep 60"
    hub, order, clock = ScriptedHub(), node.order(), ShortClock()
    async with begun(node, hub, order, clock):
        await hub.until(lambda: b"begun" in hub.output)
        node.runners[0].send_signal(signal.SIGKILL)
        await asyncio.to_thread(node.runners[0].wait, 20)
        (node.jobs / order.job / "stopped").write_text("signal killed 9 x\n")  # systemd's hook
        await clock.looks()
        assert hub.of(JobEnded) == []  # a result might be on its way
        await clock.sleep(5)
        await hub.until(lambda: hub.of(JobEnded))
    assert (hub.of(JobEnded)[0].state, hub.of(JobEnded)[0].error_code, hub.of(JobEnded)[0].signal) == ("interrupted", "job.killed", 9)
    assert hub.of(JobEnded)[0].output_sha256 == hashlib.sha256(hub.output).hexdigest()


async def test_a_job_reported_as_never_begun_can_still_report_its_result(node: Node) -> None:
    hub, job = ScriptedHub(), new_time_id()
    (node.jobs / job).mkdir()
    (node.jobs / job / "plan").write_text(f'{{"job": "{job}", "verb": "upgrade", "args": {{"packages": ["a"]}}}}')
    clock = ShortClock()
    async with spider(node, hub, clock) as jobs:
        jobs.resume({job: 0})
        await clock.looks()
        assert hub.of(JobEnded) == []
        await clock.sleep(61)
        await hub.until(lambda: hub.of(JobEnded))
        assert (hub.of(JobEnded)[0].state, hub.of(JobEnded)[0].error_code) == ("interrupted", "job.never_began")
        node._start(f"stardust-job@{job}.service")
        await hub.until(lambda: len(hub.of(JobEnded)) == 2)
        assert hub.of(JobEnded)[1].state == "succeeded"
        assert jobs.unconfirmed() == []
    assert read_result(str(node.jobs / job)) is not None


def _has_output(hub: ScriptedHub, size: int) -> bool:
    return len(hub.output) >= size


async def test_a_job_that_cannot_be_read_is_logged_once_and_read_again_later(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    hub, broken, other = ScriptedHub(), new_time_id(), new_time_id()
    for job in (broken, other):
        (node.jobs / job).mkdir()
        (node.jobs / job / "plan").write_text("{}")
    (node.jobs / broken / "log").mkdir()
    log = node.jobs / other / "log"
    log.write_bytes(b"1")
    async with spider(node, hub) as jobs:
        jobs.resume({broken: 0, other: 0})
        for size in (1, 2, 3):  # both jobs are looked at before the next output
            await hub.until(partial(_has_output, hub, size))
            with log.open("ab") as file:
                file.write(b"1")
        assert [record.getMessage() for record in caplog.records].count("job_unreadable") == 1
        assert not jobs._follows[broken].prints()  # else Spider would look again without a pause
        (node.jobs / broken / "log").rmdir()
        await eventually(lambda: not jobs._follows[broken].unreadable)


async def test_a_flood_of_orders_is_bounded(node: Node) -> None:
    hub = ScriptedHub()
    hub.away = True
    async with spider(node, hub) as jobs:
        for _ in range(100):
            jobs.start(JobStart(new_time_id(), b"x"))
        assert len(jobs._orders) <= 16
