"""The store of jobs. A job is created once, claimed once, and its state moves only along `jobs.model.TRANSITIONS`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Final, Literal

from groundcontrol.adapters.sqlite import output, plans
from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.control_store import serves
from groundcontrol.adapters.sqlite.engine.json_codec import digest, record_to_json, records_to_json
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.pagination import check_limit, place
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.adapters.sqlite.job_rows import chosen_by, has_readable_order, insert, load, load_for, select, to_job
from groundcontrol.adapters.sqlite.node_changes import note_reboot
from groundcontrol.adapters.sqlite.node_sessions import check_session, node_scope
from groundcontrol.adapters.sqlite.rights import admitted, grant_values, may_still_run
from groundcontrol.core.errors import BadRequest, Conflict, IdempotencyMismatch, NotFound
from groundcontrol.core.ids import JobId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.jobs.model import (
    START_LIMIT_S,
    TERMINAL,
    Job,
    JobError,
    JobFilter,
    JobState,
    JobUpdate,
    NewJob,
    effect_of_stop,
    holds_all,
    is_finished,
    job_event,
    may_move,
    never_ran,
)
from groundcontrol.jobs.plans import Plan, PlanPart, Report
from groundcontrol.jobs.store import CURRENT_MOST, ClaimedJob, JobStore, MovedLimit
from groundcontrol.nodes.model import Session

_EXPIRE_BATCH: Final = 200
GRAVE_S: Final = 400 * 86_400.0
"""How long the id of a job stays stored after its node was deleted."""

_ANY_OPEN: Final = (  # each query uses an index that holds only such rows
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM job WHERE state IN ('queued', 'dispatched'))"
    " OR EXISTS (SELECT 1 FROM job WHERE state IN ('dispatched', 'accepted', 'running'))"
)
_NOT_OVER_OR_NAMED: Final = (
    "WHERE job.org = ? AND job.no IN (SELECT no FROM job WHERE state IN ('queued', 'dispatched')"
    " UNION SELECT no FROM job WHERE state IN ('dispatched', 'accepted', 'running')"
    " UNION SELECT no FROM job WHERE id IN (SELECT value FROM json_each(?)))"
)
_QUEUED: Final = (
    "SELECT job.no, job.id, job.org, job.actor, job.action, job.created_by, job.created_at, node.id AS node_id, node.tags"
    " FROM job JOIN node ON node.no = job.node WHERE job.state = 'queued' ORDER BY job.no"
)
_NOT_ALLOWED: Final = (
    "the user who ordered this job is no longer allowed to (disabled, suspended, another role, other nodes, an expired token), or has another password since:"
    " the job did not begin"
)


OpensWindow = Callable[[Tx, int, NodeId, Literal["job", "deployment"], str, str, str], None]
"""(transaction, organisation, node, origin, id and kind of the job or deployment, who ordered it)"""
Waits = Callable[[Rows, Row, float], bool]
"""Whether a queued job must still wait, at a time. The row has its org, id, action, and the tags of its node."""


@serves("jobs", JobStore)
class SqliteJobs:
    def __init__(
        self, writer: Writer, reader: Reader, urgent: Reader, chain: Chain, opens: OpensWindow, startable: str, waits: Waits
    ) -> None:
        """Args: opens: opens a maintenance window with the start of a job. startable: SQL, a further condition for queued jobs.
        waits: whether one of them must still wait."""
        self._waits = waits
        self._opens = opens
        self._startable = startable
        self._writer = writer
        self._reader = reader
        self._urgent = urgent
        self._chain = chain
        self._digests = output.Digests()

    @command
    def create_job(self, tx: Tx, scope: Scope, job: NewJob, idempotency_key: str | None) -> Job:
        first = _first(tx, scope, job.id, idempotency_key)
        if first is not None:
            if (first.node_id, first.request) == (job.node_id, job.request):
                return first
            raise IdempotencyMismatch("this id or idempotency key was used for another job")
        create_in(tx, self._chain, scope, job, idempotency_key)
        return to_job(load(tx, job.id))

    async def job(self, scope: Scope, job: JobId) -> Job:
        return await self._reader.run(lambda rows: to_job(load_for(rows, job, scope)))

    @query
    def jobs(
        self, rows: Rows, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None, only: JobFilter | None = None
    ) -> Page[Job]:
        at = place(f"jobs:{node or ''}" + ("" if only is None else f":{digest(only).hex()}"), scope.org, limit, cursor)
        chosen, wanted = chosen_by(only, scope)
        of, named = ("job.org = ?", ()) if node is None else ("node.org = ? AND node.id = ?", (node,))
        where = f"WHERE {of} AND job.no < ?{chosen}{admitted(scope)} ORDER BY job.no DESC LIMIT ?"
        return at.page(select(rows, where, scope.org, *named, at.start, *wanted, *grant_values(scope), at.most), to_job)

    @query
    def current(self, rows: Rows, scope: Scope, newest: int, also: Sequence[JobId] = ()) -> Sequence[Job]:
        end, granted = admitted(scope) + " ORDER BY job.no DESC LIMIT ?", grant_values(scope)
        first = select(rows, "WHERE job.org = ?" + end, scope.org, *granted, check_limit(newest))
        rest = select(rows, _NOT_OVER_OR_NAMED + end, scope.org, json.dumps(list(also)), *granted, CURRENT_MOST)
        return [to_job(row) for _, row in sorted({row["no"]: row for row in (*first, *rest)}.items(), reverse=True)]

    @command
    def take(
        self, tx: Tx, ids: Sequence[JobId] | None, sessions: Sequence[Session], now: float, at_once: int = 1000
    ) -> Sequence[ClaimedJob]:
        by_node = {session.no: session for session in sessions}
        waiting = tx.fetch_all(
            "SELECT job.no, job.id, job.node, job.org, job.batch, job.actor, job.action, job.args, job.lane, job.created_by, job.created_at, node.id AS node_id, node.tags FROM job"  # noqa: S608 - built from constants only
            " JOIN node ON node.no = job.node WHERE job.state = 'queued' AND job.not_after > ?1"
            " AND job.node IN (SELECT CAST(value AS INTEGER) FROM json_each(?2))"
            " AND (CAST(?3 AS TEXT) IS NULL OR job.id IN (SELECT value FROM json_each(?3)))" + self._startable + " ORDER BY job.no",
            *(now, json.dumps(list(by_node)), None if ids is None else json.dumps(list(ids))),
        )
        open_of = _open_batch_jobs(tx, sessions) if any(row["batch"] is not None for row in waiting) else Counter[int]()
        taken = []
        for row in waiting:
            session = by_node[row["node"]]
            if (
                (row["batch"] is not None and open_of[row["org"]] >= at_once)
                or not has_readable_order(row)
                or not may_still_run(tx, row, now)
                or self._waits(tx, row, now)
            ):
                continue  # `cancel_unauthorized` closes jobs whose user may no longer order them
            won = tx.execute(
                "UPDATE job SET state = 'dispatched', not_after = CASE WHEN not_after < ?5 THEN not_after ELSE ?5 END, version = version + 1"
                " WHERE no = ?1 AND state = 'queued'"
                " AND EXISTS (SELECT 1 FROM node_session WHERE node = ?2 AND epoch = ?3 AND hub = ?4)"
                " AND NOT EXISTS (SELECT 1 FROM job WHERE node = ?2 AND state IN ('dispatched', 'accepted', 'running')"
                " AND lane = ?6)",
                *(
                    row["no"],
                    session.no,
                    session.epoch,
                    session.hub,
                    now + START_LIMIT_S,
                    row["lane"],
                ),
            )
            if won:
                open_of[row["org"]] += row["batch"] is not None
                self._chain.write(tx, hub_scope(row["org"]), "job.dispatch", row["id"], {"node": session.node})
                self._opens(tx, row["org"], session.node, "job", row["id"], row["action"], row["created_by"])
                taken.append(ClaimedJob(to_job(load(tx, JobId(row["id"]))), session))
        return taken

    async def cancel_unauthorized(self, now: float) -> Sequence[Job]:
        def unfounded(rows: Rows) -> list[Row]:
            return [row for row in rows.fetch_all(_QUEUED) if not may_still_run(rows, row, now)]

        if not await self._reader.run(unfounded):
            return []

        def command(tx: Tx) -> list[Job]:
            closed = []
            for row in unfounded(tx):
                error = record_to_json(JobError("job.not_allowed", _NOT_ALLOWED))
                tx.execute(
                    "UPDATE job SET state = 'failed', error = ?, ended_at = ?, version = version + 1 WHERE no = ?", error, now, row["no"]
                )
                detail = {"node": row["node_id"], "action": row["action"], "for": row["created_by"]}
                self._chain.write(tx, hub_scope(row["org"]), "job.withdraw", row["id"], detail, "refused")
                closed.append(_record_change(tx, JobId(row["id"])))
            return closed

        return await self._writer.run(command)

    @query
    def unaccepted(self, rows: Rows, session: Session) -> Sequence[Job]:
        check_session(rows, session)
        where = "WHERE job.node = ? AND job.state = 'dispatched' ORDER BY job.id"
        return [to_job(row) for row in select(rows, where, session.no) if has_readable_order(row)]

    async def last_ended(self, actions: Collection[str]) -> Sequence[Job]:
        where = "WHERE job.no IN (SELECT max(no) FROM job WHERE ended_at IS NOT NULL AND action IN (SELECT value FROM json_each(?)) GROUP BY node)"
        return [to_job(row) for row in await self._reader.run(lambda rows: select(rows, where, json.dumps(sorted(actions))))]

    async def open_jobs(self, node: NodeId) -> Sequence[Job]:
        where = "WHERE node.id = ? AND job.state IN ('dispatched', 'accepted', 'running') ORDER BY job.id"
        return [to_job(row) for row in await self._reader.run(lambda rows: select(rows, where, node))]

    async def unfinished(self, ids: Sequence[JobId], node: NodeId) -> Mapping[JobId, int]:
        where = "WHERE job.id IN (SELECT value FROM json_each(?)) AND node.id = ?"
        found = await self._urgent.run(lambda rows: select(rows, where, json.dumps(list(ids)), node))
        return {
            JobId(row["id"]): row["output_end"] for row in found if not is_finished(row["state"], row["output_end"], row["output_total"])
        }

    async def any_open(self) -> bool:
        return await self._reader.fetch_one(_ANY_OPEN) is not None

    async def overdue(self, now: float) -> Sequence[Job]:
        where = "WHERE job.state IN ('queued', 'dispatched') AND job.not_after < ? ORDER BY job.id"
        return [to_job(row) for row in await self._reader.run(lambda rows: select(rows, where, now))]

    async def waiting(self) -> Sequence[Job]:
        where = "WHERE job.state IN ('queued', 'dispatched') ORDER BY job.id"
        return [to_job(row) for row in await self._reader.run(lambda rows: select(rows, where))]

    @command
    def move_limits(self, tx: Tx, moves: Sequence[MovedLimit]) -> None:
        tx.execute_many(
            "UPDATE job SET not_after = ? WHERE id = ? AND not_after = ? AND state IN ('queued', 'dispatched')",
            [(one.after, one.job, one.before) for one in moves],
        )

    async def stopping(self) -> Sequence[Job]:
        where = "WHERE job.stop = 'asked' AND job.state IN ('dispatched', 'accepted', 'running') ORDER BY job.id"
        return [to_job(row) for row in await self._reader.run(lambda rows: select(rows, where))]

    async def stop_job(self, scope: Scope, job: JobId, *, force: bool = False) -> Job:
        return await self._writer.run(lambda tx: self.stop_in(tx, scope, load_for(tx, job, scope), force=force))

    def stop_in(self, tx: Tx, scope: Scope, row: Row, *, force: bool = False) -> Job:
        """Cancel a queued job, or record the stop request of a running job. Call this within a command.

        Raises: Conflict: the job has ended.
        """
        job, state = JobId(row["id"]), row["state"]
        effect = effect_of_stop(to_job(row), force=force)
        if effect == "cancel":
            tx.execute("UPDATE job SET state = 'cancelled', ended_at = ?, version = version + 1 WHERE no = ?", tx.now, row["no"])
            self._chain.write(tx, scope, "job.cancelled", job, {"from": state, "exit_code": None, "error": None})
            return _record_change(tx, job)
        if effect == "request":
            tx.execute(
                "UPDATE job SET stop = 'asked', stop_why = '', stop_by = ?, stop_at = ?, stop_force = ?, version = version + 1 WHERE no = ?",
                *(scope.actor.name, tx.now, force, row["no"]),
            )
            self._chain.write(tx, scope, "job.stop", job, {"state": state, "force": force})
        return to_job(load(tx, job))

    @command
    def advance(self, tx: Tx, job: JobId, to: JobState, by: Session | Scope, update: JobUpdate, follow: NewJob | None = None) -> Job:
        row = load_for(tx, job, by)
        before = row["state"]
        if before != to and not may_move(before, to):
            raise Conflict(f"job {job} is {before} and cannot become {to}", state=before)
        fields = _merge(row, update, final=before == to and to in TERMINAL)
        if to in TERMINAL and before != to and update.error is None:
            fields["error"] = None  # the old error described the earlier state
        if to in TERMINAL and fields["ended_at"] is None:
            fields["ended_at"] = tx.now
        if before == to and all(row[name] == value for name, value in fields.items()):
            return to_job(row)
        tx.execute(
            f"UPDATE job SET state = ?, {', '.join(f'{name} = ?' for name in fields)}, version = version + 1 WHERE no = ?",  # noqa: S608  # the names of columns stand in `_merge`
            *(to, *fields.values(), row["no"]),
        )
        self._close_output(tx, row["no"])
        after = to_job(load(tx, job)) if before == to else _record_change(tx, job)
        if before != to:
            scope = by if isinstance(by, Scope) else node_scope(by, row["org"])
            detail: dict[str, object] = {
                "from": before,
                "exit_code": after.exit_code,
                "error": after.error.code if after.error else None,
            }
            if after.error is not None:
                detail["why"] = after.error.message
            self._chain.write(tx, scope, f"job.{to}", job, detail)
            if follow is not None:
                self._follow(tx, row, follow)
        return after

    def _follow(self, tx: Tx, row: Row, job: NewJob) -> None:
        """Create the job that follows an ended job, in the name of the user who ordered the ended one."""
        insert(tx, hub_scope(row["org"]), job, row["node"])
        tx.execute("UPDATE job SET follows = ?, actor = ?, created_by = ? WHERE id = ?", row["id"], row["actor"], row["created_by"], job.id)
        detail = {"node": job.node_id, "follows": row["id"], "for": row["created_by"], **job.request.details()}
        self._chain.write(tx, hub_scope(row["org"]), "job.create", job.id, detail)

    # -- plan and report -------------------------------------------------------------------------

    @command
    def save_plan(self, tx: Tx, job: JobId, part: PlanPart, by: Session) -> Job:
        row = load_for(tx, job, by)
        _check_ran(row)
        if plans.save_part(tx, row["no"], part):
            tx.execute(
                "UPDATE job SET plan_digest = ?, version = version + 1 WHERE no = ?",
                *(part.head.digest if plans.is_complete(tx, row["no"]) else None, row["no"]),
            )
        return to_job(load(tx, job))

    async def plan(self, scope: Scope, job: JobId) -> Plan | None:
        return await self._reader.run(lambda rows: plans.read_plan(rows, load_for(rows, job, scope)["no"]))

    @command
    def save_report(self, tx: Tx, job: JobId, report: Report, by: Session) -> Job:
        row = load_for(tx, job, by)
        _check_ran(row)
        if plans.save_report(tx, row["no"], report):
            tx.execute("UPDATE job SET version = version + 1 WHERE no = ?", row["no"])
            note_reboot(tx, by, report.reboot)
            tx.execute(
                "UPDATE node SET reboot_required = ?1, version = version + 1,"
                " reboot_since = CASE WHEN ?1 = 'yes' THEN coalesce(reboot_since, ?3) END"
                " WHERE no = ?2 AND reboot_required <> ?1 AND ?1 <> 'unknown'",
                *(report.reboot, by.no, tx.now),
            )
        return to_job(load(tx, job))

    async def report(self, scope: Scope, job: JobId) -> Report | None:
        return await self._reader.run(lambda rows: plans.read_report(rows, load_for(rows, job, scope)["no"]))

    # -- output ----------------------------------------------------------------------------------

    async def output_marks(self, scope: Scope, job: JobId, offset: int, most: int) -> Sequence[tuple[int, int]]:
        return await self._reader.run(lambda rows: output.marks(rows, load_for(rows, job, scope)["no"], offset, most))

    @command
    def append_output(self, tx: Tx, job: JobId, offset: int, data: bytes, by: Session, at_ms: int | None = None) -> int:
        if offset < 0:
            raise BadRequest("an offset cannot be negative")
        row = load_for(tx, job, by)
        _check_ran(row)
        end: int = row["output_end"]
        fresh = data[end - offset :] if offset <= end else b""
        if row["output_total"] is not None:
            fresh = fresh[: max(0, row["output_total"] - end)]
        if fresh:
            output.append(tx, row["no"], end, fresh, at_ms)
            self._digests.grow(tx, row["no"], end, fresh)
            tx.execute("UPDATE job SET output_end = ?, last_output_at = ? WHERE no = ?", end + len(fresh), tx.now, row["no"])
            self._close_output(tx, row["no"])
        return end + len(fresh)

    @command
    def output_digest(self, tx: Tx, job: JobId) -> tuple[int, str]:
        row = load(tx, job)
        return row["output_end"], self._digests.whole(tx, row["no"], row["output_end"])

    async def output(self, scope: Scope, job: JobId, offset: int, limit: int | None = None) -> AsyncIterator[bytes]:
        if offset < 0:
            raise BadRequest("an offset cannot be negative", field="offset")
        no: int = (await self._reader.run(lambda rows: load_for(rows, job, scope)))["no"]
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

    def _close_output(self, tx: Tx, no: int) -> None:
        """If a job has ended and its output is complete, store the digest of the output. If the node sent another digest, and the job has no
        error yet, also store an error."""
        row = tx.fetch_all("SELECT * FROM job WHERE no = ?", no)[0]
        if row["state"] not in TERMINAL or not holds_all(row["output_end"], row["output_total"]):
            return
        stored_sha256 = self._digests.whole(tx, no, row["output_end"])
        error = row["error"]
        if error is None and row["node_sha256"] not in (None, "", stored_sha256):
            error = record_to_json(JobError("job.output_differs", "the stored output is not what the runner wrote"))
        tx.execute("UPDATE job SET held_sha256 = ?, error = ? WHERE no = ?", stored_sha256, error, no)

    # -- deletion --------------------------------------------------------------------------------

    @command
    def expire(self, tx: Tx, before: float) -> int:
        old = tx.fetch_all(
            "SELECT no FROM job WHERE created_at < ? AND state NOT IN ('queued', 'dispatched', 'accepted', 'running') LIMIT ?",
            *(before, _EXPIRE_BATCH),
        )
        for row in old:
            output.remove(tx, row["no"])
            tx.execute("DELETE FROM job WHERE no = ?", row["no"])
        tx.execute("DELETE FROM batch WHERE created_at < ? AND NOT EXISTS (SELECT 1 FROM job WHERE job.batch = batch.no)", before)
        tx.execute("DELETE FROM job_grave WHERE buried_at < ?", tx.now - GRAVE_S)
        return len(old)


_NODE: Final = "SELECT no FROM node "


def create_in(tx: Tx, chain: Chain, scope: Scope, job: NewJob, idempotency_key: str | None = None) -> None:
    """Create a job within a command. Raises: NotFound: the caller may not see the node, or there is none."""
    node = tx.fetch_one(_NODE + "WHERE org = ? AND id = ?" + admitted(scope), scope.org, job.node_id, *grant_values(scope))
    if node is None:
        raise NotFound(f"there is no node {job.node_id}")
    insert(tx, scope, job, node["no"], key=idempotency_key)
    chain.write(tx, scope, "job.create", job.id, job.audited())


def _record_change(tx: Tx, job_id: JobId) -> Job:
    """Store the event of a job that has just changed its state, if any, and return the job."""
    job = to_job(load(tx, job_id))
    event = job_event(job, tx.fetch_all("SELECT name FROM node WHERE id = ?", job.node_id)[0]["name"], tx.now)
    if event is not None:
        record_event(tx, event)
    return job


def _check_ran(row: Row) -> None:
    """Refuse a plan, a report or output of a job that never ran.

    Raises: Conflict.
    """
    if never_ran(row["state"], row["started_at"]):
        raise Conflict(f"job {row['id']} is {row['state']} and never ran, so it has no output", state=row["state"])


def _open_batch_jobs(tx: Rows, sessions: Sequence[Session]) -> Counter[int]:
    """Organisation -> the number of its open jobs of batches, on nodes that are connected to this hub."""
    hub = sessions[0].hub if sessions else ""
    found = tx.fetch_all(
        "SELECT job.org FROM job JOIN node_session AS s ON s.node = job.node"
        " WHERE job.batch IS NOT NULL AND job.state IN ('dispatched', 'accepted', 'running') AND s.hub = ?",
        hub,
    )
    return Counter(row["org"] for row in found)


def delete_jobs_of(tx: Tx, node: int) -> None:
    """Delete the output of a removed node's jobs, and store the ids of the jobs as tombstones. The rows of the jobs are deleted later,
    with the row of the node."""
    for job in tx.fetch_all("SELECT no FROM job WHERE node = ?", node):
        output.remove(tx, job["no"])
    tx.execute("INSERT INTO job_grave SELECT id, org, ? FROM job WHERE node = ? ON CONFLICT DO NOTHING", tx.now, node)


def _first(rows: Rows, scope: Scope, job: JobId, idempotency_key: str | None) -> Job | None:
    """The job that this request, or an earlier request with the same key, has already created; None: there is none.

    Raises: Conflict: the id belongs to a job of another request, or to a deleted job.
    """
    if idempotency_key is not None:
        where = "WHERE job.org = ? AND job.actor = ? AND job.idempotency_key = ?"
        found = select(rows, where, scope.org, scope.actor.id, idempotency_key)
        if found:
            return to_job(found[0])
    found = select(rows, "WHERE job.id = ?", job)
    if found and (found[0]["org"], found[0]["actor"], found[0]["idempotency_key"]) != (scope.org, scope.actor.id, idempotency_key):
        raise Conflict(f"the job id {job} was used before")
    if not found and rows.fetch_one("SELECT 1 FROM job_grave WHERE id = ?", job) is not None:
        raise Conflict(f"the job id {job} was used before")
    return to_job(found[0]) if found else None


def _merge(row: Row, update: JobUpdate, *, final: bool) -> dict[str, str | int | float | None]:
    """The new values of the columns that an update may change. With `final`, only empty columns change."""
    found: dict[str, str | int | float | None] = {
        "phase": update.phase,
        "progress_percent": update.progress_percent,
        "exit_code": update.exit_code,
        "output_total": update.output_bytes,
        "node_sha256": update.output_sha256,
        "started_at": update.started_at,
        "ended_at": update.ended_at,
        "changes": None if update.changes is None else records_to_json(update.changes),
        "error": None if update.error is None else record_to_json(update.error),
        "package": update.package,
        "note": update.note,
        "last_output_at": update.last_output_at,
        "lost_bytes": update.lost_bytes,
        "stop": None,
        "stop_why": None,
    }
    if update.stop is not None and row["stop"] is not None and (update.stop.final or not row["stop_force"]):
        found["stop"], found["stop_why"] = update.stop.state, update.stop.why
    return {name: row[name] if value is None or (final and row[name] not in (None, "", "[]")) else value for name, value in found.items()}
