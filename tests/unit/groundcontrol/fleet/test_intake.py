"""What a node may say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.fleet.intake import check_layout, check_pack, clean, layout_id, read_identity, read_updates, scaled
from spider import sampler
from spider.wire.codec import pack_rows
from spider.wire.errors import ProtocolError
from spider.wire.frames import STREAM_LIVE, Layout, Pack, Row, Updates
from tests.support.agent import IDENTITY, layout_of


@given(st.text(max_size=2000))
def test_a_cleaned_text_is_short_and_holds_nothing_that_acts(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) <= 256
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 or 0xD800 <= ord(char) < 0xE000 for char in cleaned)
    assert not set(cleaned) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff\u2028\u2029")
    assert clean(cleaned) == cleaned
    cleaned.encode()


def test_ordinary_text_stays_as_it_is() -> None:
    for text in ("web-1", "Debian GNU/Linux 12 (bookworm)", "Übung 日本語 🚀", "Intel(R) Xeon(R) @ 2.20GHz"):
        assert clean(text) == text


@given(
    st.lists(
        st.sampled_from(["cpu.total", "load.1", "memory.used", "disk.read{device=sda}", "disk.read{device=ü b}"]), unique=True, min_size=1
    )
)
def test_hub_and_node_name_a_layout_alike(series: list[str]) -> None:
    made = sampler.layout_of("pulse", 1, series)
    assert layout_id("pulse", series) == made.layout
    assert check_layout(made).row.series == tuple(series)


def test_a_layout_under_anothers_name_is_refused() -> None:
    with pytest.raises(ProtocolError):
        check_layout(layout_of()._replace(series=["cpu.total"]))


@given(
    st.builds(
        Layout,
        st.binary(max_size=10),
        st.sampled_from(["pulse", "breathe", "", "x"]),
        st.integers(-2, 5000),
        st.lists(st.text(max_size=40) | st.sampled_from(["cpu.total", "cpu.core{core=1}", "temperature{sensor=x}"]), max_size=5),
    )
)
def test_any_layout_is_accepted_or_a_protocol_error(message: Layout) -> None:
    try:
        known = check_layout(message)
    except ProtocolError:
        return
    assert len(known.scales) == len(known.row.series) > 0


def test_rows_give_values_in_the_units_of_the_catalogue() -> None:
    layout = check_layout(layout_of(series=["cpu.total", "memory.used", "load.1"]))
    assert scaled(layout, Row(0, [1234, 5, None])) == {"cpu.total": 12.34, "memory.used": 5.0, "load.1": None}


def test_a_clock_that_was_set_back_between_two_rows_is_no_offence() -> None:
    layout = check_layout(layout_of(series=["cpu.total"]))
    coding, body = pack_rows([Row(5000, [1]), Row(1000, [2])])
    rows = check_pack(Pack(STREAM_LIVE, 0, layout.row.layout, coding, body), layout)
    assert [row.taken_at_ms for row in rows] == [5000, 1000]


@given(st.binary(max_size=200), st.integers(-1, 3))
def test_any_body_is_rows_or_a_protocol_error(body: bytes, coding: int) -> None:
    layout = check_layout(layout_of(series=["cpu.total"]))
    try:
        rows = check_pack(Pack(STREAM_LIVE, 0, layout.row.layout, coding, body), layout)
    except ProtocolError:
        return
    assert all(len(row.values) == 1 for row in rows)


def test_an_unknown_policy_or_reboot_state_is_taken_for_the_careful_one() -> None:
    _, version, policy, reboot = read_identity(IDENTITY._replace(policy_mode="whatever", reboot_required="maybe", agent_version="1\x1b[0m"))
    assert (version, policy.mode, reboot) == ("1[0m", "invalid", "unknown")


def test_updates_that_are_not_known_are_none_and_not_zero() -> None:
    assert read_updates(Updates(-1, -1, 0)) == (None, None, None)
    assert read_updates(Updates(0, 0, 1000)) == (0, 0, 1.0)
    with pytest.raises(ProtocolError):
        read_updates(Updates(-2, 0, 0))
