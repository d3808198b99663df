"""The tables of patch policies, their occurrences, and windows."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Final, cast

from groundcontrol.adapters.sqlite.control_store import serves
from groundcontrol.adapters.sqlite.engine.json_codec import record_from_json, record_to_json, to_json
from groundcontrol.adapters.sqlite.engine.methods import command
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.node_tables import read_table
from groundcontrol.adapters.sqlite.patch_events import tell
from groundcontrol.adapters.sqlite.records import Also, Form, SqliteRecords
from groundcontrol.adapters.sqlite.rights import admitted, grant_values, may_act
from groundcontrol.core.errors import Conflict, NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.core.permissions import Action
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.core.tables import SubjectTable
from groundcontrol.nodes.updates import HELD, PHASED, SUBJECT, kept_of, rows_of
from groundcontrol.policies.choosing import Update
from groundcontrol.policies.model import PATCH_POLICIES, Occurrence, OccurrenceState, PatchPolicy, PolicyId
from groundcontrol.policies.store import PatchWindowStore, PolicyStore, Told
from groundcontrol.policies.waves import WorkTime, WorkTimes
from groundcontrol.policies.windows import PATCH_WINDOWS, PatchWindow

_OCCURRENCE: Final = "SELECT * FROM patch_occurrence WHERE org = ? AND policy = ? AND due_at = ?"
_TABLES: Final = (
    "SELECT node.id AS node_id, t.* FROM node JOIN node_table AS t ON t.org = node.org AND t.node = node.no AND t.subject = ?"
    " WHERE node.org = ? AND (CAST(? AS TEXT) IS NULL OR node.id IN (SELECT value FROM json_each(?)))"
)
_LAST_PATCHED: Final = (
    "SELECT node.id AS node_id, job.ended_at, job.id FROM node JOIN job ON job.no = (SELECT max(last.no) FROM job AS last WHERE last.node = node.no"
    " AND last.state = 'succeeded' AND last.action IN ('upgrade', 'security-upgrade', 'full-upgrade')) WHERE node.org = ?"
)
_WORK_TIMES: Final = (
    "SELECT node_id, action, max(seconds) AS longest, avg(CASE WHEN 2 * place BETWEEN jobs AND jobs + 2 THEN seconds END) AS middle FROM"
    " (SELECT node_id, action, seconds, row_number() OVER (PARTITION BY node_id, action ORDER BY seconds) AS place,"
    " count(*) OVER (PARTITION BY node_id, action) AS jobs FROM (SELECT node.id AS node_id, job.action, job.ended_at - job.started_at AS seconds,"
    " row_number() OVER (PARTITION BY job.node, job.action ORDER BY job.no DESC) AS age FROM node JOIN job ON job.org = node.org"
    " AND job.node = node.no WHERE node.org = ? AND node.id IN (SELECT value FROM json_each(?)) AND job.state = 'succeeded'"
    " AND job.started_at IS NOT NULL AND job.ended_at >= job.started_at"
    " AND job.action IN ('upgrade', 'security-upgrade', 'full-upgrade', 'reboot'){}) AS newest WHERE age <= 10) AS ranked GROUP BY node_id, action"
)
"""The two places in the middle of the last ten, or the one, are those whose double is from their number to two more."""


@serves("policies", PolicyStore)
class SqlitePolicies(SqliteRecords[PatchPolicy]):
    form = Form(PATCH_POLICIES)

    def save_in(self, tx: Tx, scope: Scope, record: PatchPolicy, also: Also[PatchPolicy] | None = None) -> PatchPolicy:
        def void(tx: Tx, before: PatchPolicy | None) -> Mapping[str, object] | None:
            """An edit counts from the next occurrence and voids approvals; a skip of a person stays."""
            if before is None or self.form.settings(before) != self.form.settings(record):
                tx.execute(
                    "DELETE FROM patch_occurrence WHERE org = ? AND policy = ? AND due_at > ? AND state IN ('planned', 'waiting_approval')",
                    *(scope.org, record.id, tx.now),
                )
            return also(tx, before) if also else None

        return super().save_in(tx, scope, record, void)

    def delete_in(self, tx: Tx, scope: Scope, record_id: str, also: Also[PatchPolicy] | None = None) -> None:
        tx.execute("DELETE FROM patch_occurrence WHERE org = ? AND policy = ?", scope.org, record_id)
        super().delete_in(tx, scope, record_id, also)

    @command
    def pause_policy(self, tx: Tx, org: int, policy: PolicyId, why: str, told: dict[str, object] | None = None) -> None:
        won = tx.execute(
            "UPDATE patch_policy SET paused = ?, considered_at = CASE WHEN ? = '' THEN ? ELSE considered_at END"
            " WHERE org = ? AND id = ? AND paused <> ?",
            *(why, why, tx.now, org, policy, why),
        )
        if won:
            self._chain.write(tx, hub_scope(org), "patch_policy.pause", policy, {"why": why})
        if won and told is not None:
            tell(tx, org, "patch_paused", self.load(tx, org, policy).report, told)

    @command
    def resume_policies(self, tx: Tx, scope: Scope) -> int:
        count = tx.execute(
            "UPDATE patch_policy SET paused = '', considered_at = ? WHERE org = ? AND paused IN ('restored', 'suspended')",
            tx.now,
            scope.org,
        )
        if count:
            self._chain.write(tx, scope, "patch_policy.resume", "all", {"count": count})
        return count

    @command
    def rewind_policy(self, tx: Tx, org: int, policy: PolicyId) -> None:
        won = tx.execute(
            "UPDATE patch_policy SET considered_at = ? WHERE org = ? AND id = ? AND considered_at > ?", tx.now, org, policy, tx.now
        )
        if won:
            tx.execute("DELETE FROM patch_occurrence WHERE org = ? AND policy = ? AND due_at > ? AND state = 'missed'", org, policy, tx.now)
            self._chain.write(tx, hub_scope(org), "patch_policy.rewind", policy, {"why": "the clock of the hub was ahead"})

    # -- occurrences -----------------------------------------------------------------------------

    async def occurrences(self, org: int, policy: PolicyId, since: float) -> Sequence[Occurrence]:
        found = await self._reader.run(
            lambda rows: rows.fetch_all(
                "SELECT * FROM patch_occurrence WHERE org = ? AND policy = ? AND due_at >= ? ORDER BY due_at LIMIT 1000", org, policy, since
            )
        )
        return [record_from_json(Occurrence, row["record"])._replace(version=row["version"]) for row in found]

    async def decided(self, org: int, since: float) -> Mapping[PolicyId, Mapping[float, OccurrenceState]]:
        found = await self._reader.run(
            lambda rows: rows.fetch_all("SELECT policy, due_at, state FROM patch_occurrence WHERE org = ? AND due_at >= ?", org, since)
        )
        states: dict[PolicyId, dict[float, OccurrenceState]] = {}
        for row in found:
            states.setdefault(PolicyId(row["policy"]), {})[row["due_at"]] = row["state"]
        return states

    async def save_occurrence(
        self, scope: Scope, before: Occurrence | None, after: Occurrence, considered_at: float | None = None, told: Told | None = None
    ) -> Occurrence:
        return await self._writer.run(lambda tx: self.save_occurrence_in(tx, scope, before, after, considered_at, told))

    def save_occurrence_in(
        self,
        tx: Tx,
        scope: Scope,
        before: Occurrence | None,
        after: Occurrence,
        considered_at: float | None = None,
        told: Told | None = None,
    ) -> Occurrence:
        """`save_occurrence` within a command."""
        key = (after.org, after.policy_id, after.due_at)
        if self.row(tx, after.org, after.policy_id) is None:
            raise NotFound("there is no such patch policy")
        version = 1 if before is None else before.version + 1
        stored = after._replace(version=version)
        record = record_to_json(stored)
        if before is None:
            won = tx.execute(
                "INSERT INTO patch_occurrence (org, policy, due_at, state, record, version) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (org, policy, due_at) DO NOTHING",
                *(*key, after.state, record, version),
            )
        else:
            won = tx.execute(
                "UPDATE patch_occurrence SET state = ?, record = ?, version = ? WHERE org = ? AND policy = ? AND due_at = ? AND version = ?",
                *(after.state, record, version, *key, before.version),
            )
        if not won:
            known = tx.fetch_one(_OCCURRENCE, *key)
            if known is not None and known["record"] == record:
                return stored
            raise Conflict("this occurrence was decided meanwhile: read it again")
        if considered_at is not None:
            tx.execute(
                "UPDATE patch_policy SET considered_at = ? WHERE org = ? AND id = ? AND considered_at < ?",
                *(considered_at, after.org, after.policy_id, considered_at),
            )
        self._chain.write(
            tx,
            scope,
            f"patch_occurrence.{after.state}",
            after.policy_id,
            {"due_at": after.due_at, "why": after.why, "rollout": after.rollout_id},
        )
        if told is not None:
            tell(tx, after.org, told.kind, self.load(tx, after.org, after.policy_id).report, told.details, told.severity)
        return stored

    # -- what decides -----------------------------------------------------------------------------

    async def may_act(self, org: int, actor_id: str, action: str, node: NodeId, tags: Collection[str], ordered_at: float) -> bool:
        now = self._clock.now()
        return await self._reader.run(
            lambda rows: may_act(rows, org, actor_id, cast("Action", action), node, to_json(list(tags)), ordered_at, now)
        )

    async def node_updates(
        self, scope: Scope, nodes: Collection[NodeId] | None = None
    ) -> Mapping[NodeId, tuple[float, tuple[Update, ...]]]:
        only = None if nodes is None else json.dumps(list(nodes))

        def tables(rows: Rows, subject: str) -> dict[NodeId, SubjectTable]:
            found = rows.fetch_all(_TABLES + admitted(scope), subject, scope.org, only, only, *grant_values(scope))
            return {NodeId(row["node_id"]): table for row in found if (table := read_table(subject, row)) is not None}

        def query(rows: Rows) -> dict[NodeId, tuple[float, tuple[Update, ...]]]:
            kept = {node: kept_of(table) for node, table in tables(rows, HELD).items()}
            return {
                node: (table.taken_at, _updates(table, kept.get(node, {})))
                for node, table in tables(rows, SUBJECT).items()
                if table.total >= 0
            }

        return await self._reader.run(query)

    async def seen(self, org: int, packages: Collection[str]) -> Mapping[tuple[str, str, str], float]:
        found = await self._reader.run(
            lambda rows: rows.fetch_all(
                "SELECT * FROM package_seen WHERE org = ? AND package IN (SELECT value FROM json_each(?))",
                org,
                json.dumps(sorted(packages)),
            )
        )
        return {(row["repository"], row["package"], row["version"]): row["seen_at"] for row in found}

    async def last_event(self, org: int, node: NodeId, kind: str) -> float | None:
        sql = (
            "SELECT max(last_at) AS at FROM event WHERE org = ? AND node_id = ? AND (type = ? OR (type = 'custom' AND json_valid(details)"
            " AND json_extract(details, '$.name') = ?))"
        )
        row = await self._reader.run(lambda rows: rows.fetch_one(sql, org, node, kind, kind))
        return None if row is None else row["at"]

    async def last_patched(self, scope: Scope) -> Mapping[NodeId, float]:
        found = await self._reader.run(lambda rows: rows.fetch_all(_LAST_PATCHED + admitted(scope), scope.org, *grant_values(scope)))
        return {NodeId(row["node_id"]): row["ended_at"] for row in found}

    async def work_times(self, scope: Scope, nodes: Collection[NodeId]) -> Mapping[NodeId, WorkTimes]:
        sql = _WORK_TIMES.format(admitted(scope))
        rows = await self._reader.run(lambda rows: rows.fetch_all(sql, scope.org, json.dumps(list(nodes)), *grant_values(scope)))
        found: dict[NodeId, dict[str, WorkTime]] = {}
        for row in rows:
            found.setdefault(NodeId(row["node_id"]), {})[row["action"]] = WorkTime(row["longest"], row["middle"])
        return found


@serves("patch_windows", PatchWindowStore)
class SqlitePatchWindows(SqliteRecords[PatchWindow]):
    form = Form(PATCH_WINDOWS)


def _updates(table: SubjectTable, kept: Mapping[str, str]) -> tuple[Update, ...]:
    """The updates of a node. Those that are phased are not in its list of updates, since its package manager would not install them."""
    found = [Update(*one, kept.get(one.package, "")) for one in rows_of(table)]
    known = {one.package for one in found}
    deferred = [name for name, why in sorted(kept.items()) if why == PHASED and name not in known]
    return (*found, *(Update(name, "", "", "unknown", "", PHASED) for name in deferred))
