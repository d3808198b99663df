"""The state machine of one instance. Pure: from a state and an observation it makes the next state and the changes.

An instance has a state only if it fires or has passed a trigger. Missing data never reaches `step`, so it neither fires nor resolves an
instance. Time without observations does not count towards `for_s` or `clear_s`.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from groundcontrol.alerts.model import RANK, Rule, Threshold
from groundcontrol.schedules.model import Level

LEVELS: Final[tuple[Level, ...]] = ("critical", "warning")
"""The levels, highest first."""
MOST_PACES: Final = 1.5
"""Of the time between two observations, at most this multiple of `Limits.pace_s` counts as observed."""


class Observation(NamedTuple):
    """The value of an object at one time, with the levels that it allows."""

    value: float
    cap: Level | None = "critical"
    """The highest level that may start; None: no level may."""
    hold: Level | None = "critical"
    """The highest level that may continue, at least `cap`."""
    since_at: float | None = None
    """When the condition began, in Unix seconds; None: at the observation that passed the trigger."""


class Limits(NamedTuple):
    """The thresholds and times of a rule for one node."""

    above: bool
    warn: Threshold | None
    crit: Threshold | None
    for_s: float
    clear_s: float
    pace_s: float
    """The usual time between two observations."""
    lost_s: float
    """After this time without an observation, the time that counts towards `for_s` starts again. Nothing is added to that for `clear_s`."""

    def threshold(self, level: Level) -> Threshold | None:
        return self.crit if level == "critical" else self.warn

    def starts(self, level: Level, seen: Observation) -> bool:
        """Whether the value is past the trigger of a level."""
        limit = self.threshold(level)
        return limit is not None and RANK[seen.cap] >= RANK[level] and self._past(seen.value, limit.trigger)

    def lasts(self, level: Level, seen: Observation) -> bool:
        """Whether the value is not back past the clear value of a level."""
        limit = self.threshold(level)
        return limit is not None and RANK[seen.hold] >= RANK[level] and self._past(seen.value, limit.clear)

    def _past(self, value: float, limit: float) -> bool:
        return value > limit if self.above else value < limit


class Arm(NamedTuple):
    """A level that has begun: the value passed its trigger, and has not been back past its clear value since."""

    since_at: float
    held_s: float
    """The observed time since then, which counts towards `for_s`."""


class Instance(NamedTuple):
    """The state of an instance that fires, or has passed a trigger."""

    known_at: float
    """When the instance was last observed, in Unix seconds."""
    value: float
    level: Level | None = None
    """None: pending."""
    since_at: float = 0.0
    """When the condition of the present episode began."""
    warning: Arm | None = None
    critical: Arm | None = None
    clear_s: float | None = None
    """How long the value has been back past the clear value of the present level; None: it is not."""
    stale: bool = False

    def arm(self, level: Level) -> Arm | None:
        return self.critical if level == "critical" else self.warning


class Change(NamedTuple):
    """What an observation changed. The fields are as in `Transition`."""

    kind: Literal["fired", "level", "resolved", "stale", "fresh"]
    level: Level | None
    since_at: float
    threshold: float | None


def step(held: Instance | None, seen: Observation, limits: Limits, at: float) -> tuple[Instance | None, tuple[Change, ...]]:
    """Apply an observation to a state. An observation older than the last one changes nothing.

    Args:    held: the state; None: the instance is well. at: the time of the observation, in Unix seconds.
    Returns: the next state (None: the instance is well), and the changes in order.
    """
    if held is None:
        if not (limits.starts("warning", seen) or limits.starts("critical", seen)):
            return None, ()
        held = Instance(at, seen.value)
    elif at < held.known_at:
        return held, ()
    passed_s = min(at - held.known_at, limits.pace_s * MOST_PACES)
    lost = at - held.known_at > limits.lost_s
    arms = {level: _armed(None if lost else held.arm(level), level, seen, limits, at, passed_s) for level in LEVELS}
    fresh = (Change("fresh", held.level, held.since_at, None),) if held.stale else ()
    after = held._replace(known_at=at, value=seen.value, warning=arms["warning"], critical=arms["critical"], stale=False)
    ready = next((level for level in LEVELS if (arm := arms[level]) is not None and arm.held_s >= limits.for_s), None)
    if held.level is None:
        return _pending(after, ready, limits)
    now, changes = _firing(after, held.level, ready, seen, limits, 0.0 if lost else passed_s)
    return now, fresh + changes


def _armed(arm: Arm | None, level: Level, seen: Observation, limits: Limits, at: float, passed_s: float) -> Arm | None:
    if arm is None:
        return Arm(at if seen.since_at is None else seen.since_at, 0.0) if limits.starts(level, seen) else None
    return Arm(arm.since_at, arm.held_s + passed_s) if limits.lasts(level, seen) else None


def _pending(after: Instance, ready: Level | None, limits: Limits) -> tuple[Instance | None, tuple[Change, ...]]:
    arms = [arm for arm in (after.warning, after.critical) if arm is not None]
    if ready is None:
        return (after, ()) if arms else (None, ())
    since_at = min(arm.since_at for arm in arms)
    return after._replace(level=ready, since_at=since_at), (_change("fired", ready, since_at, limits),)


def _firing(
    after: Instance, level: Level, ready: Level | None, seen: Observation, limits: Limits, passed_s: float
) -> tuple[Instance | None, tuple[Change, ...]]:
    if RANK[ready] > RANK[level]:
        return after._replace(level=ready, clear_s=None), (_change("level", ready, after.since_at, limits),)
    if limits.lasts(level, seen):
        return after._replace(clear_s=None), ()
    clear_s = 0.0 if after.clear_s is None else after.clear_s + passed_s
    if clear_s < limits.clear_s:
        return after._replace(clear_s=clear_s), ()
    lower = next((other for other in LEVELS if RANK[other] < RANK[level] and limits.lasts(other, seen)), None)
    if lower is not None:
        return after._replace(level=lower, clear_s=None), (_change("level", lower, after.since_at, limits),)
    return None, (_change("resolved", None, after.since_at, limits, level),)


def _change(
    kind: Literal["fired", "level", "resolved"], level: Level | None, since_at: float, limits: Limits, was: Level | None = None
) -> Change:
    limit = None if (level or was) is None else limits.threshold(level or was or "warning")
    return Change(kind, level, since_at, None if limit is None else limit.trigger if level else limit.clear)


def limits_of(rule: Rule, pace_s: float, window_s: float) -> Limits:
    """The limits of a rule whose overrides have been applied. Args: pace_s: as in `Limits`. window_s: the rule's longest window."""
    lost_s = 2.0 * max(rule.for_s, window_s, pace_s)
    return Limits(rule.when == "above", rule.warn, rule.crit, rule.for_s, rule.clear_s, pace_s, lost_s)


# `FLAP_CHANGES` changes within `FLAP_WITHIN_S` begin a quiet time of `FLAP_QUIET_S`. If flapping goes on after it, the next quiet time
# is twice as long, up to `FLAP_MOST_QUIET_S`.
FLAP_CHANGES: Final = 4
FLAP_WITHIN_S: Final = 1800.0
FLAP_QUIET_S: Final = 1800.0
FLAP_MOST_QUIET_S: Final = 8 * 3600.0


class Flapping(NamedTuple):
    """The recent changes of an instance, and its quiet time. During a quiet time changes are stored but not sent."""

    changes: tuple[float, ...] = ()
    """The times of the newest changes, at most `FLAP_CHANGES`."""
    quiet_s: float = 0.0
    quiet_until: float = 0.0

    def quiet(self, at: float) -> bool:
        """Whether this time is in the quiet time."""
        return at < self.quiet_until

    @property
    def since_at(self) -> float:
        """When the present quiet time began."""
        return self.quiet_until - self.quiet_s

    def changed(self, at: float) -> Flapping:
        """The same with one more change. A quiet time may begin by it."""
        changes = (*self.changes, at)[-FLAP_CHANGES:]
        if self.quiet(at) or len(changes) < FLAP_CHANGES or at - changes[0] > FLAP_WITHIN_S:
            return self._replace(changes=changes)
        goes_on = self.quiet_s > 0 and at - self.quiet_until < FLAP_WITHIN_S
        quiet_s = min(2 * self.quiet_s, FLAP_MOST_QUIET_S) if goes_on else FLAP_QUIET_S
        return Flapping(changes, quiet_s, at + quiet_s)

    def over(self, at: float) -> bool:
        """Whether all changes and the quiet time are too old to count."""
        return not self.quiet(at) and at - self.quiet_until > FLAP_WITHIN_S and at - max(self.changes, default=0.0) > FLAP_WITHIN_S
