"""The invariants of samples and databases after every fault: compares what nodes measured with what the hub has."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.samples import SqliteMetrics


class Sample(NamedTuple):
    """One row that a node measured, identified by its value."""

    family: str
    taken_at_ms: int
    value: int | None


class Hole(NamedTuple):
    """Rows that the node says are lost."""

    family: str
    first_ms: int
    last_ms: int
    rows: int


class Journal:
    """Everything that was measured, in order. The hub's data is compared with it."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.excused: set[Sample] = set()
        """Rows that only the node's memory had when it was killed. The hub may have them or not."""

    def measured(self, family: str, taken_at_ms: int, value: int | None) -> None:
        self.samples.append(Sample(family, taken_at_ms, value))

    def forgive(self, samples: Iterable[Sample]) -> None:
        self.excused.update(samples)


def check_samples(journal: Journal, held: Sequence[Sample], holes: Sequence[Hole]) -> None:
    """I1: every sample is stored exactly once, with its own time, or is in a hole. All holes together count exactly the missing samples.

    A hole begins and ends with a missing sample. An excused sample may be stored or missing, and a hole may count it or not.

    Raises: AssertionError: the violation, and the sample.
    """
    count = Counter(held)
    doubled = [sample for sample, times in count.items() if times > 1]
    assert not doubled, f"{len(doubled)} samples are held twice, first {doubled[0]}"
    invented = count.keys() - set(journal.samples)
    assert not invented, f"{len(invented)} samples were never measured, first {min(invented)}"
    missing = [sample for sample in journal.samples if sample not in count]
    told = sum(hole.rows for hole in holes)
    unexplained = [sample for sample in missing if not _covered(sample, holes) and sample not in journal.excused]
    assert not unexplained, f"{len(unexplained)} samples are missing without a word, first {unexplained[0]}, last {unexplained[-1]}"
    lost = [sample for sample in missing if sample not in journal.excused]
    excused = len(missing) - len(lost)
    assert len(lost) <= told <= len(lost) + excused, (
        f"{told} rows are told as lost, {len(lost)} are ({excused} more were killed with the node)"
    )
    for hole in holes:
        inside = [sample for sample in missing if _covered(sample, [hole])]
        assert inside, f"nothing is missing in {hole}"
        first, last = min(sample.taken_at_ms for sample in inside), max(sample.taken_at_ms for sample in inside)
        if not any(sample in journal.excused for sample in inside):
            assert (first, last) == (hole.first_ms, hole.last_ms), f"{hole} has other ends than what is missing: {first} to {last}"


def _covered(sample: Sample, holes: Sequence[Hole]) -> bool:
    return any(hole.family == sample.family and hole.first_ms <= sample.taken_at_ms <= hole.last_ms for hole in holes)


async def held_samples(folder: Path, series: Mapping[str, str], start: float, end: float) -> list[Sample]:
    """Every stored row of one series of each family, whether compacted or not; a row that is stored twice is listed twice.

    Reads a copy of the database of one moment, because a running hub may move rows meanwhile.

    Args: series: family -> its series. start, end: Unix seconds.
    """
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "stardust-samples.db")
        await asyncio.to_thread(_copy, folder / path.name, path)
        return await _samples_of(path, series, start, end)


def _copy(database: Path, to: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(to)) as copy,
    ):
        source.backup(copy)


async def _samples_of(path: Path, series: Mapping[str, str], start: float, end: float) -> list[Sample]:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        nodes = [row[0] for row in database.execute("SELECT node FROM fence")]
    reader = await Reader.open(path)
    found: list[Sample] = []
    try:
        metrics = SqliteMetrics(cast("Writer", None), reader)  # nothing is written
        for no in nodes:
            async for layout, rows in metrics.read(no, start, end, list(series)):
                if series[layout.family] in layout.series:
                    place = layout.series.index(series[layout.family])
                    found += [Sample(layout.family, row.taken_at_ms, row.values[place]) for row in rows]
    finally:
        await reader.close()
    return found


def told_holes(folder: Path) -> list[Hole]:
    """Every gap that the hub has stored."""
    with contextlib.closing(sqlite3.connect(f"file:{folder}/stardust-samples.db?mode=ro", uri=True)) as database:
        return [Hole(*row) for row in database.execute("SELECT family, first_ms, last_ms, samples FROM gap")]


def check_databases(folder: Path) -> None:
    """I5: all databases of the folder are sound, after any kill."""
    for path in sorted(folder.glob("stardust*.db")):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",), path
            assert database.execute("PRAGMA foreign_key_check").fetchall() == [], path
