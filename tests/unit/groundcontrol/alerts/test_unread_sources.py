"""A source that was not read, could not be read, or is late is not known: nothing fires by it, and nothing resolves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from groundcontrol.alerts.defaults import DEFAULT_RULES
from groundcontrol.alerts.detectors import DETECTORS, DetectorKind
from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.expression import EventOf, State, parse
from groundcontrol.alerts.machine import Observation
from groundcontrol.alerts.model import RuleId, Transition
from groundcontrol.alerts.service import ROUND_TICKS
from groundcontrol.alerts.states import HUB_STATES, NODE_STATES, HubInfo, NodeFacts, states_of
from groundcontrol.core.errors import StoreError
from groundcontrol.core.ids import JobId
from groundcontrol.core.tables import SubjectTable
from groundcontrol.schedules.deadline_checker import DeadlineChecker
from tests.support.alert_samples import BEGAN, Signal, alerts_after, samples_of
from tests.support.alert_trial import alert_trial
from tests.support.ill_facts import ILL_FACTS, ILL_HUB, WELL_HUB, table_of
from tests.support.ill_facts import ILL_NODE as NODE
from tests.support.ill_facts import WELL as WELL_THEN
from tests.support.ill_samples import CASES, HEALTHY, Case

NOW = 1_800_000_000.0
WELL = WELL_THEN._replace(lists_checked_at=NOW)
UNREAD: dict[str, NodeFacts] = {
    "unread": NodeFacts(NODE, reconnecting=True),
    "unread, connected": NodeFacts(NODE),
    "silent": NodeFacts(NODE, silent_s=100),
    "failed": NodeFacts(
        NODE, reconnecting=True, tables={name: SubjectTable(name, NOW, -1, (), ()) for name in ("services", "containers", "package_faults")}
    ),
    "without columns": NodeFacts(
        NODE, reconnecting=True,
        tables={name: SubjectTable(name, NOW, 1, ("unit", "name"), ("other", "other")) for name in ("services", "containers")},
    ),
}  # fmt: skip
KNOWN = {("node.offline", "unread, connected"), ("node.offline", "silent")}
"""A live session is known, and so is one that is lost."""


def restarting(subject: str, named: str) -> Callable[[float], NodeFacts]:
    """A unit or container that starts again every 30 seconds."""
    return lambda at: NodeFacts(NODE, tables=table_of(subject, at, (named, "state", "restarts"), ("a", "running", int(at / 30))))


ILL: dict[str, Callable[[float], NodeFacts]] = {
    **{name: lambda _, facts=facts: facts for name, (facts, _, _) in ILL_FACTS.items()},  # type: ignore[misc]
    "unit.restarting": restarting("services", "unit"),
    "container.restarting": restarting("containers", "name"),
}
"""Default rule on a state -> the facts at a time that fire it."""


def engine_of_defaults() -> Engine:
    engine = Engine()
    assert not engine.set_rules(DEFAULT_RULES)
    engine.set_node(UNREAD["unread"])
    return engine


Played = NodeFacts | HubInfo | Callable[[float], NodeFacts]


def transitions(engine: Engine, state: Played, first: float, seconds: float) -> list[Transition]:
    found = list[Transition]()
    for at in range(int(first), int(first + seconds), ROUND_TICKS):
        if isinstance(state, HubInfo):
            engine.set_hub(state)
        else:
            engine.set_node(state if isinstance(state, NodeFacts) else state(NOW + at), NOW + at)
        found += engine.tick(NOW + at)
    return found


def play(engine: Engine, state: Played, first: float, seconds: float) -> list[tuple[str, str]]:
    return [(str(one.key.rule), one.kind) for one in transitions(engine, state, first, seconds) if one.kind not in ("stale", "fresh")]


def restarted(engine: Engine, before: list[Transition]) -> Engine:
    """The engine of a hub that was started again. Args: before: the changes that the store holds."""
    after = engine_of_defaults()
    after.restore(alerts_after(before), engine.snapshot())
    return after


@pytest.mark.holds("SAFETY-99")
@pytest.mark.parametrize("how", UNREAD)
@pytest.mark.parametrize("name", ILL)
def test_a_state_of_a_node_that_is_not_known_changes_nothing(name: str, how: str) -> None:
    if (name, how) in KNOWN:
        return
    ill = ILL[name]
    engine = engine_of_defaults()
    assert play(engine, UNREAD[how], 0, 600) == []
    fired = play(engine, ill, 600, 900)
    assert [kind for rule, kind in fired if rule != "reboot.overdue"] == ["fired"]
    assert play(engine, UNREAD[how], 1500, 1800) == []
    assert play(engine, ill, 3300, 600) == [], "and the same trouble does not fire twice"


@pytest.mark.holds("SAFETY-99")
@pytest.mark.parametrize("name", ILL)
def test_a_state_that_is_known_late_after_a_restart_neither_fires_again_nor_ends_before_it_is_known(name: str) -> None:
    engine = engine_of_defaults()
    stored = transitions(engine, ILL[name], 0, 900)
    fired = {str(one.key.rule) for one in stored}
    assert name in fired
    for first in (900, 3000):  # the second start finds what the first one knew
        engine = restarted(engine, stored)
        assert play(engine, UNREAD["unread"], first, 300) == []
        if name != "node.offline":
            assert play(engine, UNREAD["unread, connected"], first + 300, 900) == []
        assert play(engine, ILL[name], first + 1200, 900) == []
    well = ILL[name](NOW + 5100) if name.endswith(".restarting") else WELL
    assert set(play(engine, well, 5100, 900)) == {(rule, "resolved") for rule in fired}


EVENTS = {str(rule.id): parsed.type for rule in DEFAULT_RULES if isinstance(parsed := parse(rule.expr), EventOf)}


@pytest.mark.holds("SAFETY-99")
@pytest.mark.parametrize("how", ["unread", "silent", "missed"])
def test_an_event_is_not_called_over_while_nobody_knows_whether_it_came_again(how: str) -> None:
    """An hour without the event counts only while its node is connected and the hub has read all events."""
    engine = engine_of_defaults()
    assert play(engine, WELL, 0, 60) == []
    for type_ in EVENTS.values():
        engine.add_event(NODE, type_, "nightly", NOW + 60)
    assert sorted(play(engine, WELL, 60, 60)) == sorted((name, "fired") for name in EVENTS)
    engine.has_all_events = how != "missed"
    away = WELL if how == "missed" else UNREAD[how]
    assert play(engine, away, 120, 7200) == []
    engine.has_all_events = True
    engine.add_event(NODE, "backup_failed", "nightly", NOW + 5000)  # it comes late
    assert play(engine, WELL, 7320, 60) == []
    ended = sorted(play(engine, WELL, 7380, 3700))
    assert ended == sorted((name, "resolved") for name in EVENTS)


@pytest.mark.holds("SAFETY-99")
@pytest.mark.parametrize("case", {case.rule: case for case in CASES}.values(), ids=lambda case: case.rule)
def test_a_rule_on_samples_that_are_late_failed_or_absent_changes_nothing(case: Case) -> None:
    """Samples that come late, samples without values, and no samples: before the rule fires, and while it fires."""
    engine = engine_of_defaults()
    engine.set_node(NodeFacts(NODE, cores=4))
    ill = {**HEALTHY, **case.ill}
    unmeasured = dict.fromkeys(HEALTHY)

    def rows(values: Mapping[str, float | None], first: int, seconds: int) -> list[str]:
        signals: dict[str, Signal] = {**values}
        if values is ill and case.rule == "memory.oom":
            signals["memory.oom_kills"] = lambda at: 3 + at // 60
        for layout, row in samples_of(signals, seconds, start=first, pulse_s=10):
            engine.add_rows(NODE, layout, [row])
        return [one.kind for one in engine.take() if one.kind not in ("stale", "fresh")]

    assert rows(HEALTHY, 0, 1500) == []
    assert rows(ill, 0, 1200) == [], "late"
    assert rows(unmeasured, 1500, 600) == [], "not measured"
    assert rows(HEALTHY, 2100, 1500) == []
    fired = rows(ill, 3600, 1500)
    assert fired[:1] == ["fired"]
    assert {*fired[1:]} <= {"level"}
    assert rows(HEALTHY, 3600, 1200) == [], "late"
    assert rows(unmeasured, 5100, 2400) == [], "not measured"
    assert [one.kind for at in range(7500, 11_000, 60) for one in engine.tick(BEGAN + at) if one.kind != "stale"] == [], "no samples"
    assert rows(ill, 11_100, 1200) == [], "and the same trouble does not fire twice"


def test_each_default_rule_has_its_case_of_an_unread_source() -> None:
    """A new state, or a new rule of any kind, fails here until it has one."""
    trend = {"filesystem.fills"}  # its windows of 6 and 24 hours are judged below, as those of a detector
    assert {*ILL, *ILL_HUB, *EVENTS, *(case.rule for case in CASES)} == {str(rule.id) for rule in DEFAULT_RULES} - trend - {
        "reboot.overdue"
    }
    read = {rule.id: parsed.kind for rule in DEFAULT_RULES if isinstance(parsed := parse(rule.expr), State)}
    assert {read[RuleId(name)] for name in ILL} == {*NODE_STATES}
    assert {read[RuleId(name)] for name in ILL_HUB} == {*HUB_STATES}


@pytest.mark.parametrize("name", ILL_HUB)
def test_a_state_of_the_hub_that_is_not_known_changes_nothing(name: str) -> None:
    engine = engine_of_defaults()
    assert play(engine, HubInfo(), 0, 600) == []
    stored = transitions(engine, ILL_HUB[name][0], 600, 900)
    assert [one.kind for one in stored] == ["fired"]
    assert play(engine, HubInfo(), 1500, 1800) == []
    engine = restarted(engine, stored)
    assert play(engine, HubInfo(), 3300, 600) == []
    assert play(engine, ILL_HUB[name][0], 3900, 600) == [], "known late after a restart"
    assert play(engine, WELL_HUB, 4500, 600) == [(name, "resolved")]


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


OPTIONAL = {"temperature.limit", "smart.uncorrectable"}
"""They come in the same row as the first window of their detector. A sensor or disk without one is judged by the first alone."""


@pytest.mark.holds("SAFETY-99")
@pytest.mark.parametrize("kind", DETECTORS.values(), ids=DETECTORS.keys())
def test_a_detector_without_one_of_its_windows_neither_fires_nor_resolves(kind: DetectorKind) -> None:
    """Each window in turn is not known, with the others at values that would fire and at values that would resolve."""
    for place, read in enumerate(kind.reads):
        if read.metric in OPTIONAL:
            continue
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
