"""Stores late rows: those that a node kept on its disk while the hub was away.

The node writes them as numbered records into a journal, and may send a record again. Each record is stored once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.node_logs import drop_lines
from groundcontrol.adapters.sqlite.process_history import drop_readings
from groundcontrol.nodes.model import Session
from groundcontrol.samples.backfill import GapRow, LatePack, LostRows, PreviousSend
from groundcontrol.samples.model import StoredPack
from spider.wire.sample_messages import STREAM_LATE, STREAM_LIVE

MAX_GAPS: Final = 2000
"""The most stored gaps of one node. A further gap extends the newest gap of its family, if there is one: the count stays exact, the edges
do not."""
MAX_SESSIONS: Final = 1000
"""The most sessions of one node with stored marks (the numbers of the last stored packs)."""
MAX_SKIPPED: Final = 1000
"""The most stored ranges of skipped numbers of one node. The oldest are removed. Records with the numbers of a removed range
then count as stored."""


def record_session(tx: Tx, session: Session, boot_no: int) -> None:
    """Record the marks at the start of a session, and the final marks of the earlier sessions. Those can store nothing more.

    An earlier session that moved no mark has stored no pack. It is deleted, since the same is assumed of an unknown session.
    """
    before = tx.fetch_all(
        "SELECT mine.epoch, mine.live, mine.backfill, boot.live AS end_live, boot.backfill AS end_backfill"
        " FROM session_mark AS mine JOIN boot ON boot.no = mine.boot WHERE mine.node = ? AND mine.over = 0 AND mine.epoch < ?",
        *(session.no, session.epoch),
    )
    for row in before:
        if (row["live"], row["backfill"]) == (row["end_live"], row["end_backfill"]):
            tx.execute("DELETE FROM session_mark WHERE node = ? AND epoch = ?", session.no, row["epoch"])
        else:
            tx.execute(
                "UPDATE session_mark SET live = ?, backfill = ?, over = 1 WHERE node = ? AND epoch = ?",
                *(row["end_live"], row["end_backfill"], session.no, row["epoch"]),
            )
    tx.execute(
        "INSERT INTO session_mark (node, epoch, boot, live, backfill)"
        " SELECT ?, ?, no, live, backfill FROM boot WHERE no = ? ON CONFLICT DO NOTHING",
        *(session.no, session.epoch, boot_no),
    )
    tx.execute(
        "DELETE FROM session_mark WHERE node = ?1 AND epoch <="
        " (SELECT epoch FROM session_mark WHERE node = ?1 ORDER BY epoch DESC LIMIT 1 OFFSET ?2)",
        *(session.no, MAX_SESSIONS),
    )


def take_late(tx: Tx, session: Session, items: Sequence[LatePack | LostRows]) -> list[tuple[int, StoredPack]]:
    """Select the packs of each journal that are not stored yet, by their numbers. Gaps (`LostRows`) are stored immediately.

    Numbers grow within a journal. A skipped number may still come later, from a file on the node's disk that was unreadable for a time.

    Returns: the packs to store, each with the number (`boot.no`) of its journal.
    """
    by_journal: dict[bytes, list[LatePack | LostRows]] = {}
    for item in items:
        by_journal.setdefault(item.journal, []).append(item)
    fresh: list[tuple[int, StoredPack]] = []
    for journal, records in by_journal.items():
        key = b"j" + journal  # one byte longer than the id of a boot
        tx.execute("INSERT INTO boot (node, boot) VALUES (?, ?) ON CONFLICT DO NOTHING", session.no, key)
        [row] = tx.fetch_all("SELECT no, backfill FROM boot WHERE node = ? AND boot = ?", session.no, key)
        stored: int = row["backfill"]
        for record in sorted(records, key=lambda record: record.number):
            if record.number > stored:
                _skip(tx, session.no, row["no"], stored + 1, record.number - 1)
                stored = record.number
            elif not _take_skipped(tx, session.no, row["no"], record.number):
                continue
            if record.sent is not None and _is_stored(tx, session.no, record.sent):
                continue
            if isinstance(record, LostRows):
                _store_gap(tx, session.no, row["no"], record)
            elif record.body:
                times = (record.first_ms, record.last_ms)
                fresh.append(
                    (row["no"], StoredPack(session, STREAM_LATE, record.number, record.schema_id, *times, record.coding, record.body))
                )
        tx.execute("UPDATE boot SET backfill = ? WHERE no = ?", stored, row["no"])
    return fresh


def _skip(tx: Tx, no: int, journal_no: int, first: int, last: int) -> None:
    """Record that these numbers, both included, were skipped."""
    if first > last:
        return
    tx.execute("INSERT INTO skipped (node, journal, first, last) VALUES (?, ?, ?, ?)", no, journal_no, first, last)
    tx.execute(
        "DELETE FROM skipped WHERE node = ?1 AND (journal, first) IN"
        " (SELECT journal, first FROM skipped WHERE node = ?1 ORDER BY journal DESC, first DESC LIMIT -1 OFFSET ?2)",
        *(no, MAX_SKIPPED),
    )


def _take_skipped(tx: Tx, no: int, journal_no: int, number: int) -> bool:
    """Remove a number from the skipped numbers. Returns whether it was among them."""
    row = tx.fetch_one(
        "SELECT first, last FROM skipped WHERE node = ? AND journal = ? AND first <= ? ORDER BY first DESC LIMIT 1", no, journal_no, number
    )
    if row is None or number > int(row["last"]):
        return False
    tx.execute("DELETE FROM skipped WHERE node = ? AND journal = ? AND first = ?", no, journal_no, row["first"])
    _skip(tx, no, journal_no, int(row["first"]), number - 1)
    _skip(tx, no, journal_no, number + 1, int(row["last"]))
    return True


def _is_stored(tx: Tx, no: int, sent: PreviousSend) -> bool:
    """Whether a pack that the node has sent in an earlier session is stored, by the final marks of that session. A
    session without final marks counts as one that stored nothing."""
    row = tx.fetch_one("SELECT live, backfill FROM session_mark WHERE node = ? AND epoch = ? AND over = 1", no, sent.epoch)
    return row is not None and sent.seq <= int(row["live"] if sent.stream == STREAM_LIVE else row["backfill"])


def _store_gap(tx: Tx, no: int, journal_no: int, lost: LostRows) -> None:
    if int(tx.fetch_all("SELECT count(*) AS found FROM gap WHERE node = ?", no)[0]["found"]) >= MAX_GAPS:
        same = (
            # gaps with an unknown count stay separate
            "SELECT max(no) AS no FROM gap WHERE node = ? AND family = ? AND (samples = 0) = (? = 0)"
        )
        newest = tx.fetch_one(same, no, lost.family, lost.rows)
        if newest is not None and newest["no"] is not None:
            tx.execute(
                "UPDATE gap SET first_ms = min(first_ms, ?), last_ms = max(last_ms, ?), samples = samples + ? WHERE no = ?",
                *(lost.first_ms, lost.last_ms, lost.rows, newest["no"]),
            )
            return
    tx.execute(
        "INSERT INTO gap (node, boot, family, first_ms, last_ms, samples, why) VALUES (?, ?, ?, ?, ?, ?, ?)",
        *(no, journal_no, lost.family, lost.first_ms, lost.last_ms, lost.rows, "outage"),
    )


def read_gaps(rows: Rows, no: int, start_ms: int, end_ms: int) -> list[GapRow]:
    """The gaps of a node that overlap [start_ms, end_ms), oldest first."""
    found = rows.fetch_all("SELECT * FROM gap WHERE node = ? AND last_ms >= ? AND first_ms < ? ORDER BY first_ms, no", no, start_ms, end_ms)
    return [GapRow(row["family"], row["first_ms"], row["last_ms"], row["samples"]) for row in found]


def drop_late(tx: Tx, no: int) -> None:
    """Remove marks, gaps, log lines and process history of a removed node."""
    tx.execute("DELETE FROM session_mark WHERE node = ?", no)
    tx.execute("DELETE FROM skipped WHERE node = ?", no)
    tx.execute("DELETE FROM gap WHERE node = ?", no)
    drop_lines(tx, no)
    drop_readings(tx, no)
