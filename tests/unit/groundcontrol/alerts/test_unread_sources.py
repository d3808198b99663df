"""A source that was not read, could not be read, or is late is not known: nothing fires by it, and nothing resolves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from groundcontrol.alerts.defaults import DEFAULT_RULES
from groundcontrol.alerts.detectors import DETECTORS, DetectorKind
from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.machine import Observation
from groundcontrol.alerts.states import HUB_STATES, NODE_STATES, HubInfo, NodeFacts, states_of
from groundcontrol.core.errors import StoreError
from groundcontrol.core.ids import JobId
from groundcontrol.core.tables import SubjectTable
from groundcontrol.schedules.deadline_checker import DeadlineChecker
from tests.support.alert_trial import alert_trial
from tests.support.ill_facts import ILL_FACTS, ILL_HUB
from tests.support.ill_facts import ILL_NODE as NODE

NOW = 1_800_000_000.0
UNREAD: dict[str, NodeFacts] = {
    "unread": NodeFacts(NODE, reconnecting=True),
    "unread, connected": NodeFacts(NODE),
    "failed": NodeFacts(
        NODE, reconnecting=True, tables={name: SubjectTable(name, NOW, -1, (), ()) for name in ("services", "containers", "package_faults")}
    ),
    "without columns": NodeFacts(
        NODE, reconnecting=True,
        tables={name: SubjectTable(name, NOW, 1, ("unit", "name"), ("other", "other")) for name in ("services", "containers")},
    ),
}  # fmt: skip


def engine_of_defaults() -> Engine:
    engine = Engine()
    assert not engine.set_rules(DEFAULT_RULES)
    engine.set_node(UNREAD["unread"])
    return engine


def play(engine: Engine, state: NodeFacts | HubInfo, first: float, seconds: float) -> list[tuple[str, str]]:
    found = list[tuple[str, str]]()
    for at in range(int(first), int(first + seconds), 5):
        if isinstance(state, HubInfo):
            engine.set_hub(state)
        else:
            engine.set_node(state)
        found += [(str(one.key.rule), one.kind) for one in engine.tick(NOW + at) if one.kind not in ("stale", "fresh")]
    return found


@pytest.mark.holds("SAFETY-99")
@pytest.mark.parametrize("how", UNREAD)
@pytest.mark.parametrize("name", ILL_FACTS)
def test_a_state_of_a_node_that_is_not_known_changes_nothing(name: str, how: str) -> None:
    if name == "node.offline" and how == "unread, connected":
        return  # a live session is known
    ill = ILL_FACTS[name][0]
    engine = engine_of_defaults()
    assert play(engine, UNREAD[how], 0, 600) == []
    fired = play(engine, ill, 600, 900)
    assert [kind for rule, kind in fired if rule != "reboot.overdue"] == ["fired"]
    assert play(engine, UNREAD[how], 1500, 1800) == []
    assert play(engine, ill, 3300, 600) == [], "and the same trouble does not fire twice"


@pytest.mark.parametrize("name", ILL_HUB)
def test_a_state_of_the_hub_that_is_not_known_changes_nothing(name: str) -> None:
    engine = engine_of_defaults()
    assert play(engine, HubInfo(), 0, 600) == []
    assert [kind for _, kind in play(engine, ILL_HUB[name][0], 600, 900)] == ["fired"]
    assert play(engine, HubInfo(), 1500, 1800) == []


def test_alerts_beyond_the_limit_of_a_node_end_only_when_their_source_says_so() -> None:
    engine = engine_of_defaults()
    storm = NodeFacts(NODE, deadlines={f"job {number}": 2.0 for number in range(300)})
    assert ("expectation.missed", "fired") in play(engine, storm, 0, 60)
    assert play(engine, UNREAD["unread"], 60, 1800) == []
    ended = play(engine, NodeFacts(NODE, deadlines={}), 1860, 600)
    assert ended
    assert {kind for _, kind in ended} == {"resolved"}


def test_each_state_answers_not_known_before_its_source_was_read() -> None:
    nothing = NodeFacts(NODE, reconnecting=True)
    assert {name for name, kind in NODE_STATES.items() if kind.read(nothing, NOW) is not None} == set()
    assert {name for name, kind in HUB_STATES.items() if kind.read(HubInfo(), NOW) is not None} == set()


@pytest.mark.holds("SAFETY-99")
@pytest.mark.parametrize("kind", DETECTORS.values(), ids=DETECTORS.keys())
def test_a_detector_without_one_of_its_windows_neither_fires_nor_resolves(kind: DetectorKind) -> None:
    """Each window in turn is not known, with the others at values that would fire and at values that would resolve."""
    if kind.name == "disk_failing":
        return  # a disk may have one of the two counters
    for place, read in enumerate(kind.reads):
        if read.metric == "temperature.limit":
            continue  # it is in the same row as the temperature; a sensor without one is judged by the rule alone
        for others in (0.0, 1.0, 100.0):
            values = [None if at == place else others for at in range(len(kind.reads))]
            seen = kind.judge(values, kind.numbers, "x")
            assert seen is None or _changes_nothing(seen, kind.name, place), (place, others, seen)


def _changes_nothing(seen: Observation, name: str, place: int) -> bool:
    """Whether no level may start by the observation, and each may go on: or a second window that only limits the level is missing."""
    second = {("cpu_saturated", 1): "critical", ("network_link", 1): "critical", ("filesystem_readonly", 1): "critical"}
    if (name, place) in second:
        return seen.cap != "critical" and seen.hold == second[name, place]
    return seen.cap is None and seen.hold is not None


def test_a_failed_instance_that_its_template_stands_for_is_not_known() -> None:
    cells = ("web@1.service", "failed", "web@.service", "failed")
    facts = NodeFacts(NODE, tables={"services": SubjectTable("services", NOW, 2, ("unit", "state"), cells)})
    held = ["web@1.service", "web@7.service", "db@1.service"]
    assert {one.about: one.value for one in states_of(NODE_STATES["unit_failed"], facts, held, NOW)} == {
        "web@1.service": 1.0,
        "web@.service": 1.0,
        "db@1.service": 0.0,
    }


def test_a_failed_unit_beyond_the_end_of_a_full_table_is_not_known() -> None:
    columns = ("unit", "state")
    for cells, known in ((("a", "failed"), False), (("a", "running"), True)):
        facts = NodeFacts(NODE, tables={"services": SubjectTable("services", NOW, 300, columns, cells)})
        assert ("b" in {one.about for one in states_of(NODE_STATES["unit_failed"], facts, ["b"], NOW)}) is known


@pytest.mark.holds("SAFETY-99")
@pytest.mark.parametrize("break_source", ["silences", "deadlines", "jobs"])
async def test_a_hub_whose_sources_cannot_be_read_after_a_restart_sends_no_end(tmp_path: Path, break_source: str) -> None:
    """A message that something is over needs a source that says so."""

    async def fails(*_: object) -> None:
        raise StoreError("the disk does not answer")

    async with alert_trial(tmp_path, nodes=3) as trial:
        node, *others = trial.nodes
        breaks: dict[str, Callable[[], None]] = {}
        if break_source == "silences":
            trial.fleet.connected.discard(node)
            await trial.pass_s(200)
            breaks["silences"] = lambda: setattr(trial.dead_man, "_silences", None)
        else:
            trial.fleet.levels[node] = {"backup": 2}
            await trial.pass_s(60)
            breaks["deadlines"] = lambda: setattr(trial.fleet, "unmet", DeadlineChecker.unmet.__get__(_unread(trial.clock)))
            breaks["jobs"] = lambda: trial.facts._unread_jobs.add(JobId("job"))
        assert trial.told() == ["firing"]
        await trial.restart(30, back=others)
        breaks[break_source]()
        trial.fleet.connected |= set(others)
        if break_source == "silences":
            trial.dead_man.look = fails  # type: ignore[method-assign]
        await trial.pass_s(400)
        assert trial.told() == ["firing"]
        assert [alert.node_id for alert in await trial.firing()] == [node]


def _unread(clock: object) -> DeadlineChecker:
    """A checker that has not read anything yet."""
    checker = object.__new__(DeadlineChecker)
    checker._unmet, checker._names, checker._clock = None, None, clock  # type: ignore[assignment]
    return checker
