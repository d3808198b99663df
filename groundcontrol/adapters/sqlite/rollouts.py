"""The tables of roll-outs, their targets and jobs. A move is one transaction: state, jobs, stops, events and audit row."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.json_codec import digest, record_from_json, record_to_json
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.pagination import place
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.job_rows import insert, load, select, to_job
from groundcontrol.adapters.sqlite.jobs import SqliteJobs
from groundcontrol.adapters.sqlite.patch_events import tell
from groundcontrol.adapters.sqlite.policies import SqlitePolicies
from groundcontrol.adapters.sqlite.rights import admitted, grant_values, tags_of
from groundcontrol.core.errors import Conflict, IdempotencyMismatch, NotFound, StoreError
from groundcontrol.core.ids import JobId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Actor, Scope, hub_scope
from groundcontrol.jobs.model import OPEN, START_LIMIT_S, Job, NewJob
from groundcontrol.policies.model import role_of
from groundcontrol.rollouts.audit import audit_of
from groundcontrol.rollouts.model import ENDED, JobKey, MakeJob, Rollout, RolloutId, Stepped, StopJob, Target, Tell
from groundcontrol.rollouts.reboots import MOST_S
from groundcontrol.rollouts.report import reach_of
from groundcontrol.rollouts.store import Begin, Keyed, Moved, RolloutStore, Saved
from spider.clock import Clock
from spider.wire.ids import new_time_id

_FIND: Final = "SELECT * FROM rollout WHERE org = ? AND id = ?"
_MISSED: Final = (
    "UPDATE node SET patch_missed = patch_missed + 1, version = version + 1 WHERE org = ? AND id IN (SELECT value FROM json_each(?))"
    " AND never_why = '' RETURNING id, version"
)
_REACHED: Final = (
    "UPDATE node SET patch_missed = 0, version = version + 1 WHERE org = ? AND id IN (SELECT value FROM json_each(?))"
    " AND patch_missed <> 0 RETURNING id, version"
)
_TARGETS: Final = "SELECT * FROM rollout_target WHERE org = ? AND rollout = ? ORDER BY position"
_LIVE: Final = "state IN ('planning', 'ready', 'waiting', 'running', 'holding', 'paused', 'stopping')"
_SEEN: Final = (
    " AND (SELECT count(*) FROM rollout_target AS t JOIN node ON node.org = t.org AND node.id = t.node"
    " WHERE t.org = rollout.org AND t.rollout = rollout.id{}) > 0"
)
_BUSY: Final = (
    "SELECT t.node, t.rollout FROM rollout_target AS t JOIN rollout AS r ON r.org = t.org AND r.id = t.rollout"
    " WHERE t.org = ? AND r.id <> ? AND t.node IN (SELECT value FROM json_each(?)) AND (t.state = 'running'"
    " AND r.state IN ('running', 'holding', 'paused', 'stopping') OR t.state IN ('pending', 'held', 'running')"
    " AND r.state IN ('planning', 'running', 'holding', 'paused', 'stopping') AND r.no < (SELECT no FROM rollout WHERE org = ? AND id = ?))"
)
"""Nodes that another roll-out is at work on, or that an older one has not finished."""
_AT_WORK: Final = (
    "SELECT 1 FROM rollout_target AS t JOIN rollout AS r ON r.org = t.org AND r.id = t.rollout WHERE t.org = ? AND r.id <> ?"
    " AND r.state IN ('running', 'holding', 'paused', 'stopping') AND t.state = 'running' AND t.node IN (SELECT value FROM json_each(?))"
)
_REBOOTS: Final = (
    "SELECT t.record FROM rollout AS r JOIN rollout_target AS t ON t.org = r.org AND t.rollout = r.id"
    " JOIN rollout_job AS rj ON rj.org = t.org AND rj.rollout = t.rollout AND rj.node = t.node AND rj.step = 'reboot'"
    " JOIN job ON job.org = rj.org AND job.id = rj.job"
    " WHERE r.org = ? AND r.id <> ? AND r.state IN ('running', 'holding', 'paused', 'stopping') AND t.state = 'running' AND job.ended_at IS NULL"
)
_REBOOTS_BY_HAND: Final = (
    "SELECT node.tags FROM job JOIN node ON node.no = job.node WHERE job.org = ? AND job.action = 'reboot'"
    " AND job.state IN ('dispatched', 'accepted', 'running') AND coalesce(job.started_at, job.not_after) > ?"
    " AND NOT EXISTS (SELECT 1 FROM rollout_job AS rj WHERE rj.org = job.org AND rj.job = job.id)"
)
"""Without those whose node can no longer be awaited: one that never comes back would block its role for ever."""
_EXPIRE_AT_ONCE: Final = 50


@serves("rollouts", RolloutStore)
class SqliteRollouts(ControlStore):
    def __init__(self, writer: Writer, reader: Reader, chain: Chain, clock: Clock, jobs: SqliteJobs, policies: SqlitePolicies) -> None:
        super().__init__(writer, reader, chain, clock)
        self._jobs = jobs
        self._policies = policies

    @command
    def create_rollout(self, tx: Tx, scope: Scope, rollout: Rollout, begin: Begin | None = None, keyed: Keyed | None = None) -> Rollout:
        first = None if keyed is None else _of_key(tx, scope, keyed)
        if first is not None:
            return first
        made = rollout._replace(org=scope.org, version=1)
        known = tx.fetch_one(_FIND, made.org, made.id)
        if known is not None:
            if _with_targets(tx, known) != made:
                raise Conflict("this id of a roll-out was used before")
            return made
        if begin is not None:
            policy = self._policies.row(tx, made.org, made.policy_id)
            if policy is not None and policy["version"] != made.policy.version:
                raise Conflict(
                    "this patch policy was changed meanwhile: read it again"
                )  # or a hub that has not read the edit would run without it
            self._policies.save_occurrence_in(tx, scope, begin.before, begin.after, begin.considered_at)
        tx.execute(
            "INSERT INTO rollout (org, id, policy, state, made_at, record, version, actor, idempotency_key, made) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?)",
            *(made.org, made.id, made.policy_id, made.state, made.made_at, _record(made)),
            *((None, None, None) if keyed is None else (scope.actor.id, keyed.key, digest(keyed.asked))),
        )
        for position, target in enumerate(made.targets):
            tx.execute(
                "INSERT INTO rollout_target (org, rollout, node, position, state, record) VALUES (?, ?, ?, ?, ?, ?)",
                *(made.org, made.id, target.node, position, target.state, record_to_json(target)),
            )
        detail = {"name": made.name, "policy": made.policy_id, "targets": len(made.targets), "owner": made.owner, "state": made.state}
        self._chain.write(tx, scope, "rollout.create", made.id, detail)
        return made

    @query
    def rollout_of_key(self, rows: Rows, scope: Scope, keyed: Keyed) -> Rollout | None:
        return _of_key(rows, scope, keyed)

    @command
    def save_rollout(self, tx: Tx, scope: Scope, before: Rollout, after: Stepped) -> Saved:
        to = after.rollout._replace(version=before.version + 1)
        won = tx.execute(
            "UPDATE rollout SET state = ?, record = ?, version = ? WHERE org = ? AND id = ? AND version = ?",
            *(to.state, _record(to), to.version, before.org, before.id, before.version),
        )
        if not won:
            row = tx.fetch_one(_FIND, before.org, before.id)
            if row is None:
                raise NotFound("there is no such roll-out")
            if _with_targets(tx, row) == to:
                return Saved(to, ())
            raise Moved("this roll-out has moved meanwhile: read it again", version=row["version"])
        old = {one.node: one for one in before.targets}
        moved = [one for one in to.targets if one != old.get(one.node)]
        for one in moved:
            tx.execute(
                "UPDATE rollout_target SET state = ?, record = ? WHERE org = ? AND rollout = ? AND node = ?",
                *(one.state, record_to_json(one), to.org, to.id, one.node),
            )
        _check_nodes(tx, before, after)
        _check_slots(tx, to, after)
        jobs: list[JobId] = []
        for each in after.commands:
            match each:
                case MakeJob():
                    jobs += self._make_job(tx, to, each)
                case StopJob():
                    jobs += self._stop_job(tx, scope, to, each)
                case Tell(kind=kind, details=details, severity=severity):
                    tell(tx, to.org, kind, to.policy.report if kind in _REPORTED else (), details, severity)
        detail = audit_of(before, to)
        if detail is not None:
            self._chain.write(tx, scope, "rollout.move", to.id, detail)
        return Saved(to, tuple(jobs), _note_misses(tx, to) if to.state in ENDED and before.state not in ENDED else ())

    def _make_job(self, tx: Tx, rollout: Rollout, one: MakeJob) -> list[JobId]:
        node = tx.fetch_one("SELECT no FROM node WHERE org = ? AND id = ?", rollout.org, one.node)
        if node is None:
            return []
        job = NewJob(JobId(new_time_id(tx.now)), one.node, one.request, tx.now, tx.now + START_LIMIT_S)
        owner = Scope(Actor("user", rollout.owner_id, rollout.owner, "operator"), rollout.org)
        tx.execute(
            "INSERT INTO rollout_job (org, rollout, node, step, attempt, job) VALUES (?, ?, ?, ?, ?, ?)",
            *(rollout.org, rollout.id, one.node, one.step, one.attempt, job.id),
        )
        insert(tx, owner, job, node["no"])
        detail = {"node": one.node, "rollout": rollout.id, "step": one.step, **one.request.details()}
        self._chain.write(tx, hub_scope(rollout.org), "job.create", job.id, detail)
        return [job.id]

    def _stop_job(self, tx: Tx, scope: Scope, rollout: Rollout, one: StopJob) -> list[JobId]:
        row = tx.fetch_one(
            "SELECT job FROM rollout_job WHERE org = ? AND rollout = ? AND node = ? AND step = ? AND attempt = ?",
            *(rollout.org, rollout.id, one.node, one.step, one.attempt),
        )
        if row is None:
            return []
        with contextlib.suppress(NotFound, Conflict):  # its node was removed, or it has just ended
            job = load(tx, JobId(row["job"]))
            if job["state"] == "queued" or job["state"] in OPEN:
                self._jobs.stop_in(tx, scope, job, force=one.force)
                return [JobId(row["job"])]
        return []

    @query
    def live_rollouts(self, rows: Rows) -> Sequence[Rollout]:
        found = rows.fetch_all(f"SELECT * FROM rollout WHERE {_LIVE} ORDER BY no")  # noqa: S608  words of our own
        return [rollout for row in found if (rollout := _readable(rows, row)) is not None]

    @query
    def rollout(self, rows: Rows, scope: Scope, rollout: RolloutId) -> Rollout:
        row = rows.fetch_one(_FIND + _seen(scope), scope.org, rollout, *grant_values(scope))
        if row is None:
            raise NotFound("there is no such roll-out")
        return _with_targets(rows, row)

    @query
    def targeting(self, rows: Rows, scope: Scope, node: NodeId, rollouts: Collection[RolloutId]) -> frozenset[RolloutId]:
        found = rows.fetch_all(
            "SELECT rollout FROM rollout_target WHERE org = ? AND node = ? AND rollout IN (SELECT value FROM json_each(?))",
            *(scope.org, node, json.dumps(sorted(rollouts))),
        )
        return frozenset(RolloutId(row["rollout"]) for row in found)

    @query
    def rollouts(self, rows: Rows, scope: Scope, limit: int, cursor: str | None = None, policy: str | None = None) -> Page[Rollout]:
        at = place(f"rollouts:{policy or ''}", scope.org, limit, cursor)
        found = rows.fetch_all(
            "SELECT * FROM rollout WHERE org = ? AND no < ? AND (CAST(? AS TEXT) IS NULL OR policy = ?)"  # noqa: S608 - built from constants only
            + _seen(scope)
            + " ORDER BY no DESC LIMIT ?",
            *(scope.org, at.start, policy, policy, *grant_values(scope), at.most),
        )
        return at.page(found, lambda row: _readable(rows, row))

    @query
    def jobs_of(self, rows: Rows, rollout: Rollout) -> Mapping[JobKey, Job]:
        keys = rows.fetch_all("SELECT * FROM rollout_job WHERE org = ? AND rollout = ?", rollout.org, rollout.id)
        ids = json.dumps([row["job"] for row in keys])
        found = select(rows, "WHERE job.org = ? AND job.id IN (SELECT value FROM json_each(?))", rollout.org, ids)
        jobs = {row["id"]: to_job(row) for row in found}
        return {(NodeId(row["node"]), row["step"], row["attempt"]): jobs[row["job"]] for row in keys if row["job"] in jobs}

    async def busy_elsewhere(self, rollout: Rollout) -> Mapping[NodeId, str]:
        waiting = [one.node for one in rollout.targets if one.state in ("pending", "held")]
        if not waiting:
            return {}

        def query(rows: Rows) -> dict[NodeId, str]:
            found = rows.fetch_all(_BUSY, rollout.org, rollout.id, json.dumps(waiting), rollout.org, rollout.id)
            names = {
                other: str(json.loads(row["record"])["name"])
                for other in {row["rollout"] for row in found}
                if (row := rows.fetch_one(_FIND, rollout.org, other)) is not None
            }
            return {NodeId(row["node"]): names[row["rollout"]] for row in found if row["rollout"] in names}

        return await self._reader.run(query)

    async def role_reboots(self, rollout: Rollout) -> Mapping[str, int]:
        return await self._reader.run(lambda rows: _role_reboots(rows, rollout, self._clock.now()))

    async def reboots_by_policy(self, org: int, nodes: Sequence[NodeId]) -> Mapping[NodeId, float]:
        sql = (
            "SELECT rj.node, max(job.ended_at) AS at FROM rollout_job AS rj JOIN job ON job.org = rj.org AND job.id = rj.job"
            " JOIN rollout AS r ON r.org = rj.org AND r.id = rj.rollout WHERE rj.org = ? AND rj.step = 'reboot' AND r.policy <> ''"
            " AND job.ended_at IS NOT NULL AND rj.node IN (SELECT value FROM json_each(?)) GROUP BY rj.node"
        )
        found = await self._reader.run(lambda rows: rows.fetch_all(sql, org, json.dumps(list(nodes))))
        return {NodeId(row["node"]): row["at"] for row in found}

    async def patched_by(self, scope: Scope) -> Mapping[NodeId, str]:
        sql = (
            "SELECT * FROM (SELECT rj.node, r.record, row_number() OVER (PARTITION BY rj.node ORDER BY job.ended_at DESC) AS place"  # noqa: S608 - built from constants only
            " FROM rollout_job AS rj JOIN job ON job.org = rj.org AND job.id = rj.job JOIN rollout AS r ON r.org = rj.org AND r.id = rj.rollout"
            " JOIN node ON node.org = rj.org AND node.id = rj.node"
            f" WHERE rj.org = ? AND rj.step = 'patch' AND job.state = 'succeeded'{admitted(scope)}) AS patched WHERE place = 1"
        )
        found = await self._reader.run(lambda rows: rows.fetch_all(sql, scope.org, *grant_values(scope)))
        return {NodeId(row["node"]): str(json.loads(row["record"])["name"]) for row in found}

    @command
    def expire_rollouts(self, tx: Tx, before: float) -> int:
        ended = ", ".join(f"'{state}'" for state in sorted(ENDED))
        old = tx.fetch_all(
            f"SELECT org, id FROM rollout WHERE made_at < ? AND state IN ({ended}) LIMIT ?",  # noqa: S608 - built from constants only
            before,
            _EXPIRE_AT_ONCE,
        )
        for row in old:
            for table in ("rollout_job", "rollout_target"):
                tx.execute(f"DELETE FROM {table} WHERE org = ? AND rollout = ?", row["org"], row["id"])  # noqa: S608  one of the two
            tx.execute("DELETE FROM rollout WHERE org = ? AND id = ?", row["org"], row["id"])
        return len(old)


_REPORTED: Final = frozenset({"patch_report", "rollout_holding"})
"""Events that a roll-out also sends to the channels of its report. The report of one that was stopped says so."""


def _note_misses(tx: Tx, rollout: Rollout) -> tuple[tuple[NodeId, int], ...]:
    """Count the misses of each node of an ended roll-out. Returns: the nodes whose count has changed, with their new version."""
    reach = reach_of(rollout)
    found = [*tx.fetch_all(_MISSED, rollout.org, json.dumps(reach.missed)), *tx.fetch_all(_REACHED, rollout.org, json.dumps(reach.reached))]
    return tuple((NodeId(row["id"]), row["version"]) for row in found)


def _role_reboots(rows: Rows, rollout: Rollout, now: float) -> Counter[str]:
    """Reboots under way by role: those of other roll-outs, and those that people have ordered."""
    found = Counter(record_from_json(Target, row["record"]).role for row in rows.fetch_all(_REBOOTS, rollout.org, rollout.id))
    for row in rows.fetch_all(_REBOOTS_BY_HAND, rollout.org, now - MOST_S):
        found[role_of(rollout.policy.role_tags, tags_of(row["tags"]))] += 1
    return found


def _check_nodes(tx: Tx, before: Rollout, after: Stepped) -> None:
    """Two roll-outs that move at the same time must not begin on one node both. Raises: Conflict."""
    waited = {one.node for one in before.targets if one.state in ("pending", "held")} if before.state != "planning" else set()
    begun = [one.node for one in after.commands if isinstance(one, MakeJob) and one.node in waited]
    if begun and tx.fetch_one(_AT_WORK, before.org, before.id, json.dumps(begun)) is not None:
        raise Conflict("another roll-out has begun on one of these nodes meanwhile: the next look tries again")


def _check_slots(tx: Tx, to: Rollout, after: Stepped) -> None:
    """Two roll-outs that move at the same time must not take one slot of a role both. Raises: Conflict."""
    ordered = {one.node for one in after.commands if isinstance(one, MakeJob) and one.step == "reboot"}
    if not ordered:
        return
    roles = {one.role for one in to.targets if one.node in ordered}
    own = Counter(one.role for one in to.targets if one.state == "running" and one.step == "reboot" and one.attempt)
    elsewhere = _role_reboots(tx, to, tx.now)
    if any(own[role] + elsewhere[role] > to.policy.max_per_role for role in roles):
        raise Conflict("another roll-out has begun a reboot in this role meanwhile: the next look tries again")


def _seen(scope: Scope) -> str:
    """The condition that a caller with limited rights sees one of the targets."""
    return _SEEN.format(admitted(scope)) if scope.grants else ""


def _record(rollout: Rollout) -> str:
    return record_to_json(rollout._replace(targets=()))


def _with_targets(rows: Rows, row: Row) -> Rollout:
    found = rows.fetch_all(_TARGETS, row["org"], row["id"])
    targets = tuple(record_from_json(Target, one["record"]) for one in found)
    return record_from_json(Rollout, row["record"])._replace(targets=targets, version=row["version"])


def _of_key(rows: Rows, scope: Scope, keyed: Keyed) -> Rollout | None:
    """What an earlier request of this caller with this key has made. Raises: IdempotencyMismatch."""
    row = rows.fetch_one("SELECT * FROM rollout WHERE org = ? AND actor = ? AND idempotency_key = ?", scope.org, scope.actor.id, keyed.key)
    if row is not None and row["made"] != digest(keyed.asked):
        raise IdempotencyMismatch("this idempotency key was used for another request")
    return None if row is None else _with_targets(rows, row)


def _readable(rows: Rows, row: Row) -> Rollout | None:
    """None: it is damaged, which stops neither the others nor the page."""
    with contextlib.suppress(StoreError):
        return _with_targets(rows, row)
    return None
