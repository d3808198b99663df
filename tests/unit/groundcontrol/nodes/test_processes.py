"""The process history: which rows of a table are stored, and the API's response."""

from __future__ import annotations

from groundcontrol.core.tables import SubjectTable, TableCell
from groundcontrol.nodes.processes import AHEAD_S, KEEP_S, TOP, ProcessReading, by_cpu, by_memory, is_kept, top_processes
from tests.support.factories import connect
from tests.support.inprocess_hub import TestHub
from tests.support.some import some

COLUMNS = ("pid", "name", "user", "cpu", "memory", "command")
AT = 1_790_000_007.5


def table(*rows: tuple[TableCell, ...], columns: tuple[str, ...] = COLUMNS) -> SubjectTable:
    return SubjectTable("processes", AT, len(rows), columns, tuple(cell for row in rows for cell in row))


def many() -> SubjectTable:
    """Forty processes: the more CPU the less memory, and one of which nothing is known."""
    rows = [(pid, f"p{pid}", "www", 100 * pid, 4096 * (100 - pid), "p --password x") for pid in range(1, 41)]
    return table(*rows, (99, None, None, None, None, None))


def test_the_ten_highest_by_cpu_and_by_memory_are_stored_without_command_lines() -> None:
    reading = some(top_processes(many()))
    assert [use.name for use in by_cpu(reading)] == [f"p{pid}" for pid in range(40, 40 - TOP, -1)]
    assert [use.name for use in by_memory(reading)] == [f"p{pid}" for pid in range(1, TOP + 1)]
    assert (len(reading.processes), reading.at_ms) == (2 * TOP, 1_790_000_007_500)
    assert "password" not in str(reading)


def test_equal_processes_count_once_each() -> None:
    reading = some(top_processes(table(*[(pid, "php-fpm", "www", 500, 4096, "") for pid in range(3)])))
    assert len(by_cpu(reading)) == len(by_memory(reading)) == 3


def test_a_failed_reading_and_one_without_a_column_are_not_kept() -> None:
    assert top_processes(SubjectTable("processes", AT, -1, COLUMNS, ())) is None
    assert top_processes(table((1, "sh", "root", 1), columns=COLUMNS[:4])) is None


def test_a_reading_of_another_day_is_not_kept() -> None:
    reading = ProcessReading(int(AT * 1000), [])
    assert [is_kept(reading, AT + ahead) for ahead in (-AHEAD_S - 1, -AHEAD_S + 1, 0, KEEP_S - 1, KEEP_S + 1)] == [
        False,
        True,
        True,
        True,
        False,
    ]


async def test_a_time_is_answered_with_the_reading_before_it(hub: TestHub) -> None:
    client = await hub.logged_in("viewer")
    session = await connect(hub.store, (await hub.node()).id)
    path = f"nodes/{session.node}/processes"
    assert (await client.get(f"{path}?at=1790000008")).json == {"at": 1_790_000_008, "reading": None}
    reading = some(top_processes(table((1, "mariadbd", "mysql", 9125, 1 << 30, ""), (2, "sshd", "root", None, 4096, ""))))
    await hub.store.process_history.save_reading(session, reading)
    database = {"name": "mariadbd", "user": "mysql", "cpu": 91.25, "memory": 1 << 30}
    assert (await client.get(f"{path}?at=1790000008")).json["reading"] == {
        "taken_at": AT,
        "by_cpu": [database],
        "by_memory": [database, {"name": "sshd", "user": "root", "cpu": None, "memory": 4096}],
    }
    assert (await client.get(f"{path}?at=1790000007")).json["reading"] is None
    hub.process_history.add(session, reading._replace(at_ms=reading.at_ms + 60_000))  # not stored yet
    assert [(await client.get(f"{path}?at={at}")).json["reading"]["taken_at"] for at in (1_790_000_008, 1_790_000_068)] == [AT, AT + 60]
    assert [(await client.get(f"{path}?{query}")).status for query in ("at=yesterday", "at=-1", "at=1&at=2", "since=1")] == [400] * 4
