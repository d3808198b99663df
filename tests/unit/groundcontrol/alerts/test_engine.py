"""The engine: the same samples give the same transitions; missing, late or old samples change nothing."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.families import MOST_OBJECTS, OTHERS
from groundcontrol.alerts.model import InstanceKey, Override, Reason, Rule, RuleId, Threshold, Transition
from groundcontrol.alerts.snapshot import Snapshot
from groundcontrol.alerts.states import HubInfo, NodeFacts
from groundcontrol.alerts.windows import SLACK_S
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.model import StoredRow
from groundcontrol.schedules.model import Selector
from tests.support.alert_samples import BEGAN, Sample, alerts_after, layout_of, play, samples_of, told

NODE = NodeId("web-1")
SEEDS = st.integers(0, 1 << 32)
FEW = settings(max_examples=20, phases=[Phase.explicit, Phase.reuse, Phase.generate])
"""A smaller seed is not a simpler node: nothing is shrunk."""
ALL = Selector(all=True)


def rule(
    id_: str, expr: str, warn: tuple[float, float], crit: tuple[float, float] | None = None, for_s: float = 0, clear_s: float = 0
) -> Rule:
    critical = None if crit is None else Threshold(*crit)
    return Rule(RuleId(id_), id_, expr, ALL, warn=Threshold(*warn), crit=critical, for_s=for_s, clear_s=clear_s)


RULES = (
    rule("cpu", "avg(cpu.total, 1m)", (90, 80), (97, 95), for_s=30.0, clear_s=20.0),
    rule("cpu.now", "max(cpu.total, 20s)", (90, 80)),
    rule("cpu.long", "avg(cpu.total, 10m)", (60, 50), for_s=120.0),
    rule("disk", "last(filesystem.used_percent)", (90, 85), for_s=120.0, clear_s=60.0),
    rule("oom", "detector(memory_oom)", (0, 0), clear_s=120.0),
    rule("network", "detector(network_errors)", (1, 0.2)),
)


def engine_of(rules: Sequence[Rule] = RULES, tags: tuple[str, ...] = ()) -> Engine:
    engine = Engine()
    assert not engine.set_rules(rules)
    engine.set_node(NodeFacts(NODE, tags, cores=4))
    return engine


def samples(seed: int, seconds: int = 1800) -> list[Sample]:
    """A node that is well and ill by turns, with gaps and values that could not be measured."""
    chance = random.Random(seed)
    steps = [chance.choice([5, 50, 85, 88, 92, 96, 98, 99.5]) for _ in range(seconds // 60 + 1)]
    kills = [sum(chance.random() < 0.1 for _ in range(at)) for at in range(seconds // 60 + 1)]
    faults = chance.choice([0, 10, 300])
    lost = [(at, at + chance.choice([15, 40, 200])) for at in chance.sample(range(seconds), 3)]
    eth = "{interface=eth0}"
    made = samples_of(
        {
            "cpu.total": lambda at: None if at % 97 == seed % 97 else steps[at // 60] + chance.uniform(-2, 2),
            "network.packets_received" + eth: lambda at: 500 + at % 7,
            "network.packets_sent" + eth: 100,
            "filesystem.used{mount=/}": lambda at: steps[at // 60] * 1e9,
            "filesystem.free{mount=/}": lambda at: (100 - steps[at // 60]) * 1e9,
            "memory.oom_kills": lambda at: sorted(kills)[at // 60],
            **{f"network.{kind}{eth}": (lambda at: faults * (steps[at // 60] > 90)) for kind in ("errors_received", "errors_sent")},
            **{f"network.{kind}{eth}": 0 for kind in ("drops_received", "drops_sent")},
        },
        seconds,
    )
    return [one for one in made if not any(start <= one.row.taken_at_ms / 1000 - BEGAN < end for start, end in lost)]


def cut(made: list[Sample], chance: random.Random) -> list[list[Sample]]:
    """Each family in packs of its own; a pack comes when its last row is there, and a slow family up to a minute later. No row comes later
    than windows can be read as they were (`SLACK_S`)."""
    packs = []
    for family in sorted({one.layout.family for one in made}):
        rows = [one for one in made if one.layout.family == family]
        late_ms = chance.choice([0, 5_000, 60_000])
        while rows:
            size = chance.randint(1, 60 if family == "pulse" else 2)
            size = sum(row.row.taken_at_ms - rows[0].row.taken_at_ms <= 1000 * (SLACK_S - 60) for row in rows[:size])
            pack, rows = rows[:size], rows[size:]
            packs.append((pack[-1].row.taken_at_ms + late_ms, pack))
    return [pack for _, pack in sorted(packs, key=lambda one: one[0])]


def expected(made: list[Sample]) -> dict[InstanceKey, list[Transition]]:
    return told(play(engine_of(), NODE, made))


@given(SEEDS)
@FEW
def test_any_split_into_packs_gives_the_same_transitions(seed: int) -> None:
    made, engine, chance = samples(seed), engine_of(), random.Random(seed)
    for pack in cut(made, chance):
        engine.add_rows(NODE, pack[0].layout, [one.row for one in pack])
    assert told(engine.tick(BEGAN)) == expected(made)


@given(SEEDS)
@FEW
def test_late_and_duplicate_bursts_change_nothing(seed: int) -> None:
    made, engine, chance, late = samples(seed), engine_of(), random.Random(seed), 0
    for place, one in enumerate(made):
        engine.add_rows(NODE, one.layout, [one.row])
        if chance.random() < 0.01:
            before = one.row.taken_at_ms - int(1000 * chance.choice([0, 20, 300, 25 * 3600]))
            burst = [StoredRow(before - 50_000 + at * 1000, [9990 for _ in one.layout.series]) for at in range(51)]
            late += engine.add_rows(NODE, one.layout, burst)
            again = [other.row for other in made[max(0, place - 50) : place + 1] if other.layout == one.layout]
            late += engine.add_rows(NODE, one.layout, again)
    assert told(engine.tick(BEGAN)) == expected(made)
    found = engine.take_late()
    assert (late > 0) == (NODE in found)
    assert not engine.take_late()


@given(SEEDS, st.floats(0.0, 1.0))
@FEW
def test_a_restart_at_any_sample_gives_the_same_transitions(seed: int, part: float) -> None:
    made = samples(seed)
    place = int(part * len(made))
    first = engine_of()
    before = play(first, NODE, made[:place])
    kept = msgspec.json.decode(msgspec.json.encode(first.snapshot()), type=Snapshot)
    second = engine_of()
    second.restore(alerts_after(before), kept)
    twenty_minutes = made[place - 1].row.taken_at_ms - 21 * 60_000 if place else 0
    again = [one for one in made[:place] if one.row.taken_at_ms > twenty_minutes]
    assert told(before + play(second, NODE, again + made[place:])) == expected(made)


def test_a_restart_from_an_older_snapshot_neither_fires_nor_resolves_twice() -> None:
    made = samples(7)
    for place in range(200, len(made), 150):
        first = engine_of()
        before = play(first, NODE, made[: place - 120])
        kept = first.snapshot()
        before += play(first, NODE, made[place - 120 : place])
        second = engine_of()
        second.restore(alerts_after(before), kept)
        after = play(second, NODE, made)
        for key, found in told(before + after).items():
            changes = [one.kind for one in found if one.kind in ("fired", "resolved")]
            assert changes == ["fired", "resolved"] * (len(changes) // 2) + ["fired"] * (len(changes) % 2), (place, key, changes)


def kinds(found: list[Transition]) -> list[tuple[str, str | None, float]]:
    return [(one.kind, one.level, round(one.at - BEGAN, 1)) for one in found]


def test_missing_data_neither_fires_nor_resolves_and_the_alert_is_stale_until_it_is_back() -> None:
    engine = engine_of((RULES[0],))
    found = play(engine, NODE, samples_of({"cpu.total": 100}, 200), tick_s=1)
    found += [one for at in range(200, 3600, 10) for one in engine.tick(BEGAN + at)]
    found += play(engine, NODE, samples_of({"cpu.total": 5}, 120, start=3600), tick_s=1)
    assert kinds(found) == [("fired", "critical", 70), ("stale", "critical", 380), ("fresh", "critical", 3640), ("resolved", None, 3660)]


def test_an_alert_of_a_vanished_object_ends_after_ten_minutes_without_it() -> None:
    signals = {f"filesystem.{kind}{{mount={mount}}}": value for mount in ("/", "/mnt") for kind, value in (("used", 95e9), ("free", 5e9))}
    there = samples_of(signals, 1200)
    rest = {series: value for series, value in signals.items() if "/mnt" not in series}
    for away_s, ended in ((480, []), (900, [("resolved", None, 1800.3)])):
        engine = engine_of((RULES[3],))
        gone = samples_of(rest, away_s, start=1200)
        back = samples_of(signals, 600, start=1200 + away_s)
        found = told(play(engine, NODE, there + gone + (back if away_s == 480 else [])))
        assert kinds(found[InstanceKey(RuleId("disk"), NODE, "/mnt")])[1:] == ended
        assert kinds(found[InstanceKey(RuleId("disk"), NODE, "/")]) == [("fired", "warning", 120.3)]
        assert all(one.reason == "object_gone" for one in found[InstanceKey(RuleId("disk"), NODE, "/mnt")][1:])


RULE = RULES[1]
GONE: Mapping[Reason, Sequence[Rule]] = {
    "rule_disabled": [RULE._replace(enabled=False)],
    "rule_deleted": [],
    "not_selected": [RULE._replace(select=Selector(tags=("other",)))],
}
"""Why an alert of the rule ends -> the rules then."""


@pytest.mark.parametrize("reason", GONE)
def test_the_end_of_an_alert_whose_rule_is_gone_says_why_also_after_a_restart(reason: Reason) -> None:
    engine = engine_of((RULE,))
    before = play(engine, NODE, samples_of({"cpu.total": 100}, 60))
    later = engine_of(GONE[reason])
    later.restore(alerts_after(before), engine.snapshot())
    engine.set_rules(GONE[reason])
    for one in (engine, later):
        assert [(end.kind, end.reason) for at in range(10) for end in one.tick(BEGAN + 60 + at)] == [("resolved", reason)]


def test_an_override_that_switches_a_rule_off_and_a_removed_node_end_its_alerts_with_that_reason() -> None:
    engine = engine_of((RULE,))
    play(engine, NODE, samples_of({"cpu.total": 100}, 60))
    engine.set_rules([RULE._replace(overrides=(Override(Selector(nodes=(NODE,)), enabled=False),))])
    assert [one.reason for at in range(10) for one in engine.tick(BEGAN + 60 + at)] == ["rule_disabled"]
    engine.set_rules([RULE])
    play(engine, NODE, samples_of({"cpu.total": 100}, 60, start=60))
    engine.remove_node(NODE)
    assert [one.reason for one in engine.tick(BEGAN + 200)] == ["node_removed"]


def test_the_last_matching_override_applies_and_is_named() -> None:
    mild = Override(Selector(tags=("build",)), warn=Threshold(99, 90))
    off = Override(Selector(nodes=(NODE,)), enabled=False)
    strict = RULES[1]._replace(overrides=(mild, off))
    engine = engine_of((strict,), tags=("build",))
    (effective,) = engine.effective(NODE)
    assert (effective.override, effective.rule.enabled) == (1, False)
    engine.set_rules([strict._replace(overrides=(mild,))])
    (effective,) = engine.effective(NODE)
    assert (effective.override, effective.rule.warn) == (0, Threshold(99, 90))
    assert not play(engine, NODE, samples_of({"cpu.total": 95}, 60))
    engine.set_node(NodeFacts(NODE))
    assert [one.kind for one in play(engine, NODE, samples_of({"cpu.total": 95}, 60, start=60))] == ["fired"]


def test_a_rule_without_nodes_and_an_invalid_rule_do_nothing() -> None:
    engine = Engine()
    faults = engine.set_rules([RULES[1]._replace(select=Selector()), rule("old", "avg(cpu.gone, 1m)", (1, 0))])
    assert list(faults) == ["old"]
    engine.set_node(NodeFacts(NODE))
    assert not play(engine, NODE, samples_of({"cpu.total": 100}, 60))


def test_a_label_in_the_expression_selects_one_object() -> None:
    engine = engine_of((rule("busy", "avg(disk.busy{device=sda}, 30s)", (90, 80)),))
    found = play(engine, NODE, samples_of({"disk.busy{device=sda}": 100, "disk.busy{device=sdb}": 100}, 60))
    assert [one.key.object for one in found] == ["sda"]


def test_rows_of_history_which_have_no_schema_id_are_read_by_their_series() -> None:
    """The same samples with and without the ids that nodes give: compacted rows have lost them."""
    made = samples(7)
    bare = [one._replace(layout=one.layout._replace(schema_id=b"")) for one in made]
    assert play(engine_of(), NODE, bare) == play(engine_of(), NODE, made) != []


def test_silence_counts_from_its_true_start_but_not_while_the_hub_waits() -> None:
    engine = engine_of((rule("offline", "state(offline)", (120, 0)),))
    key = InstanceKey(RuleId("offline"), NODE, "")
    for at, away, reconnecting, kind in [
        (60, True, False, []),
        (125, True, True, []),
        (135, True, False, ["fired"]),
        (200, True, True, []),
        (210, False, False, ["resolved"]),
    ]:
        silent_s = at if away else None
        engine.set_node(NodeFacts(NODE, silent_s=silent_s, reconnecting=reconnecting))
        found = engine.tick(BEGAN + 1000.0 + at)
        assert [one.kind for one in found] == kind
        if kind == ["fired"]:
            assert found[0].since_at == BEGAN + 1000
            assert engine.value(key) == 135


def test_late_samples_give_a_condition_its_true_start() -> None:
    engine = engine_of((rule("cpu", "max(cpu.total, 10s)", (90, 80), (97, 95), for_s=600),))
    key = InstanceKey(RuleId("cpu"), NODE, "")
    assert not engine.backdate(key, "warning", BEGAN - 3600)
    play(engine, NODE, samples_of({"cpu.total": 99}, 60))
    assert engine.backdate(key, "warning", BEGAN - 3600)
    (fired,) = play(engine, NODE, samples_of({"cpu.total": 99}, 20, start=60))
    assert (fired.kind, fired.level, fired.since_at) == ("fired", "warning", BEGAN - 3600)


def test_an_event_fires_until_clear_s_after_the_last_one() -> None:
    engine = engine_of((rule("clone", "event(node_cloned)", (0, 0), clear_s=60.0),))
    found = []
    for at in range(200):
        if at in (5, 50):
            engine.add_event(NODE, "node_cloned", "", BEGAN + at)
            engine.add_event(NODE, "other", "", BEGAN + at)
        found += engine.tick(BEGAN + at)
    assert kinds(found) == [("fired", "warning", 5), ("resolved", None, 110)]


def test_the_hub_has_its_own_states() -> None:
    engine = Engine()
    engine.set_rules([rule("channel", "state(hub_channel_broken)", (0, 0)), RULES[1]])
    engine.set_hub(HubInfo(channels_broken=("phone",)))
    (fired,) = engine.tick(BEGAN)
    assert (fired.key, fired.kind) == (InstanceKey(RuleId("channel"), None, "phone"), "fired")
    engine.set_hub(HubInfo(channels_broken=()))
    assert [one.kind for one in engine.tick(BEGAN + 1)] == ["resolved"]


def test_samples_ahead_of_the_hub_wait_and_are_converted_to_the_hubs_time() -> None:
    engine = engine_of((RULES[1],))
    engine.tick(BEGAN + 1000.0)
    ahead = samples_of({"cpu.total": 100}, 60, start=4600)
    assert not play(engine, NODE, ahead)
    engine.tick(BEGAN + 1060.0)
    engine.set_node(NodeFacts(NODE, clock_skew_s=3600.0))
    assert [one.at - BEGAN for one in play(engine, NODE, ahead)] == [1010.0]


@pytest.mark.parametrize("restarts", [False, True])
def test_alerts_end_and_fire_after_the_clock_of_the_hub_was_set_back(restarts: bool) -> None:
    rules = (rule("offline", "state(offline)", (120, 0)), RULES[1])
    engine = engine_of(rules)
    play(engine, NODE, samples_of({"cpu.total": 5}, 60, start=7200))
    engine.set_node(NodeFacts(NODE, silent_s=130.0))
    fired = engine.tick(BEGAN + 7260.0)
    assert [one.kind for one in fired] == ["fired"]
    if restarts:
        stored, engine = engine.snapshot(), engine_of(rules)
        engine.restore(alerts_after(fired), stored)
    engine.set_node(NodeFacts(NODE))
    assert [one.kind for one in engine.tick(BEGAN + 3600.0)] == ["resolved"]
    assert [one.kind for one in play(engine, NODE, samples_of({"cpu.total": 99}, 60, start=3600))] == ["fired"]


def test_absurd_values_of_a_node_cause_no_failure() -> None:
    engine = engine_of(RULES)
    layout = layout_of("pulse", ["cpu.total", "network.packets_received{interface=eth0}", "network.packets_sent{interface=eth0}"])
    most = (1 << 63) - 1
    for at in range(100):
        engine.add_rows(NODE, layout, [StoredRow((BEGAN + at) * 1000, [chance, -most, most]) for chance in (most, -most)])
    play(engine, NODE, samples_of({"filesystem.used{mount=/}": float(1 << 60), "filesystem.free{mount=/}": 0.0}, 600))
    engine.tick(BEGAN + 100)


@pytest.mark.parametrize("known_s", [20, 40])
def test_a_window_with_few_samples_has_no_value(known_s: int) -> None:
    engine = engine_of((rule("cpu", "avg(cpu.total, 1m)", (90, 80)),))
    found = play(engine, NODE, samples_of({"cpu.total": lambda at: 100 if at < known_s else None}, 300))
    assert bool(found) is (known_s >= 36)


def test_events_about_alerts_fire_no_rule() -> None:
    engine = engine_of((rule("loop", "event(alert_firing)", (0, 0), clear_s=60.0),))
    engine.add_event(NODE, "alert_firing", "", BEGAN)
    assert not engine.take()


def test_a_rule_on_all_nodes_also_gets_events_without_a_node() -> None:
    named = rule("named", "event(custom{name=rotate-keys})", (0, 0), clear_s=60.0)
    engine = engine_of((named, named._replace(id=RuleId("some"), select=Selector(tags=("db",)))))
    engine.add_event(None, "custom", "nightly", BEGAN)
    engine.add_event(None, "custom", "rotate-keys", BEGAN)
    engine.add_event(NODE, "custom", "rotate-keys", BEGAN)
    assert [one.key for one in engine.take()] == [InstanceKey(RuleId("named"), node, "rotate-keys") for node in (None, NODE)]


@pytest.mark.holds("SAFETY-102")
def test_one_node_begins_a_bounded_number_of_alerts_and_the_rest_is_one() -> None:
    event_rule = Rule(RuleId("failed"), "failed", "event(service_failed)", ALL, crit=Threshold(0, 0), clear_s=600.0)
    engine = engine_of((event_rule, event_rule._replace(id=RuleId("other"), expr="event(backup_failed)")))
    calm = NodeId("calm")
    engine.set_node(NodeFacts(calm, (), cores=4))
    engine.tick(BEGAN)
    for at in range(5000):
        engine.add_event(NODE, "service_failed", f"unit-{at}", BEGAN)
    engine.add_event(NODE, "backup_failed", "nightly", BEGAN)
    engine.add_event(calm, "service_failed", "its own", BEGAN)
    fired = [one for one in engine.tick(BEGAN + 1) if one.kind == "fired"]
    of_rule = [one for one in fired if one.key.rule == "failed" and one.key.node == NODE]
    assert len(of_rule) == MOST_OBJECTS + 1
    assert sum(one.key.object == OTHERS for one in of_rule) == 1
    assert [(one.key.node, one.key.object) for one in fired if one not in of_rule] == [(NODE, "nightly"), (calm, "its own")]


@pytest.mark.holds("SAFETY-102")
def test_warnings_never_use_up_what_a_nodes_critical_alerts_have() -> None:
    quick = Rule(RuleId("quick"), "quick", "event(service_failed)", ALL, warn=Threshold(0, 0), clear_s=1.0)
    grave = Rule(RuleId("grave"), "grave", "event(backup_failed)", ALL, crit=Threshold(0, 0), clear_s=1.0)
    engine, fired = engine_of((quick, grave)), 0
    for turn in range(500):
        now = BEGAN + 4.0 * turn
        engine.add_event(NODE, "service_failed", f"unit-{turn}", now)
        fired += sum(one.kind == "fired" and one.key.object != OTHERS for one in engine.tick(now))
        fired += sum(one.kind == "fired" and one.key.object != OTHERS for one in engine.tick(now + 2))
    assert 300 <= fired <= 300 + 500 * 4 / 12 + 1, "300 at once, and 300 more in an hour"
    engine.add_event(NODE, "backup_failed", "nightly", now + 3)
    assert [one.key.object for one in engine.tick(now + 3) if one.kind == "fired" and one.key.rule == "grave"] == ["nightly"]
