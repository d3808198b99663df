"""Validation of messages from nodes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.agents.reported_events import read_events
from groundcontrol.agents.validation import (
    SANE_FROM_S,
    check_gap,
    check_late,
    check_pack,
    is_ahead,
    read_identity,
    read_log_lines,
    read_updates,
    scaled,
    schema_id_of,
    validate_schema,
)
from groundcontrol.core.ids import NodeId
from groundcontrol.nodes.model import Node, units_state
from groundcontrol.samples.backfill import PreviousSend
from spider.sampling import sampler
from spider.wire.codec import pack_rows
from spider.wire.errors import ProtocolError
from spider.wire.report_messages import Events, LogLines, Updates
from spider.wire.sample_messages import STREAM_LIVE, Gap, Late, Layout, Pack, Row
from tests.support.agent import IDENTITY, layout_of, pack_of


@given(
    st.lists(
        st.sampled_from(["cpu.total", "load.1", "memory.used", "disk.read{device=sda}", "disk.read{device=ü b}"]), unique=True, min_size=1
    )
)
def test_hub_and_node_compute_equal_layout_ids(series: list[str]) -> None:
    made = sampler.layout_of("pulse", 1, series)
    assert schema_id_of("pulse", series) == made.layout
    assert validate_schema(made).row.series == tuple(series)


def test_a_layout_under_anothers_name_is_refused() -> None:
    with pytest.raises(ProtocolError):
        validate_schema(layout_of()._replace(series=["cpu.total"]))


@given(
    st.builds(
        Layout,
        st.binary(max_size=10),
        st.sampled_from(["pulse", "breathe", "", "x"]),
        st.integers(-2, 5000),
        st.lists(st.text(max_size=40) | st.sampled_from(["cpu.total", "cpu.core{core=1}", "temperature{sensor=x}"]), max_size=5),
    )
)
def test_arbitrary_layouts_raise_only_protocolerror(message: Layout) -> None:
    try:
        known = validate_schema(message)
    except ProtocolError:
        return
    assert len(known.scales) == len(known.row.series) > 0


def test_rows_give_values_in_the_units_of_the_catalogue() -> None:
    layout = validate_schema(layout_of(series=["cpu.total", "memory.used", "load.1"]))
    assert scaled(layout, Row(0, [1234, 5, None])) == {"cpu.total": 12.34, "memory.used": 5.0, "load.1": None}


def test_a_clock_set_back_between_two_rows_is_accepted() -> None:
    layout = validate_schema(layout_of(series=["cpu.total"]))
    coding, body = pack_rows([Row(5000, [1]), Row(1000, [2])])
    rows = check_pack(Pack(STREAM_LIVE, 0, layout.row.schema_id, coding, body), layout)
    assert [row.taken_at_ms for row in rows] == [5000, 1000]


@given(st.binary(max_size=200), st.integers(-1, 3))
def test_arbitrary_bodies_raise_only_protocolerror(body: bytes, coding: int) -> None:
    layout = validate_schema(layout_of(series=["cpu.total"]))
    try:
        rows = check_pack(Pack(STREAM_LIVE, 0, layout.row.schema_id, coding, body), layout)
    except ProtocolError:
        return
    assert all(len(row.values) == 1 for row in rows)


def test_an_unknown_policy_or_reboot_state_becomes_the_cautious_one() -> None:
    _, version, policy, reboot = read_identity(IDENTITY._replace(policy_mode="whatever", reboot_required="maybe", agent_version="1\x1b[0m"))
    assert (version, policy.mode, reboot) == ("1[0m", "invalid", "unknown")


def test_an_end_of_support_is_a_day_or_unknown() -> None:
    told = {"2027-05-12": "2027-05-12", "": "", "2027-02-30": "", "soon": "", "20270512": "", "2027-W19-3": ""}
    assert {text: read_identity(IDENTITY._replace(support_end=text))[0].support_end for text in told} == told


def test_the_edition_of_its_unit_files_is_compared_with_this_release_s() -> None:
    assert read_identity(IDENTITY)[0].units == 0
    assert read_identity(IDENTITY._replace(units=3))[0].units == 3
    with pytest.raises(ProtocolError):
        read_identity(IDENTITY._replace(units=-1))
    assert [units_state(told, 2) for told in (0, 1, 2, 3)] == ["unknown", "older", "current", "current"]


def test_unknown_updates_are_none_and_not_zero() -> None:
    assert read_updates(Updates(-1, -1, 0)) == (None, None, None)
    assert read_updates(Updates(0, 0, 1000)) == (0, 0, 1.0)
    with pytest.raises(ProtocolError):
        read_updates(Updates(-2, 0, 0))


LINES = LogLines("c1", "c2", 0, [1_790_000_000_000], [4], ["sshd.service"], ["Failed password"])


def test_log_lines_are_sanitized_and_the_last_counts_the_omitted_ones() -> None:
    evil = LINES._replace(left_out=7, texts=["\x1b]0;title\x07 \u202eevil\n" + "x" * 5000], sources=["a\nb"])
    batch = read_log_lines(evil, 1.0)
    assert (batch.after, batch.cursor) == ("c1", "c2")
    assert batch.lines[0].text.startswith("\\x1b]0;title\\x07 \\u202eevil⏎xxx")
    assert len(batch.lines[0].text) == 2000
    assert (batch.lines[0].source, batch.lines[0].left_out) == ("ab", 7)
    alone = read_log_lines(LogLines("c1", "c2", 7, [], [], [], []), 5.0)
    assert [(line.at_ms, line.left_out) for line in alone.lines] == [(5000, 7)]
    assert read_log_lines(LogLines("", "", 0, [], [], [], []), 5.0).lines == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"texts": []}, {"priorities": [4, 4]}, {"priorities": [8]}, {"priorities": [-1]}, {"at_ms": [-1]}, {"at_ms": [1 << 50]}, {"left_out": -1},
        {"cursor": "c" * 513}, {"after": "c\n"}, {"after": "é"}, {"at_ms": [1] * 201, "priorities": [4] * 201, "sources": [""] * 201, "texts": [""] * 201},
    ],
)  # fmt: skip
def test_invalid_log_lines_end_the_session(wrong: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        read_log_lines(LINES._replace(**wrong), 1.0)  # type: ignore[arg-type]


GAP = Gap(0, b"j" * 16, 3, 0, 0, 0, "pulse", 1000, 2000, 2)


def test_a_gap_has_its_row_count_and_its_original_sequence() -> None:
    assert check_gap(GAP) is None
    assert check_gap(GAP._replace(rows=0)) is None, "nobody can say how many"
    assert check_gap(GAP._replace(sent_epoch=4, sent_stream=1, sent_seq=9)) == PreviousSend(4, 1, 9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"journal": b"j"}, {"number": -1}, {"seq": -1}, {"family": "nothing"}, {"first_ms": -1}, {"first_ms": 3000}, {"last_ms": 1 << 60}, {"rows": -1},
        {"rows": 1 << 41}, {"sent_epoch": -1}, {"sent_epoch": 1, "sent_seq": -1}, {"sent_epoch": 1, "sent_stream": 2},
    ],
)  # fmt: skip
def test_an_impossible_gap_ends_the_session(wrong: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        check_gap(GAP._replace(**wrong))  # type: ignore[arg-type]


def test_a_late_pack_is_validated_against_its_layout() -> None:
    layout = validate_schema(layout_of())
    made = pack_of(0)
    right = Late(0, b"j" * 16, 0, 2, 0, 5, made.layout, made.coding, made.body)
    rows, sent = check_late(right, layout)
    assert (len(rows), sent) == (1, PreviousSend(2, 0, 5))
    for wrong in (right._replace(journal=b""), right._replace(number=-1), right._replace(body=b"x"), right._replace(sent_stream=7)):
        with pytest.raises(ProtocolError):
            check_late(wrong, layout)
    with pytest.raises(ProtocolError):
        check_late(right, None)


def test_a_row_is_ahead_if_dated_over_a_day_after_a_trusted_clock() -> None:
    now = SANE_FROM_S + 86_400
    assert not is_ahead(int((now + 86_000) * 1000), now)
    assert is_ahead(int((now + 87_000) * 1000), now)
    assert not is_ahead(int(now * 1000), 0.0)


def reported(**given: object) -> Events:
    one = {"ids": "e1", "types": "backup_failed", "at_ms": 1_790_000_000_000, "messages": "no room", "details": ""} | given
    return Events(**{name: [value] for name, value in one.items()})  # type: ignore[arg-type]  # wrong values, too


def test_an_event_of_a_node_has_its_true_time_and_clean_texts() -> None:
    node = cast("Node", SimpleNamespace(id=NodeId("n1"), name="web-1", org=1))
    now = 1_790_000_000.0
    [event] = read_events(reported(messages="no\x1b room", details='{"path": "/mnt"}'), node, 60.0, now)
    assert (event.at, event.message, event.details, event.source) == (now - 60, "no room", {"path": "/mnt"}, "agent")
    [event] = read_events(reported(at_ms=1_990_000_000_000), node, 0.0, now)
    assert event.at == now + 5
    [event] = read_events(reported(), node, 9e15, now)
    assert event.at == 0.0, "a node that claims an absurd clock gets no event before 1970"
    [event] = read_events(reported(types="unit_failed", messages="forged", details='{"unit": "a.service", "more": 1}'), node, 0.0, now)
    assert (event.message, event.details, event.object) == ("a.service failed on web-1", {"unit": "a.service"}, "a.service")
    for kind in ("node_offline", "of_tomorrow", "custom"):
        assert read_events(reported(types=kind), node, 0.0, now) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"ids": "a b"}, {"at_ms": -1}, {"messages": "x" * 501}, {"details": "[]"}, {"details": "{"}, {"details": '{"a": []}'},
        {"details": '{"A": 1}'}, {"details": '{"a": 99999999999999999999}'}, {"details": '{"a": "%s"}' % ("x" * 201)},
    ],
)  # fmt: skip
def test_an_event_beyond_its_limits_ends_the_session(wrong: dict[str, object]) -> None:
    node = cast("Node", SimpleNamespace(id=NodeId("n1"), name="web-1", org=1))
    with pytest.raises(ProtocolError):
        read_events(reported(**wrong), node, 0.0, 1_790_000_000.0)
    with pytest.raises(ProtocolError):
        read_events(Events(["a"], [], [], [], []), node, 0.0, 1.0)
