"""Gates: what a node shows against what it showed before, and metrics against their past and peers."""

from __future__ import annotations

import random

import pytest

from groundcontrol.rollouts.gates import Look, Run, hard_gates, not_available, over_looks, steady
from groundcontrol.rollouts.model import HARD_GATES, Gate
from groundcontrol.rollouts.soft import Past, blamed, history, is_above, leak_gate, rise, soft_gate
from tests.support.some import some

BEFORE = Look(
    100.0, "boot", ("old.service",), (), ("shop.service", "nginx.service"), {}, ("tcp 80 nginx.service", "tcp 443 nginx.service"), ("/", "/data"),
    {"/": 60.0, "/full": 97.0}, (), (), 0.0, 0.1, {"http": "ok"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("after", "gate", "blamed", "words"),
    [
        ({"failed_units": ("old.service", "shop.service")}, "unit_failed", "shop.service", "shop.service failed"),
        ({"running_units": ("nginx.service",)}, "unit_gone", "shop.service", "ran before and does not run now"),
        ({"restarts": {"shop.service": 4}}, "unit_restarts", "shop.service", "restarted 4 times, limit 3"),
        (
            {"ports": ("tcp 80 nginx.service",)},
            "port_gone",
            "tcp 443 nginx.service",
            "nothing listens on tcp 443 any more (it was nginx.service)",
        ),
        ({"mounts": ("/",)}, "mount_gone", "/data", "was mounted before"),
        ({"full_percent": {"/": 96.0, "/full": 98.0}}, "filesystem", "/", "96 % full, limit 95 %; it was 60 %"),
        ({"broken_packages": ("shop",)}, "package_db", "shop", "the package shop is broken"),
        ({"boot": "other"}, "boot_unordered", "", "not by this roll-out"),
        ({"read_only": ("/data",)}, "filesystem", "/data", "became read-only"),
        ({"oom_kills": 2.0}, "oom_kill", "", "killed 2 processes"),
        ({"clock_s": 9.1}, "clock", "", "moved by 9.0 s, limit 2 s"),
        ({"probes": {"http": "503"}}, "probe", "http", "the probe http fails: 503"),
    ],
)
def test_each_hard_gate_names_what_is_to_blame(after: dict[str, object], gate: str, blamed: str, words: str) -> None:
    failed = [one for one in hard_gates(BEFORE, BEFORE._replace(at=200.0, **after)) if one.verdict == "failed"]  # type: ignore[arg-type]
    assert [(one.gate, one.object) for one in failed] == [(gate, blamed)]
    assert words in failed[0].words


def test_nothing_counts_that_was_so_before_or_that_a_node_cannot_have() -> None:
    assert [one for one in hard_gates(BEFORE, BEFORE._replace(at=200.0)) if one.verdict == "failed"] == []
    blind = Look(200.0, "boot")
    assert hard_gates(BEFORE, blind) == []
    assert hard_gates(Look(100.0, "boot"), BEFORE._replace(failed_units=())) == [
        one for one in hard_gates(Look(100.0, "boot"), BEFORE) if one.gate == "filesystem"
    ]
    fleeting = BEFORE._replace(
        running_units=("shop.service", "nginx.service", "user@0.service", "stardust-launcher@1-2-3.service", "x@0-330-999.service")
    )
    assert [one for one in hard_gates(fleeting, BEFORE) if one.verdict == "failed"] == []


def test_a_gate_is_not_available_where_what_it_compares_is_not_known() -> None:
    def names(before: Look, now: Look) -> set[str]:
        return {one.gate for one in not_available(before, now) if (one.verdict, one.object) == ("not_available", "")}

    assert names(BEFORE, BEFORE) == set()
    no_units = BEFORE._replace(failed_units=None, restarting_units=None, running_units=None, restarts=None, absent=("units",))
    assert names(no_units, no_units) == names(no_units, BEFORE) == names(BEFORE, no_units) == {"unit_failed", "unit_restarts", "unit_gone"}
    assert names(BEFORE, BEFORE._replace(clock_s=None)) == {"clock"}, "the hub's own clock was set"
    assert names(Look(0.0), BEFORE) == names(Look(0.0), Look(0.0)) - {"filesystem", "package_db"}, "these two judge what is there now"
    judged_by_the_session = {"job_outcome", "node_away", "reboot_overdue", "boot_unordered", "probe"}
    assert names(Look(0.0), Look(0.0)) == HARD_GATES - judged_by_the_session


def test_a_baseline_leaves_out_what_flaps() -> None:
    second = BEFORE._replace(
        at=110.0, running_units=("shop.service", "cron-run.service"), ports=("tcp 80 nginx.service",), failed_units=("x.service",)
    )
    found = steady([BEFORE, second])
    assert (found.running_units, found.ports) == (("shop.service",), ("tcp 80 nginx.service",))
    assert found.failed_units == ("old.service", "x.service")


def runs(*parts: tuple[int, Look]) -> list[Run]:
    """Runs of looks that are five seconds apart."""
    found, at = list[Run](), 200.0
    for count, look in parts:
        found.append(Run(look._replace(at=at), count, at + 5.0 * (count - 1)))
        at += 5.0 * count
    return found


def told(gates: list[Gate]) -> list[tuple[str, str, str]]:
    return [(one.gate, one.object, one.verdict) for one in gates if one.verdict != "already"]


BROKEN = BEFORE._replace(failed_units=("old.service", "shop.service"))
DEAF = BEFORE._replace(ports=("tcp 80 nginx.service",))


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([(12, BEFORE)], []),
        ([(3, BEFORE), (1, BROKEN)], [("unit_failed", "shop.service", "unknown")]),
        ([(3, BEFORE), (1, BROKEN), (3, BEFORE)], []),
        ([(3, BEFORE), (2, BROKEN)], [("unit_failed", "shop.service", "failed")]),
        ([(1, BROKEN), (1, BROKEN._replace(ports=())), (9, BEFORE)], [("unit_failed", "shop.service", "failed")]),
        ([(2, DEAF)], [("port_gone", "tcp 443 nginx.service", "unknown")]),
        ([(3, DEAF)], [("port_gone", "tcp 443 nginx.service", "failed")]),
    ],
    ids=["good", "seen once", "seen once and over", "twice", "in the hub's absence", "a port in two", "a port in three"],
)
def test_a_fault_counts_after_enough_looks_in_a_row_also_when_they_come_late(
    looks: list[tuple[int, Look]], expected: list[tuple[str, str, str]]
) -> None:
    assert [one for one in told(over_looks(BEFORE, runs(*looks))) if one[0] != "port_gone" or "port" in str(expected)] == expected


def test_a_slow_loop_of_restarts_counts_though_nothing_ever_fails() -> None:
    waiting = BEFORE._replace(restarting_units=("shop.service",), running_units=("nginx.service",))
    once = over_looks(BEFORE, runs((5, BEFORE), (1, waiting), (4, BEFORE)))
    assert told(once) == []
    loop = over_looks(BEFORE, runs((3, BEFORE), (1, waiting), (1, BEFORE), (1, waiting), (1, BEFORE), (1, waiting)))
    assert told(loop) == [("unit_restarts", "shop.service", "failed")]
    assert "3 of 6 looks" in loop[-1].words
    assert told(over_looks(waiting, runs((6, waiting)))) == [], "it was so before"


def test_a_file_system_that_fills_counts_before_it_is_full_and_one_that_grew_once_does_not() -> None:
    def at(percent: float) -> Look:
        return BEFORE._replace(full_percent={"/": percent})

    filling = over_looks(at(60), runs(*((3, at(60 + 2 * number)) for number in range(12))))
    assert told(filling) == [("filesystem", "/", "failed")]
    assert "full in" in filling[-1].words
    assert told(over_looks(at(60), runs((6, at(60)), (30, at(66))))) == []


def noisy(base: float, count: int, seed: int = 1) -> list[float | None]:
    some = random.Random(seed)
    return [base + some.uniform(-1, 1) for _ in range(count)]


def test_a_rise_above_the_past_is_explained_by_peers_that_rise_too() -> None:
    own = Past(noisy(35, 18), noisy(10, 360))
    quiet = [Past(noisy(10, 18, seed), noisy(10, 360, seed)) for seed in range(3)]
    surge = [Past(noisy(34, 18, seed), noisy(10, 360, seed)) for seed in range(3)]
    found = some(rise(own, quiet))
    assert found[0] == pytest.approx(25, abs=2)
    assert found[1] is True
    assert soft_gate("cpu", own, surge, None, 1000.0) is None
    first = some(soft_gate("cpu", own, quiet, None, 1000.0))
    assert first.verdict == "already", "it has not lasted four minutes"
    later = some(soft_gate("cpu", own, quiet, 1000.0, 1240.0, "shop.service"))
    assert (later.verdict, later.limit) == ("worse", 10.0)
    assert "shop.service" in later.words
    alone = some(soft_gate("cpu", own, [], 1000.0, 1240.0))
    assert alone.verdict == "already", "without peers it must last five minutes"


def test_too_few_samples_are_unknown_and_never_clear() -> None:
    holes: list[float | None] = [None] * 10 + [10.0] * 8
    found = some(soft_gate("cpu", Past(holes, noisy(10, 360)), [], None, 1000.0))
    assert found.verdict == "unknown"


def test_a_leak_is_observed_and_a_cache_that_fills_again_is_none() -> None:
    rising: list[float | None] = [50 + index * 0.35 for index in range(36)]  # 2 % of the memory a minute
    found = some(leak_gate(rising, noisy(48, 360), 1000.0))
    assert found.verdict == "already"
    refilled: list[float | None] = [30 + index * 0.35 for index in range(36)]
    assert leak_gate(refilled, noisy(48, 360), 1000.0) is None


def test_the_gate_of_disks_is_not_available_where_no_disk_is_measured_and_missing_samples_hold_where_one_was() -> None:
    nothing: list[float | None] = [None] * 18
    absent = some(soft_gate("disk", Past(nothing, [None] * 360), [], None, 1000.0))
    assert (absent.verdict, absent.words) == ("not_available", "the busiest disk is not measured here")
    lost = some(soft_gate("disk", Past(nothing, noisy(10, 360)), [], None, 1000.0))
    assert lost.verdict == "unknown"
    busy = some(soft_gate("disk", Past(noisy(60, 18), noisy(10, 360)), [], 500.0, 1000.0))
    assert (busy.verdict, busy.limit) == ("worse", 15.0)
    assert "the busiest disk is" in busy.words


@pytest.mark.parametrize(
    ("points", "has_s", "enough", "grows"),
    [
        ([None] * 360, 0, False, True),
        ([None] * 336 + noisy(10, 24), 240, False, True),
        ([None] * 60 + noisy(10, 300), 3000, True, True),
        ([10.0, None] * 180, 1800, False, False),
        ([], 0, False, True),
    ],
    ids=["new", "four minutes old", "old enough", "with holes", "nothing is stored"],
)
def test_a_young_node_has_too_short_a_past_and_it_is_known_when_it_has_enough(
    points: list[float | None], has_s: float, enough: bool, grows: bool
) -> None:
    found = history(points)
    assert (found.has_s, found.enough, found.grows) == (has_s, enough, grows)
    assert found.need_s == 2880


def test_the_units_to_blame_are_the_three_whose_use_rose_most() -> None:
    rises = {"shop.service": 11.84, "nginx.service": 1.2, "a.service": 2.0, "b.service": 1.1, "quiet.service": 0.4, "less.service": -5.0}
    assert blamed(rises) == "of it 11.8 by shop.service, 2.0 by a.service, 1.2 by nginx.service"
    assert blamed({"quiet.service": 0.4}) == ""


def test_what_has_not_risen_is_clear_whatever_peers_and_yesterday_say() -> None:
    """So they are read only for a rise: reading and judging 500 targets took four times as long with them."""
    dice = random.Random(7)
    for _ in range(300):
        level, step = dice.uniform(0, 60), dice.uniform(-30, 30)
        own = Past([level + step] * 18, [level] * 360, [dice.uniform(0, 90)] * 360)
        peers = [Past([dice.uniform(0, 90)] * 18, [dice.uniform(0, 90)] * 360) for _ in range(3)]
        for others in ([], peers):
            found = some(rise(own, others))
            above = found[0] > 10.0
            assert not above or is_above("cpu", own), "peers never make a rise"
            assert (soft_gate("cpu", own, others, None, 1.0) is not None) == above
