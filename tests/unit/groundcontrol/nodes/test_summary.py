"""The summary of a node in lists."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.nodes.summary import (
    LOOPBACK_SERIES,
    SUMMARY_FULLEST,
    SUMMARY_HIGHEST,
    SUMMARY_SERIES,
    SUMMARY_SUMS,
    Shown,
    SummaryFragment,
    SummaryReader,
    pack_summary,
    write_summary,
)
from spider.wire.metrics import CATALOGUE, parse_series, series_name

Named = dict[str, "int | None"]

FULL: Named = {
    "cpu.total": 1000, "cpu.user": 900, "load.1": 50, "memory.total": 100, "memory.used": 50,
    "network.received{interface=lo}": 1000, "network.received{interface=eth0}": 1, "network.received{interface=eth1}": 2,
    "disk.read{device=sda}": 3, "disk.read{device=sdb}": None, "disk.busy{device=sda}": 500, "disk.busy{device=sdb}": 5000,
    "filesystem.size{mount=/}": 100, "filesystem.used{mount=/}": 50,
    "filesystem.size{mount=/var}": 10, "filesystem.used{mount=/var}": 9,
    "filesystem.size{mount=/proc}": 0, "filesystem.used{mount=/proc}": 0,
    "filesystem.inodes_used{mount=/}": 9900, "filesystem.inodes_used{mount=/var}": 300,
    "temperature{sensor=cpu}": 6000, "temperature{sensor=nvme}": 7000, "temperature{sensor=broken}": None,
}  # fmt: skip


TAKEN_AT = 1_790_000_000.25


def fragment(values: Named) -> SummaryFragment:
    return SummaryReader(list(values), [parse_series(name)[0].scale for name in values]).read(list(values.values()), TAKEN_AT)


def summary(values: Named) -> dict[str, float | None]:
    """By the places of a layout."""
    shown = fragment(values).shown
    assert all(one.at == TAKEN_AT for one in shown.values())
    return {name: one.value for name, one in shown.items()}


def plain(values: Named) -> dict[str, float | None]:
    """The same, written down as it is said: every value named and scaled, then chosen from."""
    latest = {name: None if value is None else value / parse_series(name)[0].scale for name, value in values.items()}

    def of(metric: str) -> list[str]:
        return sorted(name for name in latest if name.startswith(metric + "{"))

    def share(used: str) -> float:
        size, free = (latest.get(used.replace("filesystem.used", f"filesystem.{one}")) for one in ("size", "free"))
        value = latest[used]
        if value is not None and free is not None:
            size = value + free
        return value / size if size and value is not None else -1e300

    found: dict[str, float | None] = {name: latest[name] for name in SUMMARY_SERIES if name in latest}
    for metric in SUMMARY_SUMS:
        parts = [latest[name] for name in of(metric) if name not in LOOPBACK_SERIES]
        measured = [value for value in parts if value is not None]
        if parts:
            found[metric] = sum(measured) if measured else None
    if of("filesystem.used"):
        fullest = max(sorted(of("filesystem.used"), key=lambda name: name != "filesystem.used{mount=/}"), key=share)
        mount = fullest.removeprefix("filesystem.used")
        found |= {metric + mount: latest[metric + mount] for metric in SUMMARY_FULLEST if metric + mount in latest}
    for metric in SUMMARY_HIGHEST:
        if of(metric):
            highest = max(of(metric), key=lambda name: -1e300 if latest[name] is None else latest[name] or 0.0)
            found[highest] = latest[highest]
    return found


def test_a_summary_holds_sums_the_fullest_and_the_hottest() -> None:
    assert summary(FULL) == {
        "cpu.total": 10.0,
        "load.1": 0.5,
        "memory.total": 100.0,
        "memory.used": 50.0,
        "network.received": 3.0,
        "disk.read": 3.0,
        "disk.busy{device=sdb}": 50.0,
        "filesystem.size{mount=/var}": 10.0,
        "filesystem.used{mount=/var}": 9.0,
        "filesystem.inodes_used{mount=/}": 99.0,
        "temperature{sensor=nvme}": 70.0,
    }


def test_a_failed_measurement_is_null_and_never_zero() -> None:
    shown = summary({"disk.read{device=sda}": None, "temperature{sensor=a}": None, "cpu.total": None})

    assert shown == {"disk.read": None, "temperature{sensor=a}": None, "cpu.total": None}


def test_a_mount_that_was_never_measured_is_not_the_fullest() -> None:
    """A dead share stands before `/` by its name; neither it nor a null of it is the disk of a node."""
    dead: Named = {"filesystem.used{mount=/mnt/dead}": None, "filesystem.size{mount=/mnt/dead}": None}
    root: Named = {"filesystem.size{mount=/}": 100, "filesystem.used{mount=/}": 1}

    assert summary({**dead, **root}) == root
    assert summary({**dead, **dict.fromkeys(root)}) == dict.fromkeys(root)


def test_what_only_root_can_fill_counts_as_full() -> None:
    """92 of 100 are used and the rest is kept for root: that mount is full, although another one uses a larger part of its size."""
    full: Named = {"filesystem.size{mount=/}": 100, "filesystem.free{mount=/}": 0, "filesystem.used{mount=/}": 92}
    other: Named = {"filesystem.size{mount=/srv}": 100, "filesystem.free{mount=/srv}": 5, "filesystem.used{mount=/srv}": 95}

    assert summary({**full, **other}) == full


def test_a_node_without_samples_has_an_empty_summary() -> None:
    assert summary({}) == {}


def test_a_mount_without_a_size_is_shown_when_there_is_no_other() -> None:
    assert summary({"filesystem.used{mount=/}": 5}) == {"filesystem.used{mount=/}": 5.0}


_SERIES = [series_name(metric.name, *((metric.labels[0], value) if metric.labels else ())) for metric in CATALOGUE for value in "ab/"]
_SERIES += [*LOOPBACK_SERIES, "filesystem.used{mount=/only-used}"]


@given(st.dictionaries(st.sampled_from(_SERIES), st.none() | st.integers(0, 1 << 50)), st.randoms(use_true_random=False))
def test_the_precomputed_summary_equals_a_plain_selection(values: Named, dice: random.Random) -> None:
    order = list(values)
    dice.shuffle(order)
    shown = summary({name: values[name] for name in order})

    assert shown == plain(values)
    assert len(shown) <= len(SUMMARY_SERIES) + len(SUMMARY_SUMS) + len(SUMMARY_FULLEST) + len(SUMMARY_HIGHEST)


@given(
    st.lists(st.dictionaries(st.text(max_size=40), st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=9), max_size=4)
)
def test_encoded_summaries_equal_the_values_of_all_families(families: list[dict[str, float | None]]) -> None:
    """More entries than today's catalogue can give, too."""
    named = [{f"{at}.{name}": value for name, value in family.items()} for at, family in enumerate(families)]
    fragments = [SummaryFragment({name: Shown(value, TAKEN_AT) for name, value in family.items()}) for family in named]
    wanted = {name: {"value": value, "at": TAKEN_AT} for family in named for name, value in family.items()}

    for _ in range(2):  # kept the first time, sent again the second
        assert msgspec.msgpack.decode(pack_summary(fragments)) == wanted
        assert msgspec.json.decode(write_summary(fragments)) == wanted
