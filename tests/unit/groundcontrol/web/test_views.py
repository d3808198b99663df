"""What a list shows of a node."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.web import schema
from groundcontrol.web.views import summary
from spider.wire.metrics import CATALOGUE, series_name

FULL = {
    "cpu.total": (10.0, 5.0), "cpu.user": (9.0, 5.0), "load.1": (0.5, 5.0), "memory.total": (100.0, 5.0), "memory.used": (50.0, 5.0),
    "network.received{interface=lo}": (1000.0, 5.0), "network.received{interface=eth0}": (1.0, 5.0), "network.received{interface=eth1}": (2.0, 6.0),
    "disk.read{device=sda}": (3.0, 5.0), "disk.read{device=sdb}": (None, 5.0), "disk.busy{device=sda}": (5.0, 5.0), "disk.busy{device=sdb}": (50.0, 5.0),
    "filesystem.size{mount=/}": (100.0, 4.0), "filesystem.used{mount=/}": (50.0, 4.0),
    "filesystem.size{mount=/var}": (10.0, 4.0), "filesystem.used{mount=/var}": (9.0, 4.0),
    "filesystem.size{mount=/proc}": (0.0, 4.0), "filesystem.used{mount=/proc}": (0.0, 4.0),
    "temperature{sensor=cpu}": (60.0, 3.0), "temperature{sensor=nvme}": (70.0, 3.0), "temperature{sensor=broken}": (None, 3.0),
}  # fmt: skip


def test_a_summary_holds_sums_the_fullest_and_the_hottest() -> None:
    shown = {name: (sample.value, sample.at) for name, sample in summary(FULL).items()}

    assert shown == {
        "cpu.total": (10.0, 5.0),
        "load.1": (0.5, 5.0),
        "memory.total": (100.0, 5.0),
        "memory.used": (50.0, 5.0),
        "network.received": (3.0, 6.0),
        "disk.read": (3.0, 5.0),
        "disk.busy{device=sdb}": (50.0, 5.0),
        "filesystem.size{mount=/var}": (10.0, 4.0),
        "filesystem.used{mount=/var}": (9.0, 4.0),
        "temperature{sensor=nvme}": (70.0, 3.0),
    }


def test_what_could_not_be_measured_is_null_and_never_zero() -> None:
    shown = summary({"disk.read{device=sda}": (None, 5.0), "temperature{sensor=a}": (None, 5.0), "cpu.total": (None, 5.0)})

    assert {name: sample.value for name, sample in shown.items()} == {"disk.read": None, "temperature{sensor=a}": None, "cpu.total": None}


def test_nothing_known_is_nothing_shown() -> None:
    assert summary({}) == {}


_SERIES = st.sampled_from(
    [series_name(metric.name, *((metric.labels[0], value) if metric.labels else ())) for metric in CATALOGUE for value in ("a", "b", "/")]
)


@given(st.dictionaries(_SERIES, st.tuples(st.none() | st.floats(0, 1e15), st.floats(0, 2e9))))
def test_a_summary_is_small_whatever_a_node_measures(latest: dict[str, tuple[float | None, float]]) -> None:
    shown = summary(latest)

    bound = len(schema.SUMMARY_SERIES) + len(schema.SUMMARY_SUMS) + len(schema.SUMMARY_FULLEST) + len(schema.SUMMARY_HIGHEST)
    assert len(shown) <= bound
    assert all(name in latest or name in schema.SUMMARY_SUMS for name in shown)
