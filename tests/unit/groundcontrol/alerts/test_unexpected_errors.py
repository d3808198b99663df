"""An unexpected error in one round of a periodic task does not end the task, and so not the hub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from groundcontrol.access.store import MembershipStore
from groundcontrol.alerts.hub_facts import AUDIT_AGAIN_S, HubFactReader
from groundcontrol.alerts.replay import Replay
from groundcontrol.alerts.service import AlertService
from groundcontrol.alerts.ticker import Ticker
from groundcontrol.core.bus import SessionChanged
from groundcontrol.core.ids import HubId, NodeId
from groundcontrol.instance.service import OrganisationService
from groundcontrol.notifications.heartbeat import Heartbeat
from groundcontrol.notifications.outbox import DueBell, Outbox
from groundcontrol.samples.model import SeriesSchema
from groundcontrol.schedules.dead_man import DeadMan
from groundcontrol.schedules.deadline_checker import DeadlineChecker
from groundcontrol.schedules.maintenance_closer import WindowCloser
from tests.support.alert_trial import AlertTrial
from tests.support.background import cancelled
from tests.support.clock import ManualClock, settle


async def fails(*_given: object) -> None:
    raise RuntimeError("a bug")


class Faulty:
    """A store whose commands all fail."""

    def __getattr__(self, _name: str) -> object:
        return fails


STORE: Any = Faulty()
TASKS: dict[str, Callable[[ManualClock], Any]] = {
    "maintenance_failed": lambda clock: WindowCloser(STORE, clock, lambda _node: True),
    "dead_man_failed": lambda clock: DeadMan(STORE, clock, lambda _node: True),
    "deadlines_failed": lambda clock: DeadlineChecker(STORE, STORE, clock, lambda _node: False),
    "memberships_failed": lambda clock: OrganisationService(
        STORE, stores=cast("Any", {MembershipStore: STORE}), bus=STORE, clock=clock, users=STORE
    ),
    "hub_facts_unread": lambda clock: HubFactReader(Path(), STORE, STORE, STORE, float, STORE, clock),
    "outbox_failed": lambda clock: Outbox(STORE, STORE, STORE, DueBell(), clock),
    "heartbeat_failed": lambda clock: Heartbeat(clock, STORE, "https://beats.example/", fails),
}


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the hub has logged with a traceback."""
    return [record.getMessage() for record in caplog.records if record.exc_info and record.name.startswith("groundcontrol")]


@pytest.mark.parametrize("name", TASKS)
async def test_a_task_goes_on_after_an_unexpected_error(name: str, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    running = asyncio.create_task(TASKS[name](clock).run())
    await clock.elapse(2 * AUDIT_AGAIN_S)
    assert not running.done()
    assert set(logged(caplog)) == {name}
    assert len(logged(caplog)) > 1, "each round tries again"
    await cancelled(running)


async def test_the_alerts_go_on_after_an_unexpected_error(
    trial: AlertTrial, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing() -> None:
        """The state is loaded already."""

    def breaks(_turn: int) -> None:
        raise RuntimeError("a bug")

    evaluated: list[int] = []
    beside = SimpleNamespace(evaluate=evaluated.append)
    monkeypatch.setattr(trial.service, "load", nothing)
    monkeypatch.setattr(trial.service, "evaluate", breaks)
    for part, name in ((trial.service, "minute"), (trial.service, "_store_found"), (trial.service._facts, "reload")):
        monkeypatch.setattr(part, name, fails)
    ticker = Ticker(trial.clock, lambda: [trial.service, cast("AlertService", beside)])
    running = asyncio.gather(trial.service.run(), ticker.run())
    await settle()
    trial.service._wake.set()
    trial.service._bus.publish(SessionChanged(trial.nodes[0], 1, HubId("hub"), online=True, org=1))
    await trial.clock.elapse(61)
    assert not running.done()
    assert set(logged(caplog)) == {"alerts_failed", "alert_facts_failed"}
    assert logged(caplog).count("alerts_failed") > 60, "each second tries again"
    assert len(evaluated) >= 60, "other organisations are evaluated"
    await cancelled(running)


async def test_a_replay_goes_on_after_an_unexpected_error(caplog: pytest.LogCaptureFixture) -> None:
    def refuses(*_given: object) -> None:
        raise RuntimeError("a bug")

    replay, schema = Replay(STORE, lambda _node: None, ManualClock()), SimpleNamespace(family="pulse")
    engine: Any = SimpleNamespace(add_rows=refuses)
    running = asyncio.create_task(replay.run(engine))
    for node in map(NodeId, ("first", "second")):
        assert replay.hold(node, cast("SeriesSchema", schema), [])
        await settle()
        assert not replay.hold(node, cast("SeriesSchema", schema), []), "its replay is done"
    assert logged(caplog) == ["alert_replay_failed"] * 2
    await cancelled(running)
