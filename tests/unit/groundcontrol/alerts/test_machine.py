"""The state machine of an instance: every state with every observation, and the damping of flapping."""

from __future__ import annotations

import itertools

import pytest

from groundcontrol.alerts.machine import Arm, Flapping, Instance, Limits, Observation, step
from groundcontrol.alerts.model import Threshold

LIMITS = Limits(above=True, warn=Threshold(90, 85), crit=Threshold(97, 95), for_s=60, clear_s=0, pace_s=10, lost_s=120)
NOT_YET, READY = 10.0, 50.0
"""How long a level is armed before an observation 10 s later."""
VALUES = {"behind": 80.0, "warning clears": 87.0, "warning": 92.0, "critical clears": 96.0, "critical": 99.0}


def state(name: str, held_s: float) -> Instance | None:
    arm = Arm(0.0, held_s)
    return {
        "ok": None,
        "pending warning": Instance(100.0, 92.0, warning=arm),
        "pending critical": Instance(100.0, 99.0, warning=arm, critical=arm),
        "firing warning": Instance(100.0, 92.0, "warning", 0.0, warning=arm),
        "rising": Instance(100.0, 99.0, "warning", 0.0, warning=arm, critical=arm),
        "firing critical": Instance(100.0, 99.0, "critical", 0.0, warning=arm, critical=arm),
    }[name]


def name_of(held: Instance | None) -> str:
    if held is None:
        return "ok"
    if held.level is None:
        return "pending critical" if held.critical else "pending warning"
    return "rising" if held.level == "warning" and held.critical else f"firing {held.level}"


# state -> next state for each of VALUES, and its notification; first while levels have not lasted long enough, then when they have
TABLE: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {
    "ok": (
        [("ok", ""), ("ok", ""), ("pending warning", ""), ("pending warning", ""), ("pending critical", "")],
        [("ok", ""), ("ok", ""), ("pending warning", ""), ("pending warning", ""), ("pending critical", "")],
    ),
    "pending warning": (
        [("ok", ""), ("pending warning", ""), ("pending warning", ""), ("pending warning", ""), ("pending critical", "")],
        [("ok", ""), ("firing warning", "fired"), ("firing warning", "fired"), ("firing warning", "fired"), ("rising", "fired")],
    ),
    "pending critical": (
        [("ok", ""), ("pending warning", ""), ("pending warning", ""), ("pending critical", ""), ("pending critical", "")],
        [("ok", ""), ("firing warning", "fired"), ("firing warning", "fired"), ("firing critical", "fired"), ("firing critical", "fired")],
    ),
    "firing warning": (
        [("ok", "resolved"), ("firing warning", ""), ("firing warning", ""), ("firing warning", ""), ("rising", "")],
        [("ok", "resolved"), ("firing warning", ""), ("firing warning", ""), ("firing warning", ""), ("rising", "")],
    ),
    "rising": (
        [("ok", "resolved"), ("firing warning", ""), ("firing warning", ""), ("rising", ""), ("rising", "")],
        [("ok", "resolved"), ("firing warning", ""), ("firing warning", ""), ("firing critical", "level"), ("firing critical", "level")],
    ),
    "firing critical": (
        [("ok", "resolved"), ("firing warning", "level"), ("firing warning", "level"), ("firing critical", ""), ("firing critical", "")],
        [("ok", "resolved"), ("firing warning", "level"), ("firing warning", "level"), ("firing critical", ""), ("firing critical", "")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "ready", "seen"), list(itertools.product(TABLE, (False, True), VALUES)))
def test_each_state_and_observation_has_one_outcome(name: str, ready: bool, seen: str) -> None:
    after, changes = step(state(name, READY if ready else NOT_YET), Observation(VALUES[seen]), LIMITS, 110.0)
    expected, told = TABLE[name][ready][list(VALUES).index(seen)]
    assert name_of(after) == expected
    assert [change.kind for change in changes] == ([told] if told else [])
    if told == "resolved":
        assert (after, changes[0].level) == (None, None)


@pytest.mark.parametrize("name", TABLE)
def test_an_observation_from_before_the_last_one_changes_nothing(name: str) -> None:
    held = state(name, READY)
    if held is not None:
        assert step(held, Observation(80.0), LIMITS, 99.0) == (held, ())


def test_a_condition_below_its_trigger_is_the_mirror_of_one_above() -> None:
    below = LIMITS._replace(above=False, warn=Threshold(10, 15), crit=Threshold(3, 5))
    for (name, ready), (seen, value) in itertools.product(itertools.product(TABLE, (False, True)), VALUES.items()):
        held = state(name, READY if ready else NOT_YET)
        after, _ = step(held, Observation(100 - value), below, 110.0)
        assert name_of(after) == TABLE[name][ready][list(VALUES).index(seen)][0]


def test_a_gap_does_not_count_towards_for_s_and_a_long_one_begins_again() -> None:
    held, _ = step(None, Observation(92.0), LIMITS, 0.0)
    for at in (10.0, 20.0):
        held, _ = step(held, Observation(92.0), LIMITS, at)
    held, changes = step(held, Observation(92.0), LIMITS, 100.0)
    assert (changes, held and held.warning) == ((), Arm(0.0, 35.0))
    held, changes = step(held, Observation(92.0), LIMITS, 300.0)
    assert (changes, held and held.warning) == ((), Arm(300.0, 0.0))


def test_an_alert_ends_after_clear_s_behind_the_clear_value_without_a_break() -> None:
    limits = LIMITS._replace(clear_s=30)
    held = Instance(0.0, 92.0, "warning", 0.0, warning=Arm(0.0, 60.0))
    ended = []
    now: Instance | None = held
    for at, value in enumerate([80, 80, 86, 80, 80, 80, 80, 80], start=1):
        now, changes = step(now, Observation(value), limits, at * 10.0)
        ended += [at for change in changes if change.kind == "resolved"]
    assert ended == [7]


def test_a_level_starts_below_the_cap_and_holds_below_the_hold() -> None:
    limits = LIMITS._replace(for_s=0)
    assert step(None, Observation(99.0, None, "critical"), limits, 0.0) == (None, ())
    held, (change,) = step(None, Observation(99.0, "warning", "critical"), limits, 0.0)
    assert change.level == "warning"
    held, (change,) = step(held, Observation(99.0), limits, 10.0)
    assert change.level == "critical"
    held, changes = step(held, Observation(99.0, None, "critical"), limits, 20.0)
    assert not changes
    held, (change,) = step(held, Observation(99.0, None, "warning"), limits, 30.0)
    assert change.level == "warning"
    assert step(held, Observation(99.0, None, None), limits, 40.0)[0] is None


@pytest.mark.parametrize(("period_s", "most"), [(10, 10), (60, 10), (360, 10), (900, 12), (1800, 97), (7200, 25)])
def test_a_flapping_alert_is_notified_a_limited_number_of_times_a_day(period_s: int, most: int) -> None:
    flapping, told, changes = Flapping(), 0, 0
    for at in range(0, 86_400, period_s // 2):
        told += not flapping.quiet(at)
        flapping = flapping.changed(at)
        changes += 1
    assert changes == 86_400 * 2 // period_s
    assert told <= most


def test_flapping_ends_after_a_quiet_half_hour() -> None:
    flapping = Flapping()
    for at in (0.0, 300.0, 600.0, 900.0):
        flapping = flapping.changed(at)
    assert [flapping.quiet(at) for at in (2699.0, 2700.0)] == [True, False]
    assert [flapping.over(at) for at in (4500.0, 4501.0)] == [False, True]
    for at in (9000.0, 9300.0, 9600.0, 9900.0):
        flapping = flapping.changed(at)
    assert flapping.quiet_s == 1800.0
