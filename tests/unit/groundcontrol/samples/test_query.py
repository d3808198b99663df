"""Down-sampling: no invented values, no lost values, gaps stay gaps."""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Sequence

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.core.errors import BadRequest
from groundcontrol.samples.chunks.pack_codec import unpack
from groundcontrol.samples.model import SeriesSchema, StoredRow, Window
from groundcontrol.samples.query import MOST_POINTS, STEPS_S, WindowBuilder, choose_step
from spider.wire.frames import MAX_FRAME_BYTES

PULSE = SeriesSchema(b"1" * 8, "pulse", 1, ("cpu.total", "memory.used"))
AT = 1_790_000_000


def rows(*found: tuple[float, int | None, int | None]) -> list[StoredRow]:
    return [StoredRow(int((AT + at) * 1000), [cpu, memory]) for at, cpu, memory in found]


def make_window(
    series: Sequence[str], start: float, end: float, points: int, groups: Sequence[tuple[SeriesSchema, Sequence[StoredRow]]]
) -> Window:
    """Rows that are all at hand, through the builder."""
    builder = WindowBuilder(series, start, end, points)
    for layout, found in groups:
        builder.add(layout, found)
    return builder.finish()


def test_each_bucket_has_average_least_and_greatest_in_the_metrics_own_unit() -> None:
    made = make_window(
        ["cpu.total", "memory.used"], AT, AT + 20, 2, [(PULSE, rows((0, 100, 5), (1, 300, 7), (9.999, 200, 9), (10, 50, 1)))]
    )
    assert (made.step_s, made.tier, made.times) == (10, "1s", [float(AT), AT + 10.0])
    assert made.series["cpu.total"] == ([2.0, 0.5], [1.0, 0.5], [3.0, 0.5])
    assert made.series["memory.used"] == ([7.0, 1.0], [5.0, 1.0], [9.0, 1.0])


def test_no_sample_and_no_measurement_are_gaps_and_zero_is_not() -> None:
    made = make_window(["cpu.total"], AT, AT + 5, 5, [(PULSE, rows((0, 0, 1), (2, None, 1), (4, 7, 1)))])
    assert made.series["cpu.total"].avg == [0.0, None, None, None, 0.07]
    assert made.series["cpu.total"].min == [0.0, None, None, None, 0.07]


def test_a_series_that_no_layout_has_is_there_and_empty() -> None:
    made = make_window(["cpu.total", "disk.read{device=sdz}"], AT, AT + 5, 5, [(PULSE, rows((0, 1, 1)))])
    assert made.series["disk.read{device=sdz}"].avg == [None] * 5


def test_a_layout_that_changes_midway_makes_one_line() -> None:
    wider = SeriesSchema(b"2" * 8, "pulse", 1, ("memory.used", "load.1", "cpu.total"))
    made = make_window(["cpu.total"], AT, AT + 4, 4, [(PULSE, rows((0, 100, 1))), (wider, [StoredRow((AT + 3) * 1000, [5, 6, 400])])])
    assert made.series["cpu.total"].avg == [1.0, None, None, 4.0]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("disk.read", "needs the label device, as in disk.read{device=…}"),
        ("disk.read{mount=/}", "needs the label device"),
        ("cpu.total{core=1}", "cpu.total has no label"),
        ("cpu.nothing", "no such series: 'cpu.nothing'"),
    ],
)
def test_an_invalid_series_is_refused_with_the_reason(asked: str, told: str) -> None:
    with pytest.raises(BadRequest) as refused:
        make_window([asked], AT, AT + 5, 5, [])
    assert told in refused.value.message


def test_buckets_are_aligned_to_the_wall_clock() -> None:
    made = make_window(["cpu.total"], AT + 7, AT + 607, 11, [])
    assert made.step_s == 60
    assert all(time % 60 == 0 for time in made.times)
    assert made.times[0] <= AT + 7 < AT + 607 <= made.times[-1] + 60


def test_samples_outside_the_range_do_not_count() -> None:
    made = make_window(["cpu.total"], AT + 5, AT + 16, 2, [(PULSE, rows((4.999, 900, 1), (5, 100, 1), (15.999, 300, 1), (16, 900, 1)))])
    assert made.step_s == 10
    assert made.series["cpu.total"].max == [1.0, 3.0]


def test_the_step_is_not_finer_than_the_interval_of_the_series() -> None:
    assert WindowBuilder(["temperature{sensor=cpu}"], AT, AT + 3600, 3600).step_s == 60
    assert WindowBuilder(["temperature{sensor=cpu}", "cpu.total"], AT, AT + 3600, 3600).step_s == 1
    assert WindowBuilder(["temperature{sensor=cpu}", "cpu.total"], AT, AT + 1, 1).families == ("breathe", "pulse")


@given(start=st.floats(0, 4e9), length=st.floats(0.5, 4e9), points=st.integers(2, MOST_POINTS))
def test_the_step_is_the_narrowest_that_fits(start: float, length: float, points: int) -> None:
    end = start + length
    step = choose_step(start, end, points)
    assert math.ceil(end / step) - math.floor(start / step) <= points
    finer = [other for other in STEPS_S if other < step]
    if finer:
        assert math.ceil(end / finer[-1]) - math.floor(start / finer[-1]) > points


@pytest.mark.parametrize(
    ("series", "start", "end", "points"),
    [
        (["cpu.total"], AT, AT, 10),
        (["cpu.total"], AT + 1, AT, 10),
        (["cpu.total"], -5, AT, 10),
        (["cpu.total"], math.nan, AT, 10),
        (["cpu.total"], AT, math.inf, 10),
        (["cpu.total"], AT * 1000, AT * 1000 + 5, 10),
        (["cpu.total"], AT, AT + 10, 0),
        (["cpu.total"], AT, AT + 10, MOST_POINTS + 1),
        ([], AT, AT + 10, 10),
        (["cpu.nothing"], AT, AT + 10, 10),
        (["disk.read"], AT, AT + 10, 10),
        (["cpu.total{core=1}"], AT, AT + 10, 10),
        ([f"cpu.core{{core={at}}}" for at in range(300)], AT, AT + 10, 10),
    ],
)
def test_an_invalid_request_is_refused(series: list[str], start: float, end: float, points: int) -> None:
    with pytest.raises(BadRequest):
        WindowBuilder(series, start, end, points)


SAMPLES = st.lists(st.tuples(st.integers(0, 120_000), st.none() | st.integers(-1000, 1000)), max_size=60)


@given(samples=SAMPLES, points=st.integers(1, 150), cut=st.integers(0, 60))
def test_any_order_and_slicing_gives_the_same_buckets(samples: list[tuple[int, int | None]], points: int, cut: int) -> None:
    layout = SeriesSchema(b"1" * 8, "pulse", 1, ("cpu.total",))
    taken = [StoredRow(AT * 1000 + at, [value]) for at, value in samples]
    made = make_window(["cpu.total"], AT, AT + 100, points, [(layout, taken[:cut]), (layout, taken[cut:])])
    for at, time in enumerate(made.times):
        found = [
            value / 100
            for moment, value in ((row.taken_at_ms, row.values[0]) for row in taken)
            if value is not None and time * 1000 <= moment < (time + made.step_s) * 1000 and moment < (AT + 100) * 1000
        ]
        buckets = made.series["cpu.total"]
        if not found:
            assert (buckets.avg[at], buckets.min[at], buckets.max[at]) == (None, None, None)
        else:
            assert buckets.avg[at] == pytest.approx(sum(found) / len(found))
            assert (buckets.min[at], buckets.max[at]) == (min(found), max(found))


def packed(made: list[StoredRow]) -> bytes:
    body: bytes = msgpack.packb([msgpack.packb([row.taken_at_ms, list(row.values)]) for row in made])
    return body


@given(
    made=st.lists(st.builds(StoredRow, st.integers(0, 1 << 53), st.lists(st.none() | st.integers(-(1 << 63), (1 << 63) - 1), max_size=20)))
)
def test_a_pack_decodes_plain_and_compressed(made: list[StoredRow]) -> None:
    assert unpack(0, packed(made)) == made
    assert unpack(1, zlib.compress(packed(made))) == made


@given(body=st.binary(max_size=200), coding=st.integers(-1, 3))
def test_arbitrary_bytes_raise_only_valueerror(body: bytes, coding: int) -> None:
    with contextlib.suppress(ValueError):
        unpack(coding, body)


@pytest.mark.parametrize("body", [zlib.compress(bytes(MAX_FRAME_BYTES + 1)), zlib.compress(packed([StoredRow(1, [1])]))[:-3], b""])
def test_a_truncated_or_endlessly_inflating_pack_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="pack"):
        unpack(1, body)
