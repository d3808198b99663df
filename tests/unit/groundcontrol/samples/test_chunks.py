"""Columns and chunks of rows and aggregates: encoding round trips, and damage is an error, never a wrong number."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.samples.chunks import chunk_codec, column_codec, compaction, rollup, row_table
from groundcontrol.samples.chunks.rollup import StatChunk, StatTable, coarser, encode_stats, roll
from groundcontrol.samples.chunks.row_table import RowChunk, RowTable, encode_rows, join_chunks, join_tables, runs, table_of
from groundcontrol.samples.model import SeriesSchema, StoredRow
from groundcontrol.samples.tiers import HOURS, MINUTES, SECONDS

AT_MS = 1_790_000_000_000 // 3_600_000 * 3_600_000
PULSE = SeriesSchema(b"1" * 8, "pulse", 1, ("cpu.total", "cpu.user", "cpu.system", "memory.total", "memory.used", "memory.available"))
OTHER = SeriesSchema(b"2" * 8, "pulse", 1, ("memory.used", "load.1"))
TRACES = sorted((Path(__file__).resolve().parents[4] / "scripts" / "traces").glob("*.chunk"))

numbers = st.one_of(
    st.integers(0, 255), st.integers(0, 70_000), st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-(1 << 80), 1 << 80),
    st.integers(0, 1 << 30).map(lambda pages: pages * 4096),
)  # fmt: skip
drifting = st.lists(st.integers(-3, 9), min_size=1, max_size=400).map(
    lambda steps: [10_000_000 + sum(steps[:at]) for at in range(len(steps))]
)


@given(
    values=st.one_of(
        st.lists(numbers, max_size=40),
        drifting,
        st.integers(1, 500).map(lambda length: [7] * length),
        st.integers(1, 500).map(lambda length: list(range(9, 9 + 7 * length, 7))),
    ),
    bare=st.booleans(),
    cut=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
)
def test_a_column_and_its_slices_decode_unchanged(values: list[int], bare: bool, cut: list[float]) -> None:
    shape, data = column_codec.encode(values, bare=bare)
    assert column_codec.ends([shape, shape]) == [0, len(data), 2 * len(data)]
    assert list(column_codec.decode(shape, memoryview(data), len(values))) == values
    start, end = (round(share * len(values)) for share in cut)
    assert list(column_codec.decode(shape, memoryview(data), len(values), start, end)) == values[start:end]


@pytest.mark.parametrize(
    ("values", "most"),
    [
        ([5] * 3600, 0),
        (range(0, 3_600_000, 1000), 0),
        ([4096 * (at % 7) for at in range(3600)], 80),
        ([1 << 40 | at % 2 for at in range(3600)], 80),
        ([10**12 + at * at for at in range(3600)], 3600 * 2),
    ],
)
def test_constant_values_take_little_space(values: list[int], most: int) -> None:
    assert len(column_codec.encode(list(values))[1]) <= most


@given(shape=st.lists(st.integers(-(1 << 62), 1 << 62), max_size=14), data=st.binary(max_size=60), count=st.integers(0, 100))
def test_arbitrary_bytes_as_a_column_raise_only_valueerror(shape: list[int], data: bytes, count: int) -> None:
    with contextlib.suppress(ValueError):
        assert len(column_codec.decode(shape, memoryview(data), count)) == count


VALUE = st.one_of(st.none(), st.integers(0, 10_000), st.integers(-(1 << 62), 1 << 62))


@st.composite
def tables(draw: st.DrawFn) -> RowTable:
    parts = []
    for layout in draw(st.lists(st.sampled_from([PULSE, OTHER]), min_size=1, max_size=4)):
        start = AT_MS + draw(st.integers(0, 3_500_000))
        step = draw(st.sampled_from([0, 1, 1000, 1000]))
        width = len(layout.series)
        found = draw(st.lists(st.lists(VALUE, min_size=width, max_size=width), min_size=1, max_size=12))
        parts.append(table_of(layout, [StoredRow(start + at * step, values) for at, values in enumerate(found)]))
    return join_tables(parts)


def as_lists(table: RowTable) -> object:
    return [table.interval_s, list(table.times), {name: list(column) for name, column in table.columns.items()}, table.states]


@given(table=tables(), quick=st.booleans())
def test_rows_of_a_chunk_decode_unchanged(table: RowTable, quick: bool) -> None:
    read = RowChunk(encode_rows(table, quick=quick))
    assert as_lists(read.table()) == as_lists(table)
    assert as_lists(read.table(["memory.used"])) == as_lists(
        table._replace(
            columns={name: column for name, column in table.columns.items() if name == "memory.used"},
            states={name: state for name, state in table.states.items() if name == "memory.used"},
        )
    )


@given(first=tables(), second=tables())
def test_merged_chunks_equal_their_parts(first: RowTable, second: RowTable) -> None:
    samples, body = compaction.merge(SECONDS, [encode_rows(first), encode_rows(second, quick=True)])
    assert as_lists(RowChunk(body).table()) == as_lists(join_tables([first, second]))
    assert samples == first.samples + second.samples


def test_joined_chunks_have_no_column_of_an_unknown_series() -> None:
    columns = join_chunks([RowChunk(encode_rows(table_of(PULSE, [StoredRow(AT_MS, [1, 1, 1, 1, None, 1])])))]).columns
    assert list(columns) == list(PULSE.series)
    assert "cpu.unknown" not in columns
    assert columns.get("cpu.unknown") is None


def as_figures(table: StatTable) -> object:
    return [list(table.step_numbers), {name: [list(figures) for figures in line] for name, line in table.lines.items()}]


@given(table=tables(), cut=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted))
def test_a_slice_of_a_stored_line_equals_the_whole_line_there(table: RowTable, cut: list[float]) -> None:
    read = StatChunk(encode_stats(roll(1, table.times, table.columns, 1000)))
    start, end = (round(share * len(read.step_numbers)) for share in cut)
    for at in range(len(read.names)):
        assert [list(figures) for figures in read.line(at, start, end)] == [list(figures[start:end]) for figures in read.line(at)]


@given(
    places=st.one_of(st.sets(st.integers(0, 300)).map(sorted), st.integers(0, 99).map(lambda first: range(first, first + 77))),
    width=st.integers(1, 90),
)
def test_steps_are_runs_also_where_no_place_is_missing(places: Sequence[int], width: int) -> None:
    assert rollup.steps(places, width) == runs(places, width)


@given(table=tables(), cut=st.integers(0, 30))
def test_rollups_of_parts_sum_to_those_of_the_whole(table: RowTable, cut: int) -> None:
    whole = roll(1, table.times, table.columns, 60_000)
    assert as_figures(StatChunk(encode_stats(whole)).table()) == as_figures(whole)
    pieces = [
        roll(1, table.times[part], {name: column[part] for name, column in table.columns.items()}, 60_000)
        for part in (slice(0, cut), slice(cut, None))
        if table.times[part]
    ]
    merged = StatChunk(compaction.merge(MINUTES, [encode_stats(piece) for piece in pieces])[1]).table()
    assert as_figures(merged) == as_figures(whole)
    assert as_figures(coarser(whole, 60)) == as_figures(roll(1, table.times, table.columns, 3_600_000))
    assert as_figures(rollup.join([coarser(piece, 60) for piece in pieces])) == as_figures(coarser(whole, 60))


def test_an_absent_series_is_distinguished_from_a_failed_one() -> None:
    table = join_tables([table_of(OTHER, [StoredRow(AT_MS, [1, None])]), table_of(PULSE, [StoredRow(AT_MS + 1000, [1, 1, 1, 1, None, 1])])])
    read = RowChunk(encode_rows(table))
    states = {name: read.states(at) for at, name in enumerate(read.names)}
    assert states["memory.used"] == bytes([row_table.VALUE, row_table.FAILED])
    assert states["load.1"] == bytes([row_table.FAILED, row_table.ABSENT])
    assert states["cpu.total"] == bytes([row_table.ABSENT, row_table.VALUE])


def test_a_row_beyond_the_edge_of_a_span_goes_into_its_own_span() -> None:
    edge = AT_MS + 3_600_000
    made = compaction.make_chunks([(OTHER, [StoredRow(edge - 1000, [1, 1]), StoredRow(edge, [2, 2])])], {})
    assert [(part.tier, part.span, part.samples) for part in made if part.tier is SECONDS] == [
        (SECONDS, AT_MS // 3_600_000, 2), (SECONDS, edge // 3_600_000, 2),
    ]  # fmt: skip
    assert sum(part.samples for part in made if part.tier is HOURS) == 4


@given(junk=st.binary(max_size=80))
def test_arbitrary_bytes_as_a_chunk_raise_only_valueerror(junk: bytes) -> None:
    for read in (RowChunk, StatChunk):
        with contextlib.suppress(ValueError):
            read(junk).table()


@given(table=tables(), data=st.data())
def test_a_chunk_that_was_damaged_is_never_read_as_something_else(table: RowTable, data: st.DataObject) -> None:
    body = bytearray(encode_rows(table))
    body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ValueError, match="chunk"):
        RowChunk(bytes(body))


def test_a_chunk_of_a_newer_version_is_refused() -> None:
    body = encode_rows(table_of(OTHER, [StoredRow(AT_MS, [1, 2])]))
    with pytest.raises(ValueError, match="version"):
        RowChunk(bytes([chunk_codec.VERSION + 1]) + body[1:])
    with pytest.raises(ValueError, match="aggregates"):
        StatChunk(body)


@given(times=st.lists(st.integers(0, 10_000), max_size=60).map(sorted), step=st.integers(1, 4000))
def test_runs_cut_where_a_step_begins(times: list[int], step: int) -> None:
    found = runs(times, step)
    assert [time // step for time in times] == [place for place, start, end in found for _ in range(start, end)]
    assert len({place for place, _, _ in found}) == len(found)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.name)
def test_recorded_samples_of_a_real_machine_are_stored_compactly(path: Path) -> None:
    table = RowChunk(path.read_bytes()).table()
    body = encode_rows(table)
    assert as_lists(RowChunk(body).table()) == as_lists(table)
    assert len(body) <= path.stat().st_size
