"""Batches: one request for many nodes, with a job for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.json_codec import digest, record_from_json, record_to_json, records_from_json, records_to_json
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.pagination import place
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx, Value
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.job_rows import insert, select, to_job
from groundcontrol.adapters.sqlite.jobs import SqliteJobs
from groundcontrol.adapters.sqlite.rights import admitted, grant_values
from groundcontrol.core.errors import Conflict, IdempotencyMismatch, NotFound, StoreError
from groundcontrol.core.ids import BatchId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.jobs.model import TERMINAL, Batch, Job, JobRequest, NewBatch, RefusedNode
from groundcontrol.jobs.store import BatchStore
from spider.clock import Clock

_NODE: Final = "SELECT no FROM node "
_COUNTS: Final = (
    "SELECT job.state, count(*) AS n, max(job.ended_at) AS ended_at FROM job JOIN node ON node.no = job.node WHERE job.batch = ?"
)
_SOME_JOB: Final = "EXISTS (SELECT 1 FROM job JOIN node ON node.no = job.node WHERE job.batch = batch.no"


@serves("batches", BatchStore)
class SqliteBatches(ControlStore):
    def __init__(self, writer: Writer, reader: Reader, chain: Chain, clock: Clock, jobs: SqliteJobs) -> None:
        super().__init__(writer, reader, chain, clock)
        self._jobs = jobs

    @command
    def create_batch(self, tx: Tx, scope: Scope, batch: NewBatch, idempotency_key: str | None) -> Batch:
        made = digest(sorted(batch.nodes), batch.request, *([] if batch.plans_of is None else [batch.plans_of]))
        first = _first(tx, scope, batch.id, idempotency_key)
        if first is not None:
            if first["made"] == made:
                return _to_batch(tx, scope, first)
            raise IdempotencyMismatch("this id or idempotency key was used for another request")
        tx.execute(
            "INSERT INTO batch (org, id, actor, idempotency_key, wish, refused, created_by, created_at, made, plans_of)"
            " VALUES (?, ?, ?, ?, ?, '[]', ?, ?, ?, ?)",
            *(scope.org, batch.id, scope.actor.id, idempotency_key, record_to_json(batch.request)),
            *(scope.actor.name, batch.created_at, made, batch.plans_of),
        )
        no: int = tx.fetch_all("SELECT no FROM batch WHERE id = ?", batch.id)[0]["no"]
        detail = {"nodes": len(batch.nodes), "jobs": len(batch.jobs), **batch.request.details()}
        self._chain.write(tx, scope, "batch.create", batch.id, detail)
        refused = list(batch.refused)
        for job in batch.jobs:
            node = tx.fetch_one(_NODE + "WHERE org = ? AND id = ?" + admitted(scope), scope.org, job.node_id, *grant_values(scope))
            if node is None:
                refused.append(RefusedNode(job.node_id, NotFound.code, f"there is no node {job.node_id}"))
                continue
            insert(tx, scope, job, node["no"], batch=no)
            self._chain.write(tx, scope, "job.create", job.id, {"batch": batch.id, **job.audited()})
        tx.execute("UPDATE batch SET refused = ? WHERE no = ?", records_to_json(refused), no)
        return _to_batch(tx, scope, _load_for(tx, scope, batch.id))

    async def batch(self, scope: Scope, batch: BatchId) -> Batch:
        return await self._reader.run(lambda rows: _to_batch(rows, scope, _load_for(rows, scope, batch)))

    @query
    def batches(self, rows: Rows, scope: Scope, limit: int, cursor: str | None = None) -> Page[Batch]:
        at = place("batches", scope.org, limit, cursor)
        found = rows.fetch_all(
            f"SELECT * FROM batch WHERE org = ? AND no < ? AND {_shown(scope)} ORDER BY no DESC LIMIT ?",  # noqa: S608 - built from constants only
            *(scope.org, at.start, *_shown_values(scope), at.most),
        )
        return at.page(found, lambda row: _to_batch(rows, scope, row))

    async def jobs_of(self, scope: Scope, batch: BatchId) -> Sequence[Job]:
        return await self._reader.run(lambda rows: [to_job(row) for row in _jobs(rows, scope, _load_for(rows, scope, batch)["no"])])

    @command
    def stop_batch(self, tx: Tx, scope: Scope, batch: BatchId) -> Sequence[Job]:
        going = [row for row in _jobs(tx, scope, _load_for(tx, scope, batch)["no"]) if row["state"] not in TERMINAL]
        return [self._jobs.stop_in(tx, scope, row) for row in going]


def _shown(scope: Scope) -> str:
    """The condition for batches that a caller may see: with grants, only the caller's own and those with a granted node.

    The values for its question marks are `_shown_values`.
    """
    return f"(? OR actor = ? OR {_SOME_JOB}{admitted(scope)}))"


def _shown_values(scope: Scope) -> list[Value]:
    return [not scope.grants, scope.actor.id, *grant_values(scope)]


def _load_for(rows: Rows, scope: Scope, batch: BatchId) -> Row:
    found = rows.fetch_one(
        f"SELECT * FROM batch WHERE id = ? AND org = ? AND {_shown(scope)}",  # noqa: S608 - built from constants only
        *(batch, scope.org, *_shown_values(scope)),
    )
    if found is None:
        raise NotFound(f"there is no batch {batch}")
    return found


def _jobs(rows: Rows, scope: Scope, no: int) -> list[Row]:
    return select(rows, "WHERE job.batch = ?" + admitted(scope) + " ORDER BY job.no", no, *grant_values(scope))


def _first(rows: Rows, scope: Scope, batch: BatchId, idempotency_key: str | None) -> Row | None:
    """The batch that this request, or an earlier request with the same key, has already created; None: there is none.

    Raises: Conflict: the id belongs to a batch of another request.
    """
    if idempotency_key is not None:
        found = rows.fetch_one(
            "SELECT * FROM batch WHERE org = ? AND actor = ? AND idempotency_key = ?", scope.org, scope.actor.id, idempotency_key
        )
        if found is not None:
            return found
    found = rows.fetch_one("SELECT * FROM batch WHERE id = ?", batch)
    if found is not None and (found["org"], found["actor"], found["idempotency_key"]) != (scope.org, scope.actor.id, idempotency_key):
        raise Conflict(f"the batch id {batch} was used before")
    return found


def _to_batch(rows: Rows, scope: Scope, row: Row) -> Batch:
    states = rows.fetch_all(
        _COUNTS + admitted(scope) + " GROUP BY job.state",
        *(row["no"], *grant_values(scope)),
    )
    over = all(state["state"] in TERMINAL for state in states)
    may_see_all = not scope.grants or row["actor"] == scope.actor.id
    return BATCHES.read(
        row, request=_request_of(rows, row), refused=_refused_of(row) if may_see_all else (), counts={state["state"]: state["n"] for state in states},
        ended_at=max((state["ended_at"] or row["created_at"] for state in states), default=row["created_at"]) if over else None,
    )  # fmt: skip


BATCHES: Final = Columns(Batch, "batch", {"request": "wish"}, objects=("refused",))


def _request_of(rows: Rows, row: Row) -> JobRequest:
    """The request of a batch. If it is damaged, it has only the action, from a job of the batch.

    Raises: StoreError: the request is damaged, and the batch has no job.
    """
    try:
        return record_from_json(JobRequest, row["wish"])
    except StoreError:
        job = rows.fetch_one("SELECT action FROM job WHERE batch = ? LIMIT 1", row["no"])
        if job is None:
            raise
        return JobRequest(job["action"])


def _refused_of(row: Row) -> tuple[RefusedNode, ...]:
    try:
        return records_from_json(RefusedNode, row["refused"])
    except StoreError:
        return ()  # a damaged list must not hide the jobs; the doctor reports it
