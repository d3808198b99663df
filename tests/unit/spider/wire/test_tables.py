"""The catalogue of tables, and which tables are refused before their rows are parsed."""

from __future__ import annotations

import string
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.agents import codec as hub_codec
from spider.wire.codec import INT_MAX, NODE_CODEC
from spider.wire.errors import ProtocolError
from spider.wire.frames import MAX_ITEMS, Message
from spider.wire.metrics import INTERVAL_S
from spider.wire.report_messages import MAX_TABLE_BYTES, Cell, Table
from spider.wire.table_rows import MAX_COLUMNS, check, fill, rows_of, thin
from spider.wire.tables import BY_NAME, FAILED, QUICKEST_S, SCALED, SUBJECTS, TEXT, Subject
from tests.support import message_strategies

USERS = BY_NAME["users"]
COLUMNS = [column.name for column in USERS.columns]
ROW: list[Cell] = ["root", "tty1", "", 1_800_000_000_000]
TABLE = Table("users", 1_800_000_000_000, 1, COLUMNS, ROW)


def over_the_wire(table: Table) -> Message | None:
    return hub_codec.decode(NODE_CODEC.encode(table))


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_subject_fits_into_its_limits_and_says_where_it_is_read(subject: Subject) -> None:
    names = [column.name for column in subject.columns]
    assert len(set(names)) == len(names) <= MAX_COLUMNS
    assert subject.key
    assert set(subject.key) <= set(names)
    assert len(names) * subject.max_rows <= MAX_ITEMS
    assert "Source:" in subject.about
    assert QUICKEST_S <= subject.watched_s <= subject.interval_s <= 300
    assert subject.name not in INTERVAL_S  # both are families of Watch
    assert not {column.name for column in subject.columns if column.volatile or column.kept} & set(subject.key)
    for column in subject.columns:
        assert set(column.name) <= set(string.ascii_lowercase + "_")
        assert (column.scale > 1) == (column.kind == SCALED)
        assert not (column.kind == TEXT and column.unit)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    subject = draw(st.sampled_from(SUBJECTS))
    rows = draw(st.integers(0, 4))
    cells: list[Cell] = []
    for _ in range(rows):
        for column in subject.columns:
            cell: Any = draw(st.none() | (message_strategies.texts if column.kind == TEXT else message_strategies.ints))
            cells.append(cell[: column.most] if isinstance(cell, str) else cell)
    return Table(subject.name, draw(st.integers(0, 1 << 40)), draw(st.integers(rows, 5000)), [c.name for c in subject.columns], cells)


@given(tables())
def test_a_right_table_passes_both_codecs_and_the_catalogue(table: Table) -> None:
    assert over_the_wire(table) == table
    assert check(table) is BY_NAME[table.subject]


@pytest.mark.holds("S-26")
@pytest.mark.parametrize(
    "wrong",
    [
        TABLE._replace(columns=[]),
        TABLE._replace(columns=[], cells=[]),
        TABLE._replace(columns=["user", "user", "from", "since"]),
        TABLE._replace(cells=ROW[:-1]),
        TABLE._replace(cells=ROW * 2),
        TABLE._replace(total=0),
        TABLE._replace(total=FAILED),
        TABLE._replace(total=-2, cells=[]),
        TABLE._replace(total=1 << 40),
        TABLE._replace(taken_at_ms=-1),
        TABLE._replace(taken_at_ms=INT_MAX),
        TABLE._replace(cells=[1, *ROW[1:]]),
        TABLE._replace(cells=[*ROW[:-1], "now"]),
        TABLE._replace(cells=["x" * 65, *ROW[1:]]),
        TABLE._replace(total=101, cells=ROW * 101),
        TABLE._replace(columns=["a", "b", "c", "d"]),
        TABLE._replace(columns=["user", "terminal", "x" * 65, "since"]),
        TABLE._replace(columns=[*COLUMNS, "news"], cells=[*ROW, "x" * MAX_TABLE_BYTES]),
        TABLE._replace(subject=""),
        TABLE._replace(subject="x" * 65),
        Table("unknown", 0, 0, [f"c{number}" for number in range(MAX_COLUMNS + 1)], []),
    ],
)
def test_a_wrong_table_is_refused(wrong: Table) -> None:
    with pytest.raises(ProtocolError):
        check(wrong)


def test_failed_and_empty_are_two_answers() -> None:
    assert check(TABLE._replace(total=FAILED, cells=[])) is USERS
    assert check(TABLE._replace(total=0, cells=[])) is USERS


def test_subjects_and_columns_of_a_newer_peer_are_passed_over() -> None:
    assert check(Table("quanta", 0, 1, ["spin"], [1])) is None
    assert check(TABLE._replace(columns=[*COLUMNS, "mood"], cells=[*ROW, 7])) is USERS
    assert check(TABLE._replace(columns=["user", "terminal", "since"], cells=["root", None, 5])) is USERS


@pytest.mark.parametrize("cell", [True, 1.0, 0.5, b"x", [], ["x"], {}, INT_MAX + 1, (1 << 64) - 1])
def test_a_cell_is_a_text_an_integer_or_nothing(cell: object) -> None:
    payload = msgpack.packb([14, ["users", 1, 1, ["user"], [cell]]])
    with pytest.raises(ProtocolError):
        hub_codec.decode(payload)


PROCESSES = BY_NAME["processes"]


def process(pid: int, started_at: int, command: str | None) -> list[Cell]:
    return [pid, started_at, "p", "root", "running", 1, 0, 0, None, None, command]


def top(*rows: list[Cell]) -> Table:
    return Table("processes", 0, len(rows), [column.name for column in PROCESSES.columns], [cell for row in rows for cell in row])


def test_unchanged_command_lines_are_sent_once_and_filled_in_from_the_last_table() -> None:
    first = top(process(1, 10, "init"), process(2, 20, ""), process(3, 30, None))
    second = top(process(2, 20, ""), process(1, 11, "other"), process(1, 10, "init"), process(4, 40, "new"))
    assert thin(first, None) == fill(first, None) == first
    sent = thin(second, first)
    assert [row[-1] for row in rows_of(sent)] == [None, "other", None, "new"]
    assert fill(sent, first) == second


lists = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 2), st.none() | message_strategies.texts), max_size=6, unique_by=lambda row: row[:2]
)


@given(st.lists(lists, min_size=1, max_size=5))
def test_over_random_changes_the_hub_has_the_nodes_table(steps: list[list[tuple[int, int, str | None]]]) -> None:
    had: Table | None = None
    hub: Table | None = None
    for step in steps:
        now = top(*(process(*row) for row in step))
        arrived = fill(thin(now, had), hub)
        known = {row[:2]: row[-1] for row in (rows_of(hub) if hub else [])}
        for mine, theirs in zip(rows_of(now), rows_of(arrived), strict=True):
            assert theirs[-1] == (mine[-1] if mine[-1] is not None else known.get(mine[:2]))
        had, hub = now, arrived
