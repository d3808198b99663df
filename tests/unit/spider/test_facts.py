"""Facts of the host: sent at every session's start and on change; blocking reads do not block the loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from spider.clock import SystemClock
from spider.packages.interfaces import Console, Outcome, PackageCondition, PackagesUnreadable, Task
from spider.packages.plan import Planned
from spider.reports.host_reports import HostReports
from spider.sampling.collectors.updates import Available, FaultsReader, UpdatesReader
from spider.threads import run_in_thread
from spider.wire.errors import LocalProtocolError
from spider.wire.frames import Message
from spider.wire.report_messages import Identity, Updates
from tests.support.background import in_background
from tests.support.eventually import eventually
from tests.support.scripted_hub import ScriptedHub


@contextlib.asynccontextmanager
async def running(facts: HostReports) -> AsyncIterator[None]:
    async with in_background(facts.run()):
        yield


def policy(folder: Path, text: str) -> str:
    path = folder / "policy.conf"
    path.write_text(text)
    path.chmod(0o644)
    return str(path)


async def test_the_identity_is_sent_in_each_session_and_after_a_policy_change(tmp_path: Path) -> None:
    hub = ScriptedHub()
    path = policy(tmp_path, "[policy]\nversion = 1\nmode = readonly\n")
    facts = HostReports(hub.config(policy_path=path), SystemClock(), hub.send, os.geteuid())
    async with running(facts):
        await eventually(lambda: len(hub.of(Identity)) == 1)
        assert hub.of(Identity)[0].policy_mode == "readonly"
        facts.joined()
        await eventually(lambda: len(hub.of(Identity)) == 2)
        policy(tmp_path, "[policy]\nversion = 1\nmode = managed\n")
        facts.job_ended()
        await eventually(lambda: len(hub.of(Identity)) == 3)
        assert hub.of(Identity)[2].policy_mode == "managed"
        policy(tmp_path, "mode = managed")  # by its owner, at any moment
        await eventually(lambda: len(hub.of(Identity)) == 4)
        assert (hub.of(Identity)[3].policy_mode, hub.of(Identity)[3].policy_verbs) == ("invalid", [])


class Manager:
    """Returns the facts that a test sets."""

    name = "test"
    newer = (Planned("openssl", "1", "2"),)

    def held(self) -> Sequence[tuple[str, str, str]]:
        return [("linux", "6.1", "held")]

    def __init__(self) -> None:
        self.asked = 0
        self.answer = Updates(3, 1, 1000)
        self.trouble: Exception | None = None
        self.told = PackageCondition([], [("main", 1.0, "current")])

    def wait_free(self, console: Console) -> Outcome | None:
        return None

    def condition(self) -> PackageCondition:
        return self.told

    def available_updates(self) -> Updates:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return self.answer

    def perform(self, task: Task, console: Console) -> Outcome:
        raise AssertionError("Spider itself runs nothing")


async def test_updates_are_read_at_the_start_and_after_every_job() -> None:
    hub, manager, available = ScriptedHub(), Manager(), Available()
    facts = HostReports(hub.config(), SystemClock(), hub.send, manager=manager, available=available)
    async with running(facts):
        await eventually(lambda: Updates(3, 1, 1000) in hub.heard)
        assert (available.newer, available.held) == (manager.newer, [("linux", "6.1", "held")])
        for trouble in (PackagesUnreadable("locked"), RuntimeError("a bug")):
            asked, manager.trouble = manager.asked, trouble
            facts.job_ended()
            await eventually(lambda asked=asked: manager.asked > asked)  # type: ignore[misc]
        manager.trouble = None
        manager.answer = Updates(0, 0, 2000)
        facts.job_ended()
        await eventually(lambda: hub.heard[-1] == Updates(0, 0, 2000))
        assert len(hub.of(Updates)) == 2


class SeparateManager(Manager):
    """As `SeparateQuery`: newer packages and the condition are those of the last `available_updates`, which takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end = threading.Event()
        self.may_end.set()
        self.after_job = self.told

    def available_updates(self) -> Updates:
        self.asked += 1
        self.may_end.wait(60)
        self.told = self.after_job
        return self.answer


async def test_what_is_told_after_a_job_was_asked_after_it_or_keeps_its_earlier_time() -> None:
    """The hub takes a table that is newer than a job for a look at what the job has left."""
    manager, available = SeparateManager(), Available()
    told: list[tuple[object, int | None, object, int | None]] = []

    def learned() -> None:
        updates, faults = UpdatesReader(available).read(0.0), FaultsReader(available).read(0.0)
        assert updates is not None
        assert faults is not None
        told.append((updates.rows[:1], updates.taken_at_ms, faults.rows, faults.taken_at_ms))

    facts = HostReports(ScriptedHub().config(), SystemClock(), ScriptedHub().send, manager=manager, available=available, learned=learned)
    async with running(facts):
        await eventually(lambda: len(told) == 1)
        manager.may_end.clear()
        manager.newer, manager.after_job = (Planned("curl", "1", "2"),), PackageCondition([("curl", "incomplete")], None)
        await asyncio.sleep(0.002)
        ended_at_ms = int(time.time() * 1000)
        facts.job_ended()
        await eventually(lambda: manager.asked == 2)
        learned()  # somebody opens the page: the tables are read and sent again
        manager.may_end.set()
        await eventually(lambda: len(told) == 3)
    before, meanwhile, after = told
    assert meanwhile == before, "an old answer is never told with a newer time"
    assert before[1] is not None
    assert before[1] < ended_at_ms
    assert (after[0], after[2]) == ([("curl", "1", "2", "unknown", "")], [("curl", "incomplete")])
    assert after[1] is not None
    assert after[1] >= ended_at_ms
    assert after[3] == after[1], "one question answers both"


async def test_broken_packages_are_reported_even_without_an_update_count() -> None:
    hub, manager, available = ScriptedHub(), Manager(), Available()
    manager.trouble, manager.told = PackagesUnreadable("unmet dependencies"), PackageCondition([("curl", "incomplete")], None)
    facts = HostReports(hub.config(), SystemClock(), hub.send, manager=manager, available=available)
    async with running(facts):
        await eventually(lambda: available.condition.faults == [("curl", "incomplete")])
        asked, manager.told = manager.asked, PackageCondition(None, [("main", 1.0, "missing")])
        facts.job_ended()
        await eventually(lambda: available.condition.repositories == [("main", 1.0, "missing")])
        assert manager.asked > asked
        assert available.condition.faults == [("curl", "incomplete")]
        manager.told = PackageCondition([], [])
        facts.packages_changed()  # somebody has repaired them by hand
        await eventually(lambda: available.condition.faults == [])


async def test_reports_are_sent_after_a_time_without_a_session() -> None:
    hub = ScriptedHub()
    hub.away = True
    facts = HostReports(hub.config(), SystemClock(), hub.send)
    async with running(facts):
        await eventually(lambda: facts._identity is not None)
        assert hub.heard == []
        hub.away = False
        facts.joined()
        await eventually(lambda: len(hub.of(Identity)) == 1)


async def test_work_in_a_thread_returns_its_value_or_raises_its_error() -> None:
    here = threading.get_ident()
    assert await run_in_thread(threading.get_ident, "test") != here

    def fail() -> None:
        raise OSError("no such disk")

    with pytest.raises(OSError, match="no such disk"):
        await run_in_thread(fail, "test")


async def test_hanging_work_in_a_thread_does_not_block_its_waiter() -> None:
    gate = threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await run_in_thread(gate.wait, "test")
    gate.set()


async def test_an_oversized_report_does_not_block_others() -> None:
    hub, manager = ScriptedHub(), Manager()

    async def send(message: Message) -> None:
        if isinstance(message, Identity):
            raise LocalProtocolError("too big")
        await hub.send(message)

    async with running(HostReports(hub.config(), SystemClock(), send, manager=manager)):
        await eventually(lambda: Updates(3, 1, 1000) in hub.heard)
