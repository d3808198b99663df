"""The process history of a node: for each past minute, the processes that used the most CPU and memory. Command lines are not stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from groundcontrol.core.tables import SubjectTable
from spider.wire.tables import FAILED

SUBJECT: Final = "processes"
TOP: Final = 10
"""How many processes of a reading are kept by CPU, and as many by memory."""
MINUTE_MS: Final = 60_000
KEEP_S: Final = 86_400.0
AHEAD_S: Final = 3600.0
"""How far a reading may be dated ahead of the hub's clock. The history drops readings that are dated later."""
_COLUMNS: Final = ("name", "user", "cpu", "memory")


class ProcessUse(NamedTuple):
    """The CPU and memory that one process used."""

    name: str
    user: str
    cpu: int | None
    """Hundredths of a percent of one core; None: unknown."""
    memory: int | None
    """Resident set in bytes; None: unknown."""


class ProcessReading(NamedTuple):
    """The top processes at one moment, by CPU and by memory together."""

    at_ms: int
    """By the node's clock."""
    processes: Sequence[ProcessUse]


def top_processes(table: SubjectTable) -> ProcessReading | None:
    """The top processes of a table of processes. None: the node could not read its processes, or the table lacks a column."""
    if table.total == FAILED or not {*_COLUMNS} <= {*table.columns}:
        return None
    indexes = [table.columns.index(name) for name in _COLUMNS]
    rows = enumerate(zip(*(iter(table.cells),) * len(table.columns), strict=True))
    uses = [(number, _use(*(row[index] for index in indexes))) for number, row in rows]
    busiest, largest = _top(uses, "cpu"), _top(uses, "memory")
    kept = dict([*busiest, *largest])  # by the number of the row, since two processes may have equal values
    return ProcessReading(round(table.taken_at * 1000), sorted(kept.values(), key=lambda use: (use.name, use.user)))


def by_cpu(reading: ProcessReading) -> list[ProcessUse]:
    """The processes that used the most CPU, the busiest first."""
    return [use for _, use in _top(enumerate(reading.processes), "cpu")]


def by_memory(reading: ProcessReading) -> list[ProcessUse]:
    """The processes that used the most memory, the largest first."""
    return [use for _, use in _top(enumerate(reading.processes), "memory")]


def is_kept(reading: ProcessReading, now: float) -> bool:
    """Whether the history covers the reading's time."""
    return now - KEEP_S < reading.at_ms / 1000 < now + AHEAD_S


def with_reading(readings: Sequence[ProcessReading], new: ProcessReading) -> list[ProcessReading]:
    """The readings and the new one, by time. Of each minute only the last reading stays."""
    minute = new.at_ms // MINUTE_MS
    if any(old.at_ms // MINUTE_MS == minute and old.at_ms >= new.at_ms for old in readings):
        return list(readings)
    return sorted([*(old for old in readings if old.at_ms // MINUTE_MS != minute), new])


def _use(name: object, user: object, cpu: object, memory: object) -> ProcessUse:
    return ProcessUse(_text(name), _text(user), _amount(cpu), _amount(memory))


def _text(cell: object) -> str:
    return cell if isinstance(cell, str) else ""


def _amount(cell: object) -> int | None:
    return cell if isinstance(cell, int) else None


def _top(uses: Iterable[tuple[int, ProcessUse]], resource: str) -> list[tuple[int, ProcessUse]]:
    known = [(number, use) for number, use in uses if getattr(use, resource) is not None]
    return sorted(known, key=lambda one: getattr(one[1], resource), reverse=True)[:TOP]
