"""Units of systemd: all, failed and restarted ones, and timers. They are read over the system bus, which every user may use."""

import contextlib
import os
import re
import time
from typing import Any, Collection, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from spider.files import listed
from spider.sampling.collectors.base import Collector
from spider.sampling.collectors.dbus import BUS, DbusRefused, SystemBus
from spider.sampling.collectors.table_reader import Reading
from spider.wire.report_messages import Cell
from spider.wire.tables import BY_NAME
from spider.wire.text import plain
from spider.wire.units import KINDS

_SYSTEMD = "org.freedesktop.systemd1"
_MANAGER = "/org/freedesktop/systemd1"
_UNSET = (0, 2**64 - 1)
_RESULTS = {kind: kind.title() for kind in ("service", "mount", "socket", "timer", "swap", "path", "automount", "scope")}
"""For each type of units with a failure result: the D-Bus interface that provides the result."""
_BAD = ("failed", "auto-restart")
_UNDECIDED = ("activating", "deactivating", "failed")
"""States of a unit that failed and runs again, as long as it is not known how that ends."""
_AGAIN = "failed-before"
"""`Unit.sub` of such a unit."""
_INVOCATIONS = "/run/systemd/units"
"""A folder with a link `invocation:UNIT` for each started unit. The link's target is the id of the last start (systemd 239 and newer)."""
_ENABLED_IN = ("/etc/systemd/system", "/run/systemd/system")
_ENCODED = re.compile("[^A-Za-z0-9]|^[0-9]")
_ORDER = {"failed": 0, "activating": 1, "deactivating": 1, "reloading": 1, "active": 2}
RESTARTED_S = 3600.0
"""How long a restarted service stays in the `services` table."""
MOST_REMEMBERED = 1000
"""Most failed units that are looked for when they run again."""
MOST_INSTANCES = 10
"""Most failed instances of one template with a row of their own."""
MOST_QUERIED = 100
"""Most started services for which one reading queries systemd. The next reading queries the others."""


class Unit(NamedTuple):
    """The used fields of a unit from ListUnits."""

    name: str
    description: str
    active: str
    sub: str
    path: str
    load: str = "loaded"


def has_systemd(root: str = "") -> bool:
    """Whether systemd is the service manager here. Source: sd_booted(3)."""
    return os.path.isdir(root + "/run/systemd/system")


def list_units(bus: SystemBus, states: Tuple[str, ...], patterns: Tuple[str, ...] = ()) -> List[Unit]:
    """Query systemd for the loaded units, without those whose file is gone.

    Args:    states: only units in one of these load, active or sub states; empty: in any. patterns: only units with a name that one of these
             matches; empty: with any name.
    Returns: the units, sorted by name.
    Raises:  as `SystemBus.call`.
    Source: org.freedesktop.systemd1(5): ListUnitsByPatterns (systemd 230 and newer).
    """
    rows = bus.call(_SYSTEMD, _MANAGER, _SYSTEMD + ".Manager", "ListUnitsByPatterns", "asas", list(states), list(patterns))[0]
    return sorted(Unit(row[0], row[1], row[3], row[4], row[6], row[2]) for row in rows if row[2] != "not-found")


def _moment_ms(value: Any) -> Optional[int]:
    """Microseconds of the real-time clock, converted to milliseconds. None: the value is no number, or systemd has not set it."""
    return None if type(value) is not int or value in _UNSET else value // 1000


def next_elapse_ms(realtime_us: int, monotonic_us: int, now_s: float, monotonic_now_s: float) -> Optional[int]:
    """When a timer fires next, in Unix milliseconds; None: it does not wait for a time.

    Args: realtime_us, monotonic_us: the timer's next moment on each clock; 0 or 2**64 - 1: none. now_s, monotonic_now_s: the two clocks now.
    """
    due = [] if realtime_us in _UNSET else [realtime_us // 1000]
    if monotonic_us not in _UNSET:
        due.append(round((now_s - monotonic_now_s) * 1000) + monotonic_us // 1000)
    return min(due, default=None)


def started_ms(root: str, name: str) -> Optional[int]:
    """When the unit started, by the time of its link in `_INVOCATIONS`. None: unknown."""
    try:
        return int(os.lstat(f"{root}{_INVOCATIONS}/invocation:{name}").st_mtime * 1000)
    except (OSError, ValueError):  # the unit has ended meanwhile, or its name cannot be a file name
        return None


class Starts:
    """Finds the services that have started, from the links in `_INVOCATIONS`, and stores which of them were restarted.

    Systemd is queried about started services only, so a reading in which none has started costs no query.
    """

    def __init__(self, root: str = "") -> None:
        self._root = root
        self._folder = root + _INVOCATIONS
        self._seen: Optional[Dict[str, str]] = None
        """The id of the last start of each unit; None: not read yet."""
        self._restarted: Dict[str, float] = {}
        """By service: when its restart was last noted, in monotonic seconds."""

    def take_new(self) -> List[str]:
        """The names of services that have started since the last call, sorted. The first call returns none. Of more than `MOST_QUERIED`, the
        next call returns the rest."""
        try:
            starts = self._read()
        except OSError:  # systemd is older than 239
            return []
        before, self._seen = self._seen, starts
        if before is None:
            return []
        names = sorted(name for name, start in starts.items() if name.endswith(".service") and before.get(name) != start)
        for name in names[MOST_QUERIED:]:
            starts[name] = before.get(name, "")
        return names[:MOST_QUERIED]

    def started_ms(self, name: str) -> Optional[int]:
        """When the service was last started. None: unknown."""
        return started_ms(self._root, name)

    def note_restarts(self, names: Iterable[str], now: float) -> List[str]:
        """Store that these services were restarted. Returns: the names of all services that were restarted within the last hour, sorted."""
        self._restarted.update(dict.fromkeys(names, now))
        self._restarted = {name: at for name, at in self._restarted.items() if now - at < RESTARTED_S}
        return sorted(self._restarted)

    def _read(self) -> Dict[str, str]:
        """The id of the last start of each unit. Raises: OSError: there is no such folder."""
        found: Dict[str, str] = {}
        for entry in os.listdir(self._folder):
            kind, colon, name = entry.partition(":")
            if colon and kind == "invocation":
                with contextlib.suppress(OSError):  # the unit has ended meanwhile
                    found[name] = os.readlink(f"{self._folder}/{entry}")
        return found


class Failures:
    """Finds the units that failed, and remembers them while they run again.

    A failed unit that runs again is `activating` until it is known how that ends, such as a oneshot that a timer starts every five minutes. It
    stays failed until it was active, ended with success, was reset, stopped, masked or unloaded.
    """

    def __init__(self) -> None:
        self._names: List[str] = []
        """The units that had failed at the last reading."""

    def read(self, bus: SystemBus) -> List[Unit]:
        """The units that failed, with those that wait for a restart, by name. Raises: as `SystemBus.call`."""
        units = [unit for unit in list_units(bus, _BAD) if unit.load != "masked"]
        seen = {unit.name for unit in units}
        missing = [name for name in self._names if name not in seen][:MOST_REMEMBERED]
        if missing:
            again = list_units(bus, _UNDECIDED, tuple(missing))
            units += [unit._replace(active="failed", sub=_AGAIN) for unit in again if unit.load != "masked"]
        units.sort()
        self._names = [unit.name for unit in units if unit.active == "failed"]
        return units


def group_instances(units: Sequence[Unit]) -> List[Unit]:
    """The units, with at most `MOST_INSTANCES` failed instances of each template. A unit with the template's name counts the others."""
    instances: Dict[str, List[Unit]] = {}
    grouped: List[Unit] = []
    for unit in units:
        stem, at, _ = unit.name.partition("@")
        if at and unit.active == "failed":
            instances.setdefault(f"{stem}@.{unit.name.rpartition('.')[2]}", []).append(unit)
        else:
            grouped.append(unit)
    for template, group in instances.items():
        grouped += group[:MOST_INSTANCES]
        if len(group) > MOST_INSTANCES:
            grouped.append(Unit(template, f"{len(group) - MOST_INSTANCES} more instances failed", "failed", "failed", ""))
    return sorted(grouped)


def by_importance(units: Sequence[Unit], enabled: Collection[str]) -> List[Unit]:
    """The units in this order: those that are started at boot (`enabled`), others with a name of their own, then instances; each by name."""
    return sorted(units, key=lambda unit: (unit.name not in enabled, "@" in unit.name, unit.name))


def enabled_units(root: str = "") -> Set[str]:
    """The names of units that this host's configuration starts with others, such as at boot. Source: systemd.unit(5): `.wants/`, `.requires/`."""
    return {
        name
        for folder in _ENABLED_IN
        for group in listed(root + folder)
        if group.endswith((".wants", ".requires"))
        for name in listed(f"{root}{folder}/{group}")
    }


class _UnitTable:
    """A table that systemd is asked for. A host without systemd sends none."""

    subject: str

    def __init__(self, bus: str = BUS, root: str = "") -> None:
        self._bus = bus
        self._root = root

    def read(self, now: float) -> Optional[Reading]:
        """None: there is no systemd, or no bus. Raises: as `SystemBus.call`."""
        if not has_systemd(self._root) or not os.path.exists(self._bus):
            return None
        with SystemBus(self._bus) as bus:
            return self._query(bus, now)

    def _query(self, bus: SystemBus, now: float) -> Reading:
        raise NotImplementedError


class FailedUnits(_UnitTable):
    """The `services` table: failed units, units that wait for a restart, and services that systemd restarted within the last hour."""

    subject = "services"

    def __init__(self, bus: str = BUS, root: str = "") -> None:
        super().__init__(bus, root)
        self._starts = Starts(root)
        self._failures = Failures()
        self._failed_rows: Dict[str, Tuple[Cell, ...]] = {}
        """The last rows of failed units. The unit of a failed service that runs again does not say any more why it failed."""

    def _query(self, bus: SystemBus, now: float) -> Reading:
        """Query the units of the table, and why units failed."""
        units = self._failures.read(bus)
        bad = {unit.name for unit in units}
        units, most = group_instances(units), BY_NAME[self.subject].max_rows
        if len(units) > most:
            units = by_importance(units, enabled_units(self._root))
        restarted = [name for name in self._starts.take_new() if name in bad or _restarts(bus, _path_of(name))]
        others = [name for name in self._starts.note_restarts(restarted, now) if name not in bad]
        started = list_units(bus, (), tuple(others)) if others else []
        rows = {unit.name: self._row(bus, unit) for unit in (*units, *started)[:most]}
        self._failed_rows = {unit.name: rows[unit.name] for unit in units[:most] if unit.active == "failed"}
        return Reading(list(rows.values()), len(units) + len(started))

    def _row(self, bus: SystemBus, unit: Unit) -> Tuple[Cell, ...]:
        if unit.sub == _AGAIN and unit.name in self._failed_rows:
            return self._failed_rows[unit.name]
        if not unit.path:  # a template has no state of its own
            return (plain(unit.name), plain(unit.description), unit.active, None, None, None)
        attributes: Dict[str, Any] = {"StateChangeTimestamp": None, "Result": None}
        kind = unit.name.rpartition(".")[2]
        interface = _RESULTS.get(kind)
        for owner, name in (("Unit", "StateChangeTimestamp"), (interface, "Result")):
            if owner is not None:
                try:
                    attributes[name] = bus.get(_SYSTEMD, unit.path, f"{_SYSTEMD}.{owner}", name)
                except DbusRefused:  # systemd unloaded the unit meanwhile
                    continue
        result = attributes["Result"]
        state = unit.active if unit.active == "failed" else unit.sub
        return (
            plain(unit.name),
            plain(unit.description),
            plain(state, 32),
            plain(result, 32) if isinstance(result, str) else None,
            _moment_ms(attributes["StateChangeTimestamp"]),
            _restarts(bus, unit.path) if kind == "service" else None,
        )


class AllUnits(_UnitTable):
    """The `units` table: one query to systemd, whatever the number of units."""

    subject = "units"

    def _query(self, bus: SystemBus, now: float) -> Reading:  # noqa: ARG002 - the table holds states, not rates
        """Query the loaded services, sockets and timers."""
        units = [unit for unit in list_units(bus, (), tuple(f"*.{kind}" for kind in KINDS)) if unit.load == "loaded"]
        units.sort(key=lambda unit: (_ORDER.get(unit.active, len(_ORDER)), unit.name))
        return Reading([self._row(unit) for unit in units[: BY_NAME[self.subject].max_rows]], len(units))

    def _row(self, unit: Unit) -> Tuple[Cell, ...]:
        state = "failed" if unit.active == "failed" else unit.sub
        since = None if unit.active == "inactive" else started_ms(self._root, unit.name)
        return (plain(unit.name), plain(unit.description, 120), plain(state, 32), since)


def _path_of(unit: str) -> str:
    """The D-Bus object path of a loaded unit. Source: sd_bus_path_encode(3)."""
    return _MANAGER + "/unit/" + _ENCODED.sub(lambda match: "".join(f"_{byte:02x}" for byte in match.group().encode()), unit)


def _restarts(bus: SystemBus, path: str) -> Optional[int]:
    """How often systemd has restarted a service by itself; None: unknown."""
    try:
        count = bus.get(_SYSTEMD, path, _SYSTEMD + ".Service", "NRestarts")
    except DbusRefused:  # unloaded meanwhile, or a systemd before 235
        return None
    return count if type(count) is int else None


class RestartCounts:
    """How often systemd has restarted each service by itself since somebody started it. Without restarts a service is left out."""

    def __init__(self, root: str = "") -> None:
        self._starts = Starts(root)
        self._counts: Optional[Dict[str, int]] = None

    def read(self, bus: SystemBus, active: Sequence[str]) -> Dict[str, int]:
        """Query the services that have started since the last call. Args: active: the active units, which the first call queries."""
        started = self._starts.take_new()
        if self._counts is None:
            started, self._counts = [name for name in active if name.endswith(".service")][:MOST_REMEMBERED], {}
        for name in started:
            count = _restarts(bus, _path_of(name))
            if count:
                self._counts[name] = count
            else:
                self._counts.pop(name, None)
        return dict(self._counts)


class Timers(_UnitTable):
    """The `timers` table."""

    subject = "timers"

    def _query(self, bus: SystemBus, now: float) -> Reading:  # noqa: ARG002 - the table holds times, not rates
        """Query the active timers, and when they fire next."""
        units = list_units(bus, ("active",), ("*.timer",))
        return Reading([self._row(bus, unit) for unit in units[: BY_NAME[self.subject].max_rows]], len(units))

    @staticmethod
    def _row(bus: SystemBus, unit: Unit) -> Tuple[Cell, ...]:
        try:
            attributes = bus.get_all(_SYSTEMD, unit.path, _SYSTEMD + ".Timer")
        except DbusRefused:  # systemd unloaded the unit meanwhile
            attributes = {}
        numbers = [attributes.get(name, 0) for name in ("NextElapseUSecRealtime", "NextElapseUSecMonotonic")]
        realtime_us, monotonic_us = (number if type(number) is int else 0 for number in numbers)
        return (
            plain(unit.name),
            plain(str(attributes.get("Unit", ""))),
            next_elapse_ms(realtime_us, monotonic_us, time.time(), time.clock_gettime(time.CLOCK_MONOTONIC)),
            _moment_ms(attributes.get("LastTriggerUSec")),
        )


class FailedCount(Collector):
    """units.failed: number of units that failed, or wait to be started again."""

    family = "cycle"
    blocking = True  # it queries systemd

    def __init__(self, bus: str = BUS, root: str = "") -> None:
        super().__init__()
        self._bus = bus
        self._root = root
        self._failures = Failures()

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        if not has_systemd(self._root) or not os.path.exists(self._bus):
            return self._report(())
        self._series = ["units.failed"]  # set also when the bus does not answer
        with SystemBus(self._bus) as bus:
            return [len(self._failures.read(bus))]
