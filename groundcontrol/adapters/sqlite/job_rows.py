"""Rows of jobs: queries, access checks, and conversion to the domain's `Job`."""

from __future__ import annotations

import contextlib
from typing import Final

from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.connection import FOLD
from groundcontrol.adapters.sqlite.engine.json_codec import record_from_json, records_from_json, texts_from_json, to_json
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx, Value
from groundcontrol.adapters.sqlite.node_sessions import check_session
from groundcontrol.adapters.sqlite.plans import shows_loss
from groundcontrol.adapters.sqlite.rights import admitted, grant_values, tags_of
from groundcontrol.core.errors import NotFound, StoreError
from groundcontrol.core.ids import JobId
from groundcontrol.core.scope import Scope
from groundcontrol.core.text import fold
from groundcontrol.jobs.coded_text import LOSS_BEGINS
from groundcontrol.jobs.model import Change, Job, JobError, JobFilter, NewJob, Stop
from groundcontrol.jobs.plans import Report
from groundcontrol.nodes.model import Session
from spider.wire.verbs import lane_of

_SELECT: Final = (
    "SELECT job.*, node.id AS node_id, node.tags AS node_tags, batch.id AS batch_id,"
    " EXISTS (SELECT 1 FROM job_report WHERE job_report.job = job.no) AS has_report,"
    " CASE job.action WHEN 'reboot' THEN (SELECT body FROM job_report WHERE job_report.job = job.no) END AS reboot_report"
    " FROM job JOIN node ON node.no = job.node LEFT JOIN batch ON batch.no = job.batch "
)
_NEWEST_OF_BATCH: Final = (
    " AND CASE WHEN TRUE{} THEN job.batch IS NULL OR NOT EXISTS (SELECT 1 FROM job AS later JOIN node ON node.no = later.node"
    " WHERE later.batch = job.batch AND later.no > job.no{}) ELSE FALSE END"
)
"""The condition for jobs without a batch, and for the newest job of each batch. A template: it takes the other
conditions of the filter, on `job` and then on `later`. Without `CASE`, SQLite would search later jobs first, which takes seconds in a large batch."""
_INCOMPLETE: Final = (
    "({0}.state = 'succeeded' AND {0}.action = 'reboot' AND EXISTS (SELECT 1 FROM job_report AS report,"  # noqa: S608 - built from constants only
    f" json_each(CASE WHEN json_valid(report.body) THEN report.body ELSE '[]' END, '$[{Report._fields.index('notes')}]') AS note,"
    " json_each(?) AS loss"
    " WHERE report.job = {0}.no AND instr(note.value, loss.value) = 1))"
)
"""The condition for reboots after which something is missing. A template: it takes the name of the table of jobs."""
JOBS: Final = Columns(
    Job,
    "job",
    {"output_bytes": "output_end", "output_sha256": "held_sha256"},
    objects=("changes",),
    apart=("lost", "stop"),
    node="(SELECT id FROM node AS its WHERE its.no = job.node)",
)
DAMAGED: Final = JobError("store.damaged", "a stored part of this job cannot be read: stardust doctor tells more")


def select(rows: Rows, where: str, *values: Value) -> list[Row]:
    """Rows of jobs with columns of their nodes. `where`: a WHERE clause on the tables `job`, `node` and `batch`."""
    return rows.fetch_all(_SELECT + where, *values)


def chosen_by(only: JobFilter | None, scope: Scope) -> tuple[str, list[Value]]:
    """Further conditions for a WHERE clause with the tables `job` and `node`, and their values."""
    if only is None:
        return "", []
    chosen, values = _conditions(only, "job")
    if only.folded:
        of_later, later_values = _conditions(only, "later")
        chosen = _NEWEST_OF_BATCH.format(chosen, of_later + admitted(scope))
        values += [*later_values, *grant_values(scope)]
    return chosen, values


def _conditions(only: JobFilter, job: str) -> tuple[str, list[Value]]:
    """The conditions of a filter except `folded`, and their values. `job`: the name of the table of jobs in the query."""
    chosen, values = "", list[Value]()
    if only.states:
        chosen += f" AND ({job}.state IN (SELECT value FROM json_each(?))"  # noqa: S608 - built from constants only
        values.append(to_json(only.states))
        if "incomplete" in only.states:
            chosen += " OR " + _INCOMPLETE.format(job)
            values.append(to_json(LOSS_BEGINS))
        chosen += ")"
    if only.action:
        chosen += f" AND {job}.action = ?"
        values.append(only.action)
    if only.by:
        chosen += f" AND {job}.created_by = ?"
        values.append(only.by)
    if not only.plans:
        chosen += f" AND {job}.action <> 'plan'"
    if only.search:
        names = f"json_each(CASE WHEN json_valid({job}.args) THEN {job}.args ELSE '[]' END)"
        chosen += (
            f" AND (instr(node.name_key, ?) OR instr({job}.action, ?) OR instr({FOLD}({job}.created_by), ?)"  # noqa: S608 - built from constants only
            f" OR EXISTS (SELECT 1 FROM {names} AS name WHERE instr({FOLD}(name.value), ?)))"
        )
        values += [fold(only.search)] * 4
    if only.changed_between is not None:
        chosen += f" AND {job}.ended_at >= ? AND {job}.ended_at <= ? AND {job}.changes <> '[]'"
        values += only.changed_between
    return chosen, values


def load(rows: Rows, job: JobId) -> Row:
    """The row of a job, without an access check.

    Raises: NotFound.
    """
    found = select(rows, "WHERE job.id = ?", job)
    if not found:
        raise NotFound(f"there is no job {job}")
    return found[0]


def load_for(rows: Rows, job: JobId, by: Session | Scope) -> Row:
    """The row of a job that the caller may access: a node its own jobs, a user the jobs of granted nodes.

    Raises: NotFound; Fenced: the session is over.
    """
    if isinstance(by, Session):
        check_session(rows, by)
    row = load(rows, job)
    if isinstance(by, Session):
        foreign = row["node_id"] != by.node
    else:
        foreign = row["org"] != by.org or not by.admits(row["node_id"], tags_of(row["node_tags"]))
    if foreign:
        raise NotFound(f"there is no job {job}")
    return row


def insert(tx: Tx, scope: Scope, job: NewJob, node: int, *, key: str | None = None, batch: int | None = None) -> None:
    """Insert a queued job. `node`, `batch`: row numbers of the node and the batch."""
    request = job.request
    tx.execute(
        "INSERT INTO job (org, id, node, actor, idempotency_key, action, args, lane, for_action, plan, reboot, timeout_s, batch, state,"
        " output_end, created_by, created_at, not_after, changes, version)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', 0, ?, ?, ?, '[]', 1)",
        *(
            scope.org,
            job.id,
            node,
            scope.actor.id,
            key,
            request.action,
            to_json(request.args),
            lane_of(request.action),
            request.for_action,
            request.plan,
            request.reboot,
            request.timeout_s,
        ),
        *(batch, scope.actor.name, job.created_at, job.not_after),
    )


def has_readable_order(row: Row) -> bool:
    """Whether the stored order is readable. A damaged order is never sent: without its names it could be an order for all packages."""
    with contextlib.suppress(StoreError):
        texts_from_json(row["args"])
        return True
    return False


def to_job(row: Row) -> Job:
    """A row of `select` as a `Job`. If a part is damaged, parts are left out, and the job's error says so."""
    args: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    try:
        args = texts_from_json(row["args"])
        changes = records_from_json(Change, row["changes"])
        error = None if row["error"] is None else record_from_json(JobError, row["error"])
    except StoreError:
        error = DAMAGED
    return JOBS.read(
        row, args=args, changes=changes, error=error, lost=row["reboot_report"] is not None and shows_loss(row["reboot_report"]),
        package=row["package"] or "", note=row["note"] or "",
        stop=None if row["stop"] is None else Stop(row["stop"], row["stop_why"], row["stop_by"], row["stop_at"], bool(row["stop_force"])),
    )  # fmt: skip
