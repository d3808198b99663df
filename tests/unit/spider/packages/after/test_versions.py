"""Versions are ordered as dpkg, rpm and pacman order them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages.after.versions import compare_alpm, compare_deb, compare_rpm

RECORDED = [
    line.split(" ") for line in Path(__file__).with_name("data").joinpath("versions.txt").read_text().splitlines() if line[0] != "#"
]
COMPARERS: list[Callable[[str, str], int]] = [compare_deb, compare_rpm, compare_alpm]
VERSIONS = st.text("0129abz.~^+-:_é\0", max_size=12)


@pytest.mark.parametrize("column", [0, 1, 2], ids=["dpkg", "rpm", "pacman"])
def test_every_recorded_answer_is_given(column: int) -> None:
    told = [(first, second, answers[column]) for first, second, *answers in RECORDED if answers[column] != "?"]
    assert len(told) > 400
    wrong = [(first, second, told) for first, second, told in told if COMPARERS[column](first, second) != int(told)]
    assert wrong == []


@pytest.mark.parametrize("compare", COMPARERS)
@given(first=VERSIONS, second=VERSIONS)
def test_any_text_can_be_compared_and_the_other_way_round_is_the_opposite(
    compare: Callable[[str, str], int], first: str, second: str
) -> None:
    assert compare(first, first) == 0
    assert compare(first, second) == -compare(second, first)


def test_a_number_of_a_million_digits_takes_no_time() -> None:
    for compare in COMPARERS:
        assert compare("1" + "0" * 1_000_000, "2" + "0" * 1_000_000) == -1
