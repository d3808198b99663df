"""Each event type of the catalogue has a writer, and repeated causes are recorded once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import pytest

from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.agents.store import HubInfo
from groundcontrol.core.ids import BootId, HubId
from groundcontrol.deployments.model import DeploymentState
from groundcontrol.events import catalogue
from groundcontrol.events.catalogue import ROWS
from groundcontrol.jobs.model import JobState
from groundcontrol.jobs.plans import Report
from groundcontrol.nodes.model import NodeIdentity, NodePolicy, NodeUpdates, Session
from groundcontrol.schedules.silence import Stage
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, connect, new_node, running_job, twice
from tests.support.store_backend import Backend

NEXT_BOOT = BootId("1f" * 16)
BUILT: Final = {
    *(f"node_{stage}" for stage in get_args(Stage)),
    *(f"job_{state}" for state in (*get_args(JobState), "started", "incomplete")),
    *(f"deployment_{state}" for state in get_args(DeploymentState)),
}
"""Types whose name a writer puts together."""


def literals() -> Iterator[str]:
    """Every text in the sources of the hub, but for the catalogue itself."""
    root = Path(catalogue.__file__).parents[1]
    for path in root.rglob("*.py"):
        if path != Path(catalogue.__file__):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            yield from (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_the_hub_emits_each_event_type_whose_only_source_is_the_hub() -> None:
    own = {row.name for row in ROWS if row.sources == ("hub",) and "<" not in row.name}
    assert own - {*literals()} - BUILT == set()


async def types(store: Store, *wanted: str) -> list[str]:
    """The types among these that were recorded, oldest first."""
    return [one.type for one in reversed((await store.log.events(SCOPE, 100)).items) if one.type in wanted]


class Ground:
    """A hub with one node."""

    def __init__(self, backend: Backend, session: Session) -> None:
        self.backend, self.clock, self.session = backend, backend.clock, session

    @property
    def store(self) -> Store:
        return self.backend.store

    async def again(self, boot: BootId | None = None) -> None:
        """The hub starts again, and the node connects again."""
        self.clock.advance(3600)
        await self.backend.reopen()
        self.session = await connect(self.store, self.session.node, boot=boot or self.session.boot)

    async def says(self, mode: str = "managed", reboot: str = "no") -> None:
        self.clock.advance(120)
        await self.store.nodes.save_identity(self.session, NodeIdentity(), "0.1.0", NodePolicy(mode), reboot, self.clock.now())

    async def counts(self, total: int | None, security: int | None) -> None:
        self.clock.advance(120)
        await self.store.nodes.save_updates(self.session, NodeUpdates(total, security, self.clock.now()))


@pytest.fixture
async def ground(backend: Backend) -> Ground:
    node = await backend.store.nodes.create_node(SCOPE, new_node())
    return Ground(backend, await connect(backend.store, node.id))


async def test_another_policy_is_recorded_once(ground: Ground) -> None:
    for mode in ("managed", "managed", "readonly", "readonly"):
        await ground.says(mode)
    await ground.again()
    await ground.says("readonly")
    (event,) = [one for one in (await ground.store.log.events(SCOPE, 9)).items if one.type == "policy_changed"]
    assert (event.details["mode"], event.message) == ("readonly", "the policy of web-1 is readonly now")


async def test_updates_are_recorded_when_there_are_more_than_the_hub_knew(ground: Ground) -> None:
    told = ("updates_found", "security_updates_found")
    for total, security in ((2, 0), (3, 0), (3, 0), (None, None), (3, 0)):
        await ground.counts(total, security)
    await ground.again()
    await ground.counts(3, 0)
    assert await types(ground.store, *told) == ["updates_found"]
    await ground.counts(2, 2)
    await ground.counts(0, 0)
    assert await types(ground.store, *told) == ["updates_found", "security_updates_found"]
    await ground.counts(1, 1)
    assert await types(ground.store, *told) == ["updates_found", "security_updates_found"] * 2


async def test_a_reboot_is_recorded_when_it_is_due_and_when_it_was_done(ground: Ground) -> None:
    told = ("reboot_required", "reboot_done")
    for reboot in ("no", "yes", "unknown", "yes"):
        await ground.says(reboot=reboot)
    await ground.again()
    await ground.says(reboot="yes")
    assert await types(ground.store, *told) == ["reboot_required"]
    await ground.again(NEXT_BOOT)
    for reboot in ("unknown", "no", "no"):
        await ground.says(reboot=reboot)
    assert await types(ground.store, *told) == ["reboot_required", "reboot_done"]
    for reboot in ("yes", "no"):  # its cause was withdrawn, and nothing was rebooted
        await ground.says(reboot=reboot)
    assert await types(ground.store, *told) == ["reboot_required", "reboot_done", "reboot_required"]


async def test_the_first_report_of_a_node_emits_no_change_events(ground: Ground) -> None:
    await ground.says("readonly", "yes")
    await ground.counts(5, 2)
    assert [one.type for one in (await ground.store.log.events(SCOPE, 9)).items] == ["node_registered"]


async def test_a_job_after_which_a_reboot_is_due_records_it(store: Store, clock: ManualClock) -> None:
    running = await running_job(store, clock.now())
    await store.nodes.save_identity(running.session, NodeIdentity(), "0.1.0", NodePolicy("managed"), "no", clock.now())
    report = Report(reboot="yes", reboot_why="a kernel", services=(), config_files=(), failed_units=(), notes=())
    await twice(lambda: store.jobs.save_report(running.job.id, report, running.session))
    assert await types(store, "reboot_required") == ["reboot_required"]


@pytest.mark.parametrize(("away_s", "told"), [(30.0, []), (3600.0, ["hub_was_away"])])
async def test_a_start_is_recorded_once_and_only_a_long_absence(
    backend: Backend, clock: ManualClock, away_s: float, told: list[str]
) -> None:
    async def beat(hub: str) -> None:
        await backend.store.hubs.beat(HubId(hub), HubInfo(HubId(hub), "127.0.0.1:1", "1.2"), 20.0)

    for _ in range(2):
        await beat("first")
        clock.advance(5)
    clock.advance(away_s + 20)
    for _ in range(2):  # the second start comes before it has beaten once
        await backend.reopen()
    for _ in range(2):
        await beat("second")
        clock.advance(60)  # its lease is over: it is the same process
    assert await types(backend.store, "hub_started", "hub_was_away") == ["hub_started", *told, "hub_started"]
    if told:
        (event,) = [one for one in (await backend.store.log.events(SCOPE, 9)).items if one.type == "hub_was_away"]
        assert event.details["minutes"] == 60
