"""The default rules: each has a recording that fires it at the promised time, one just below that does not, and one that clears it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import Final, cast

import pytest

from groundcontrol.alerts.defaults import DEFAULT_RULES
from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.expression import EventOf, State, parse
from groundcontrol.alerts.model import InstanceKey, RuleId, Transition
from groundcontrol.alerts.states import HUB_STATES, HubInfo, NodeFacts
from groundcontrol.core.ids import NodeId
from groundcontrol.core.tables import SubjectTable
from groundcontrol.events.model import Severity
from tests.support.alert_samples import BEGAN, Signal, play, samples_of
from tests.support.ill_facts import ILL_FACTS, ILL_HUB, ILL_NOW, WELL, WELL_HUB, table_of
from tests.support.ill_facts import ILL_NODE as NODE
from tests.support.ill_samples import CASES, HEALTHY, Case

GIB = 1024**3
CALM_S, ILL_S, AFTER_S = 1800, 2400, 3600


def _engine() -> Engine:
    engine = Engine()
    assert not engine.set_rules(DEFAULT_RULES)
    engine.set_node(NodeFacts(NODE, cores=4))
    return engine


def _played(ill: Mapping[str, float], healthy: Mapping[str, float] = HEALTHY) -> list[Transition]:
    def signal(series: str) -> Signal:
        well, other = healthy[series], ill.get(series, healthy[series])
        if series == "memory.oom_kills":
            return lambda at: well if at < CALM_S else other
        return lambda at: other if CALM_S <= at < CALM_S + ILL_S else well

    signals = {series: signal(series) if series in ill else value for series, value in healthy.items()}
    return play(_engine(), NODE, samples_of(signals, CALM_S + ILL_S + AFTER_S, pulse_s=5))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule} {case.level}")
def test_a_default_rule_fires_at_the_promised_time_and_clears(case: Case) -> None:
    found = _played(case.ill)
    assert {one.key for one in found} == {InstanceKey(RuleId(case.rule), NODE, case.about)}
    fired, ended = found[0].at - BEGAN - CALM_S, found[-1].at - BEGAN - CALM_S - ILL_S
    assert [found[0].kind, found[-1].kind, found[-1].reason] == ["fired", "resolved", "cleared"]
    assert max((one.level or "" for one in found), key=["", "warning", "critical"].index) == case.level
    assert case.fires_s[0] <= fired <= case.fires_s[1], fired
    assert case.clears_s[0] <= ended <= case.clears_s[1], ended


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule} {case.level}")
def test_values_just_below_a_threshold_do_not_fire(case: Case) -> None:
    assert not _played(case.nearly)


def test_few_packets_fire_no_network_rule() -> None:
    idle = HEALTHY | {f"network.packets_{way}{{interface=eth0}}": 4.0 for way in ("received", "sent")}
    assert not _played({"network.drops_received{interface=eth0}": 4}, idle)


def test_a_filling_file_system_is_reported_hours_before_and_a_steady_one_is_not() -> None:
    for per_hour, told in ((0.8 * GIB, ["fired"]), (0.0, [])):
        signals: dict[str, Signal] = {
            "filesystem.used{mount=/var}": lambda at, rate=per_hour: 62 * GIB + rate * at / 3600,  # type: ignore[misc]
            "filesystem.free{mount=/var}": lambda at, rate=per_hour: 38 * GIB - rate * at / 3600,  # type: ignore[misc]
        }
        found = play(_engine(), NODE, samples_of(signals, 26 * 3600))
        assert [one.kind for one in found] == told
        if found:
            assert (found[0].key.rule, found[0].level) == ("filesystem.fills", "warning")
            assert found[0].value == pytest.approx((38 - 0.8 * (found[0].at - BEGAN) / 3600) / 0.8, rel=0.05)


@pytest.mark.parametrize("name", [*ILL_FACTS, *ILL_HUB])
def test_a_default_state_rule_fires_and_clears_for_its_own_state_only(name: str) -> None:
    ill, nearly, level = ILL_FACTS[name] if name in ILL_FACTS else ILL_HUB[name]
    engine = _engine()
    told = []
    for first, state in ((0, nearly), (900, ill), (1800, WELL_HUB if isinstance(ill, HubInfo) else WELL)):
        for at in range(first, first + 900, 5):
            if isinstance(state, HubInfo):
                engine.set_hub(state)
            else:
                engine.set_node(state)
            told += [(one.key.rule, one.kind, one.level) for one in engine.tick(ILL_NOW + at)]
    assert told == [(name, "fired", level), (name, "resolved", None)]


def test_a_reboot_that_is_due_is_a_notice_and_after_a_week_a_warning_that_is_told_once() -> None:
    engine, told = _engine(), []
    for day in range(10):
        due = NodeFacts(NODE, reboot_required="yes" if day < 9 else "no", reboot_since_at=ILL_NOW - 60)
        for at in range(int(day * 86_400), int(day * 86_400) + 120, 5):
            engine.set_node(due)
            told += [(one.key.rule, one.kind, day) for one in engine.tick(ILL_NOW + at)]
    assert told == [
        ("reboot.required", "fired", 0), ("reboot.overdue", "fired", 7), ("reboot.required", "resolved", 9), ("reboot.overdue", "resolved", 9),
    ]  # fmt: skip
    assert {rule.id: rule.notice for rule in DEFAULT_RULES if rule.kind == "reboot_due"} == {
        "reboot.required": True,
        "reboot.overdue": False,
    }


def test_a_stopped_container_is_reported_until_it_runs_or_is_gone() -> None:
    """After an hour, or a restart of Spider, the table has its engine's word for it: that is no end."""
    columns = ("name", "state")
    for later, end in ((("web", "exited"), []), (("web", "running"), ["resolved"]), (("db", "running"), ["resolved"])):
        engine, found = _engine(), list[Transition]()
        for at in range(0, 600, 5):
            engine.set_node(NodeFacts(NODE, tables=table_of("containers", ILL_NOW, columns, ("web", "stopped") if at < 300 else later)))
            found += engine.tick(ILL_NOW + at)
        assert [one.kind for one in found if one.kind != "stale"] == ["fired", *end], later


def test_units_and_containers_that_restart_repeatedly_are_reported() -> None:
    for subject, rule, named, most in (("services", "unit.restarting", "unit", 4), ("containers", "container.restarting", "name", 2)):
        for restarts, skew_s in ((most, 0), (most + 1, 0), (most, 7200), (most + 1, -7200)):
            engine, told = _engine(), []
            for minute in range(60):
                at = ILL_NOW + minute * 30
                count = 7 + min(max(minute - 10, 0), restarts)
                table = table_of(subject, at + skew_s, (named, "state", "restarts"), ("a", "running", count))
                engine.set_node(NodeFacts(NODE, tables=table), at)
                told += [(one.key.rule, one.kind) for second in range(30) for one in engine.tick(at + second)]
            assert told == ([(rule, "fired"), (rule, "resolved")] if restarts > most else []), (subject, restarts)


def test_a_removed_container_is_not_reported_as_recovered() -> None:
    columns, sick, other = ("name", "state"), ("web", "dead"), ("db", "running")
    for rows, total, reason in (((other, ("web", "running")), 2, "cleared"), ((other,), 1, "object_gone"), ((other,), 300, None)):
        engine, found = _engine(), list[Transition]()
        after = SubjectTable("containers", ILL_NOW, total, columns, tuple(cell for row in rows for cell in row))
        for at in range(0, 600, 5):
            table = table_of("containers", ILL_NOW, columns, sick, other) if at < 300 else {"containers": after}
            engine.set_node(NodeFacts(NODE, tables=table))
            found += engine.tick(ILL_NOW + at)
        ended = [("stale", None)] if reason is None else [("resolved", reason)]  # beyond the end of a full table it may be there
        assert [(one.kind, one.reason) for one in found] == [("fired", None), *ended]


EVENTS = {rule.id: parsed.type for rule in DEFAULT_RULES if isinstance(parsed := parse(rule.expr), EventOf)}
ANY_EVENT: Final = frozenset({"node.cloned", "node.rebooted", "agent.gap"})
"""Rules that do not ask how bad the event is."""


@pytest.mark.parametrize("name", EVENTS)
def test_a_default_event_rule_fires_at_the_reported_severity_and_ends_after_an_hour(name: str) -> None:
    for severity, level in (
        ("error", "critical"),
        ("warning", "warning"),
        ("info", None if name in ("custom.failed", "rollout.stopped") else "warning"),
    ):
        engine, found = _engine(), list[Transition]()
        for at in range(0, 7200, 10):
            if at in (100, 1000):
                engine.add_event(NODE, EVENTS[RuleId(name)], "nightly", ILL_NOW + at, cast("Severity", severity))
            found += engine.tick(ILL_NOW + at)
        if level is None:
            assert not found
            continue
        fired, ended = found
        assert (fired.key.rule, fired.at, ended.reason) == (name, ILL_NOW + 100, "not_repeated")
        assert fired.level == level or name in ANY_EVENT
        assert 1000 + 3600 <= ended.at - ILL_NOW <= 1000 + 3600 + 20


def test_every_default_rule_has_a_recording() -> None:
    shown = (
        {case.rule for case in CASES}
        | {*ILL_FACTS, *ILL_HUB}
        | {"filesystem.fills", "unit.restarting", "container.restarting", "reboot.overdue"}
    )
    assert {rule.id for rule in DEFAULT_RULES} == shown | EVENTS.keys()
    hub = {rule.id for rule in DEFAULT_RULES if isinstance(state := parse(rule.expr), State) and state.kind in HUB_STATES}
    assert hub == set(ILL_HUB)


MEASURED = 20
"""Conditions on samples that such a server has at least."""


def _healthy(no: int) -> dict[str, Signal]:
    """A server at work: noise, a busy hour, a nightly backup that uses disk, network and processor, and logs that are rotated."""
    chance = random.Random(no)
    busy_at = chance.randrange(24)

    def night(at: int) -> bool:
        return 0 <= at % 86_400 - 7200 - no * 7 % 3600 < 1500

    def work(well: float, backup: float, noise: float = 0.2) -> Signal:
        return lambda at: (backup if night(at) else well * (2 if at // 3600 % 24 == busy_at else 1)) * chance.uniform(1 - noise, 1 + noise)

    logs = 2 * GIB / 86_400
    signals: dict[str, Signal] = dict(HEALTHY)
    signals |= {
        "cpu.total": work(20, 70),
        "cpu.iowait": work(2, 20),
        "load.5": work(1, 4),
        "disk.busy{device=sda}": work(8, 75),
        "network.sent{interface=eth0}": work(1e6, 60e6),
        "network.drops_received{interface=eth0}": work(0.5, 2),
        "memory.available": work(6 * GIB, 3 * GIB, 0.1),
        "temperature{sensor=coretemp Package id 0}": work(35, 70, 0.05),
        "filesystem.used{mount=/var}": lambda at: 62 * GIB + logs * (at % 86_400) + (5 * GIB if night(at) else 0),
        "filesystem.free{mount=/var}": lambda at: 38 * GIB - logs * (at % 86_400) - (5 * GIB if night(at) else 0),
    }
    return signals


def _run_fleet(numbers: Iterable[int], days: int, grain_s: int = 0) -> list[Transition]:
    """The alerts of these servers, without notices. Args: grain_s: the interval of all samples; 0: a minute, or what a node measures."""
    notices = {rule.id for rule in DEFAULT_RULES if rule.notice}
    engine, told = Engine(), []
    engine.set_rules(DEFAULT_RULES)
    for no in numbers:
        node = NodeId(f"n{no}")
        engine.set_node(NodeFacts(node, cores=4, clock_skew_s=0.01, reboot_required="no", updates_security=0))
        signals = _healthy(no)
        for day in range(days):
            for schema, row in samples_of(signals, 86_400, start=day * 86_400, pulse_s=60, grain_s=grain_s):
                engine.add_rows(node, schema, [row])
            told += engine.take()
        judged = [key for family in engine._nodes[node].families.values() for key in family.plan.items]
        assert len(judged) >= MEASURED
        assert not [key for key in judged if engine.value(InstanceKey(key[0], node, key[1])) is None]
        engine.remove_node(node)
    return [one for one in told + engine.take() if one.key.rule not in notices]


def test_a_healthy_fleet_is_silent_for_a_day() -> None:
    assert not _run_fleet(range(3), days=1)


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_a_healthy_fleet_of_a_thousand_is_silent_for_a_week() -> None:
    """One sample in five minutes has the noise of a moment, which the mean of more samples would lessen."""
    parts = [range(first, 1000, 20) for first in range(20)]
    with ProcessPoolExecutor() as pool:
        assert not [one for told in pool.map(_run_fleet, parts, repeat(7), repeat(300)) for one in told]
