"""Jobs: made once, taken once, moved only along `domain.jobs.TRANSITIONS`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from groundcontrol.domain.ids import JobId, NodeId
from groundcontrol.domain.jobs import TERMINAL, Change, Job, JobError, JobEvidence, JobState, NewJob, may_move
from groundcontrol.domain.nodes import Session
from groundcontrol.domain.scope import SYSTEM, Scope
from groundcontrol.errors import BadRequest, Conflict, IdempotencyMismatch, NotFound
from groundcontrol.store.base import Dispatch, Page
from groundcontrol.store.sqlite import output
from groundcontrol.store.sqlite.audit import Chain, node_scope
from groundcontrol.store.sqlite.cursors import check_limit, make_cursor, read_cursor
from groundcontrol.store.sqlite.grants import admitted, grant_values
from groundcontrol.store.sqlite.hubs import check_session
from groundcontrol.store.sqlite.reader import Reader
from groundcontrol.store.sqlite.records import (
    record_from_json,
    record_to_json,
    records_from_json,
    records_to_json,
    texts_from_json,
    to_json,
)
from groundcontrol.store.sqlite.tx import Rows, Tx, Value
from groundcontrol.store.sqlite.writer import Writer

_SILENT: Final = frozenset({"queued", "cancelled", "expired"})
"""States of a job that never ran: no output is taken for it."""
_LAST: Final = "~"
"""Sorts behind every id."""


class SqliteJobs:
    """`JobStore`."""

    def __init__(self, writer: Writer, reader: Reader, chain: Chain) -> None:
        self._writer = writer
        self._reader = reader
        self._chain = chain
        self._digests = output.Digests()

    async def create_job(self, scope: Scope, job: NewJob, idempotency_key: str | None) -> Job:
        asked = (job.node_id, job.action, tuple(job.packages), job.reboot)

        def command(tx: Tx) -> Job:
            first = _first(tx, scope, job.id, idempotency_key)
            if first is not None:
                if (first.node_id, first.action, first.packages, first.reboot) == asked:
                    return first
                raise IdempotencyMismatch("this idempotency key was used for another job")
            node = tx.one(_NODE + "WHERE org = ? AND id = ?" + admitted(scope), scope.org, job.node_id, *grant_values(scope))
            if node is None:
                raise NotFound(f"there is no node {job.node_id}")
            tx.do(
                "INSERT INTO job (org, id, node, actor, idempotency_key, action, packages, reboot, state, output_end, created_by,"
                " created_at, not_after, changes, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued', 0, ?, ?, ?, '[]', 1)",
                *(scope.org, job.id, node["no"], scope.actor.id, idempotency_key, job.action, to_json(job.packages), job.reboot),
                *(scope.actor.name, job.created_at, job.not_after),
            )
            detail = {"node": job.node_id, "action": job.action, "packages": job.packages, "reboot": job.reboot}
            self._chain.write(tx, scope, "job.create", job.id, detail)
            return _to_job(_load(tx, job.id))

        return await self._writer.run(command)

    async def job(self, scope: Scope, job: JobId) -> Job:
        return await self._reader.run(lambda rows: _to_job(_load_for(rows, job, scope)))

    async def jobs(self, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None) -> Page[Job]:
        size = check_limit(limit)
        kind = f"jobs:{node or ''}"
        before = _LAST if cursor is None else read_cursor(cursor, kind, scope.org, str)[0]

        def query(rows: Rows) -> list[sqlite3.Row]:
            if node is None:
                where = "WHERE job.org = ? AND job.id < ?" + admitted(scope) + " ORDER BY job.id DESC LIMIT ?"
                return _select(rows, where, scope.org, before, *grant_values(scope), size + 1)
            where = "WHERE node.org = ? AND node.id = ? AND job.id < ?" + admitted(scope) + " ORDER BY job.id DESC LIMIT ?"
            return _select(rows, where, scope.org, node, before, *grant_values(scope), size + 1)

        found = await self._reader.run(query)
        items = [_to_job(row) for row in found[:size]]
        return Page(items, make_cursor(kind, scope.org, items[-1].id) if len(found) > size else None)

    async def take(self, ids: Sequence[JobId] | None, sessions: Sequence[Session], now: float) -> Sequence[Dispatch]:
        by_node = {session.no: session for session in sessions}

        def command(tx: Tx) -> list[Dispatch]:
            waiting = tx.all(
                "SELECT no, id, node, org FROM job WHERE state = 'queued' AND not_after > ?1 AND node IN (SELECT value FROM json_each(?2))"
                " AND (?3 IS NULL OR id IN (SELECT value FROM json_each(?3))) ORDER BY id",
                *(now, json.dumps(list(by_node)), None if ids is None else json.dumps(list(ids))),
            )
            taken = []
            for row in waiting:
                session = by_node[row["node"]]
                won = tx.do(
                    "UPDATE job SET state = 'dispatched', version = version + 1 WHERE no = ?1 AND state = 'queued'"
                    " AND EXISTS (SELECT 1 FROM node_session WHERE node = ?2 AND epoch = ?3 AND hub = ?4)"
                    " AND NOT EXISTS (SELECT 1 FROM job WHERE node = ?2 AND state IN ('dispatched', 'accepted', 'running'))",
                    *(row["no"], session.no, session.epoch, session.hub),
                )
                if won:
                    self._chain.write(tx, SYSTEM._replace(org=row["org"]), "job.dispatch", row["id"], {"node": session.node})
                    taken.append(Dispatch(_to_job(_load(tx, JobId(row["id"]))), session))
            return taken

        return await self._writer.run(command)

    async def undispatched(self, session: Session) -> Sequence[Job]:
        def query(rows: Rows) -> list[Job]:
            check_session(rows, session)
            where = "WHERE job.node = ? AND job.state = 'dispatched' ORDER BY job.id"
            return [_to_job(row) for row in _select(rows, where, session.no)]

        return await self._reader.run(query)

    async def open_jobs(self, node: NodeId) -> Sequence[Job]:
        where = "WHERE node.id = ? AND job.state IN ('dispatched', 'accepted', 'running') ORDER BY job.id"
        return [_to_job(row) for row in await self._reader.run(lambda rows: _select(rows, where, node))]

    async def held(self, ids: Sequence[JobId], node: NodeId) -> Mapping[JobId, int]:
        return {JobId(row["id"]): row["output_end"] for row in await self._unfinished(ids, node)}

    async def finished(self, ids: Sequence[JobId], node: NodeId) -> Sequence[JobId]:
        wanted = {row["id"] for row in await self._unfinished(ids, node)}
        return [job for job in ids if job not in wanted]

    async def _unfinished(self, ids: Sequence[JobId], node: NodeId) -> list[sqlite3.Row]:
        where = "WHERE job.id IN (SELECT value FROM json_each(?)) AND node.id = ?"
        found = await self._reader.run(lambda rows: _select(rows, where, json.dumps(list(ids)), node))
        return [row for row in found if not _is_finished(row)]

    async def overdue(self, now: float) -> Sequence[Job]:
        where = "WHERE job.state IN ('queued', 'dispatched') AND job.not_after < ? ORDER BY job.id"
        return [_to_job(row) for row in await self._reader.run(lambda rows: _select(rows, where, now))]

    async def advance(self, job: JobId, to: JobState, by: Session | Scope, evidence: JobEvidence) -> Job:
        def command(tx: Tx) -> Job:
            row = _load_for(tx, job, by)
            before = row["state"]
            if before != to and not may_move(before, to):
                raise Conflict(f"job {job} is {before} and cannot become {to}", state=before)
            fields = _merge(row, evidence, final=before == to and to in TERMINAL)
            if before in TERMINAL and before != to and evidence.error is None:
                fields["error"] = None  # it belonged to the guess that has now become the truth
            if to in TERMINAL and fields["ended_at"] is None:
                fields["ended_at"] = tx.now
            if before == to and all(row[name] == value for name, value in fields.items()):
                return _to_job(row)
            tx.do(
                "UPDATE job SET state = ?, phase = ?, progress_percent = ?, exit_code = ?, output_total = ?, node_sha256 = ?,"
                " started_at = ?, ended_at = ?, changes = ?, error = ?, version = version + 1 WHERE no = ?",
                *(to, *fields.values(), row["no"]),
            )
            self._close(tx, row["no"])
            after = _to_job(_load(tx, job))
            if before != to:
                scope = by if isinstance(by, Scope) else node_scope(by, row["org"])
                detail = {"from": before, "exit_code": after.exit_code, "error": after.error.code if after.error else None}
                self._chain.write(tx, scope, f"job.{to}", job, detail)
            return after

        return await self._writer.run(command)

    async def append_output(self, job: JobId, offset: int, data: bytes, by: Session) -> int:
        if offset < 0:
            raise BadRequest("an offset cannot be negative")

        def command(tx: Tx) -> int:
            row = _load_for(tx, job, by)
            if row["state"] in _SILENT:
                raise Conflict(f"job {job} is {row['state']} and prints nothing", state=row["state"])
            end: int = row["output_end"]
            fresh = data[end - offset :] if offset <= end else b""
            if row["output_total"] is not None:
                fresh = fresh[: max(0, row["output_total"] - end)]
            if fresh:
                output.append(tx, row["no"], end, fresh)
                self._digests.grow(tx, row["no"], end, fresh)
                tx.do("UPDATE job SET output_end = ? WHERE no = ?", end + len(fresh), row["no"])
                self._close(tx, row["no"])
            return end + len(fresh)

        return await self._writer.run(command)

    async def output(self, scope: Scope, job: JobId, offset: int, limit: int | None = None) -> AsyncIterator[bytes]:
        if offset < 0:
            raise BadRequest("an offset cannot be negative", field="offset")
        no: int = (await self._reader.run(lambda rows: _load_for(rows, job, scope)))["no"]
        left = limit
        while left is None or left > 0:
            found = await self._reader.run(lambda rows, at=offset: output.pieces(rows, no, at))  # type: ignore[misc]  # `at` is bound now
            if not found:
                return
            for start, body in found:
                piece = body[offset - start :]
                piece = piece if left is None else piece[:left]
                if not piece:
                    return
                yield piece
                offset += len(piece)
                left = None if left is None else left - len(piece)

    def _close(self, tx: Tx, no: int) -> None:
        """Once a job is over and its output whole: say what is held, and say so if it is not what the node printed."""
        row = tx.all("SELECT * FROM job WHERE no = ?", no)[0]
        if row["state"] not in TERMINAL or not _is_whole(row):
            return
        held = self._digests.whole(tx, no, row["output_end"])
        error = row["error"]
        if error is None and row["node_sha256"] not in (None, "", held):
            error = record_to_json(JobError("job.output_differs", "the stored output is not what the runner wrote"))
        tx.do("UPDATE job SET held_sha256 = ?, error = ? WHERE no = ?", held, error, no)


_NODE: Final = "SELECT no FROM node "
_SELECT: Final = "SELECT job.*, node.id AS node_id, node.tags AS node_tags FROM job JOIN node ON node.no = job.node "


def _select(rows: Rows, where: str, *values: Value) -> list[sqlite3.Row]:
    return rows.all(_SELECT + where, *values)


def _load(rows: Rows, job: JobId) -> sqlite3.Row:
    found = _select(rows, "WHERE job.id = ?", job)
    if not found:
        raise NotFound(f"there is no job {job}")
    return found[0]


def _load_for(rows: Rows, job: JobId, by: Session | Scope) -> sqlite3.Row:
    """The job, if this caller may touch it: a node its own, a person those of the nodes that they are granted."""
    if isinstance(by, Session):
        check_session(rows, by)
    row = _load(rows, job)
    if isinstance(by, Session):
        foreign = row["node_id"] != by.node
    else:
        foreign = row["org"] != by.org or not by.admits(row["node_id"], texts_from_json(row["node_tags"]) if by.grants else ())
    if foreign:
        raise NotFound(f"there is no job {job}")
    return row


def _first(rows: Rows, scope: Scope, job: JobId, idempotency_key: str | None) -> Job | None:
    """What this request, or an earlier one with the same key, has made already."""
    if idempotency_key is not None:
        where = "WHERE job.org = ? AND job.actor = ? AND job.idempotency_key = ?"
        found = _select(rows, where, scope.org, scope.actor.id, idempotency_key)
        if found:
            return _to_job(found[0])
    found = _select(rows, "WHERE job.id = ?", job)
    if found and (found[0]["org"], found[0]["actor"], found[0]["idempotency_key"]) != (scope.org, scope.actor.id, idempotency_key):
        raise Conflict(f"the job id {job} was used before")
    return _to_job(found[0]) if found else None


def _is_whole(row: sqlite3.Row) -> bool:
    return row["output_total"] is None or row["output_end"] >= row["output_total"]


def _is_finished(row: sqlite3.Row) -> bool:
    """Whether the node may forget the job. Of one whose end nobody knows, what the node holds may still be the truth."""
    if row["state"] in ("interrupted", "unknown") and row["output_total"] is None:
        return False
    return row["state"] in TERMINAL and _is_whole(row)


def _merge(row: sqlite3.Row, evidence: JobEvidence, *, final: bool) -> dict[str, str | int | float | None]:
    """The columns after the evidence, in the order of the statement. In a final state only what is empty is filled in."""
    found: dict[str, str | int | float | None] = {
        "phase": evidence.phase,
        "progress_percent": evidence.progress_percent,
        "exit_code": evidence.exit_code,
        "output_total": evidence.output_bytes,
        "node_sha256": evidence.output_sha256,
        "started_at": evidence.started_at,
        "ended_at": evidence.ended_at,
        "changes": None if evidence.changes is None else records_to_json(evidence.changes),
        "error": None if evidence.error is None else record_to_json(evidence.error),
    }
    return {name: row[name] if value is None or (final and row[name] not in (None, "", "[]")) else value for name, value in found.items()}


def _to_job(row: sqlite3.Row) -> Job:
    return Job(
        id=JobId(row["id"]),
        org=row["org"],
        node_id=NodeId(row["node_id"]),
        action=row["action"],
        packages=texts_from_json(row["packages"]),
        reboot=bool(row["reboot"]),
        state=row["state"],
        phase=row["phase"],
        progress_percent=row["progress_percent"],
        exit_code=row["exit_code"],
        output_bytes=row["output_end"],
        output_sha256=row["held_sha256"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        not_after=row["not_after"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        changes=records_from_json(Change, row["changes"]),
        error=None if row["error"] is None else record_from_json(JobError, row["error"]),
        version=row["version"],
    )
