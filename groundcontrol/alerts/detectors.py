"""Named detectors: conditions on several windows, which one expression cannot describe. Pure.

For each object a detector gives a value for the thresholds of the rule, and the highest level that may fire. Its parameters have
defaults, which `detector(name, number=value)` overrides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from groundcontrol.alerts.machine import Observation
from groundcontrol.alerts.windows import WindowFunction
from groundcontrol.schedules.model import Level

GIB: Final = 1024**3
HOUR_S: Final = 3600
MOST_HOURS: Final = 8760.0
"""Forecasts are limited to a year."""
EASE: Final = 1.2
"""A level ends when the free space exceeds the limit of its start by this factor."""


class Read(NamedTuple):
    """A window that a detector reads, of the series with the object's label."""

    function: WindowFunction
    metric: str
    window_s: int = 0
    least_s: float | None = None
    """How many seconds of it must have been measured; None: the share `COVERAGE`."""


Numbers = Mapping[str, float]
NO_NUMBERS: Final[Numbers] = MappingProxyType({})
Judge = Callable[[Sequence[float | None], Numbers, str], Observation | None]
"""Takes the values of the windows, the numbers and the object. Returns None if the condition is not known."""


class DetectorKind(NamedTuple):
    """One detector."""

    name: str
    unit: str
    about: str
    """What the value is."""
    reads: tuple[Read, ...]
    """The windows. The labels of the first one's metric are the objects, and its samples decide when a rule is judged.

    The other windows are of the same family (measured together), or means (`avg`) of a family that is measured more often.
    """
    judge: Judge
    numbers: Numbers = NO_NUMBERS
    gated: bool = False
    """Whether its value is always that of its first window. A value that is not past the trigger then needs no call of `judge`."""
    admits: Callable[[str], bool] | None = None
    """Whether the series with a label is an object of the detector; None: each one is."""


def just_the_value(values: Sequence[float | None], _numbers: Numbers, _object: str) -> Observation | None:
    """Judges an expression with one window."""
    return None if values[0] is None else Observation(values[0])


def _space(values: Sequence[float | None], numbers: Numbers, _object: str) -> Observation | None:
    used, free, readonly = values
    if used is None or free is None or readonly is None:
        return None
    limits: tuple[tuple[Level, float], ...] = (
        ("critical", numbers["critical_free_gib"] * GIB),
        ("warning", numbers["warning_free_gib"] * GIB),
    )
    cap = next((level for level, limit in limits if free < limit), None)
    hold = next((level for level, limit in limits if free < limit * EASE), None)
    return Observation(used, None, None) if readonly else Observation(used, cap, hold)


def _fills(values: Sequence[float | None], numbers: Numbers, _object: str) -> Observation | None:
    used, free, short, long = values
    if used is None or free is None or short is None or long is None:
        return None
    if used < numbers["used_percent"] or short >= 0 or long >= 0:
        return Observation(MOST_HOURS)
    return Observation(min(MOST_HOURS, free / -max(short, long) / HOUR_S))


def _oom(values: Sequence[float | None], _numbers: Numbers, _object: str) -> Observation | None:
    return None if values[0] is None else Observation(values[0] * OOM_WINDOW_S)


def _swap(values: Sequence[float | None], numbers: Numbers, _object: str) -> Observation | None:
    used, stalled = values
    if used is None:
        return None
    if stalled is None:
        return Observation(used, None, "warning")  # an alert neither begins nor ends by pressure that is not known
    least = numbers["pressure_percent"]
    return Observation(used, "warning" if stalled > least else None, "warning" if stalled > least / 2 else None)


def _cpu(values: Sequence[float | None], numbers: Numbers, _object: str) -> Observation | None:
    busy, waited = values
    if busy is None:
        return None
    if waited is None:
        return Observation(busy, None, "critical")  # whether programs wait is not known
    limits: tuple[tuple[Level, float], ...] = (("critical", numbers["pressure_percent"]), ("warning", numbers["waiting_percent"]))
    cap = next((level for level, least in limits if waited > least), None)
    hold = next((level for level, least in limits if waited > least / 2), None)
    return Observation(busy, cap, hold)


def _errors(values: Sequence[float | None], numbers: Numbers, _object: str) -> Observation | None:
    *faults, received, sent = values
    if received is None or sent is None or None in faults:
        return None
    packets = (received + sent) * NETWORK_WINDOW_S
    share = 100.0 * sum(fault or 0.0 for fault in faults) / max(received + sent, 1e-9)
    return Observation(min(share, 100.0) if packets > numbers["packets"] else 0.0)


def _saturated(values: Sequence[float | None], _numbers: Numbers, _object: str) -> Observation | None:
    speed, received, sent = values
    if speed is None or received is None or sent is None or (speed <= 0 and received + sent > 0):
        return None
    return Observation(100.0 * 8 * max(received, sent) / speed if speed > 0 else 0.0)


def _link(values: Sequence[float | None], _numbers: Numbers, _object: str) -> Observation | None:
    recent, ever = values
    if recent is None:
        return None
    return Observation(float(recent < 1), "critical" if ever else None)


def _readonly(values: Sequence[float | None], _numbers: Numbers, _object: str) -> Observation | None:
    readonly, lowest = values
    return None if readonly is None else Observation(readonly, "critical" if lowest == 0 else None)


def _disk(values: Sequence[float | None], _numbers: Numbers, _object: str) -> Observation | None:
    pending, uncorrectable = values  # from the same file; some disks count no uncorrectable ones
    return None if pending is None else Observation(pending + (uncorrectable or 0.0))


OOM_WINDOW_S: Final = 300
NETWORK_WINDOW_S: Final = 600


def _hot(values: Sequence[float | None], numbers: Numbers, _object: str) -> Observation | None:
    heat, limit = values
    if heat is None:
        return None
    if limit is None:
        return Observation(heat)
    margin, ease = numbers["margin"], numbers["margin"] / 2
    cap: Level | None = "critical" if heat >= limit else "warning" if heat >= limit - margin else None
    hold: Level | None = "critical" if heat >= limit - ease else "warning" if heat >= limit - margin - ease else None
    return Observation(heat, cap, hold)


def _temperature(name: str, whose: str, admits: Callable[[str], bool]) -> DetectorKind:
    reads = (Read("avg", "temperature", 300), Read("last", "temperature.limit"))
    about = f"mean of 5 minutes {whose}. With a limit of its chip: critical from that limit on, and a warning from `margin` below it"
    return DetectorKind(name, "celsius", about, reads, _hot, {"margin": 10.0}, gated=True, admits=admits)


_KINDS: Final = (
    DetectorKind(
        "filesystem_space",
        "percent",
        "used, while less than warning_free_gib or critical_free_gib is free. Below 40 GiB the percents alone decide: these limits are then"
        " always met. One that is mounted read-only raises no alert",
        (Read("last", "filesystem.used_percent"), Read("last", "filesystem.free"), Read("last", "filesystem.readonly")),
        _space,
        {"warning_free_gib": 20.0, "critical_free_gib": 5.0},
        gated=True,
    ),
    DetectorKind(
        "filesystem_fills",
        "hours",
        "until it is full, by the slower of its trends of 6 and of 24 hours; only above used_percent",
        (
            Read("last", "filesystem.used_percent"),
            Read("last", "filesystem.free"),
            Read("slope", "filesystem.free", 6 * HOUR_S),
            Read("slope", "filesystem.free", 24 * HOUR_S),
        ),
        _fills,
        {"used_percent": 60.0},
    ),
    DetectorKind(
        "filesystem_readonly",
        "flag",
        "1: nothing can be written; it must have been writable in the 24 hours before",
        (Read("last", "filesystem.readonly"), Read("min", "filesystem.readonly", 24 * HOUR_S, 0.0)),
        _readonly,
        gated=True,
    ),
    DetectorKind(
        "memory_oom", "processes", "killed for want of memory in 5 minutes", (Read("rate", "memory.oom_kills", OOM_WINDOW_S),), _oom
    ),
    DetectorKind(
        "swap_thrash",
        "percent",
        "of swap used, while programs wait for memory more than pressure_percent of the time",
        (Read("avg", "swap.used_percent", 600), Read("avg", "pressure.memory_some", 600)),
        _swap,
        {"pressure_percent": 5.0},
        gated=True,
    ),
    DetectorKind(
        "cpu_saturated",
        "percent",
        "busy over 10 whole minutes, while programs wait for a core more than waiting_percent of the time; critical: more than"
        " pressure_percent",
        (Read("avg", "cpu.total", 600, 540.0), Read("avg", "pressure.cpu_some", 600)),
        _cpu,
        {"pressure_percent": 60.0, "waiting_percent": 20.0},
        gated=True,
    ),
    DetectorKind(
        "network_errors",
        "percent",
        "of the packets of 10 minutes damaged or dropped, if there were more than `packets`",
        (
            *(
                Read("avg", f"network.{fault}", NETWORK_WINDOW_S)
                for fault in ("errors_received", "errors_sent", "drops_received", "drops_sent")
            ),
            Read("avg", "network.packets_received", NETWORK_WINDOW_S),
            Read("avg", "network.packets_sent", NETWORK_WINDOW_S),
        ),
        _errors,
        {"packets": 10_000.0},
    ),
    DetectorKind(
        "network_saturated",
        "percent",
        "of the speed of the link, in the busier direction, over 5 minutes",
        (Read("last", "network.speed"), Read("avg", "network.received", 300), Read("avg", "network.sent", 300)),
        _saturated,
    ),
    DetectorKind(
        "network_link",
        "flag",
        "1: the link has been down for 2 minutes; it must have been up in the 24 hours before",
        (Read("max", "network.up", 120), Read("max", "network.up", 24 * HOUR_S, 0.0)),
        _link,
    ),
    DetectorKind(
        "disk_failing",
        "sectors",
        "that could not be read and wait, or failed a test",
        (Read("last", "smart.pending"), Read("last", "smart.uncorrectable")),
        _disk,
    ),
    _temperature("nvme_temperature", "of an NVMe disk", lambda sensor: sensor.startswith("nvme")),
    _temperature("disk_temperature", "of a SATA or SAS disk", lambda sensor: sensor.startswith("drivetemp")),
    _temperature("sensor_temperature", "of any sensor but those of disks", lambda sensor: not sensor.startswith(("nvme", "drivetemp"))),
)
DETECTORS: Final = {kind.name: kind for kind in _KINDS}
