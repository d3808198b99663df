"""The table of deployments. A row is created once and changed by compare-and-set on its version."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.json_codec import (
    digest,
    to_json,
)
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.pagination import first_id, old_rows_sql, place
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx, Value
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.adapters.sqlite.jobs import OpensWindow, create_in
from groundcontrol.adapters.sqlite.rights import granted_deployments, may, rights_of
from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.errors import Conflict, IdempotencyMismatch, NotFound, StoreError
from groundcontrol.core.ids import DeploymentId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.deployments.model import (
    Deployment,
    DeploymentError,
    DeploymentOptions,
    deployment_event,
    makes_node,
    right_to_order,
)
from groundcontrol.deployments.store import DeploymentStore
from groundcontrol.jobs.model import NewJob
from spider.clock import Clock

_DEPLOYMENT: Final = "SELECT * FROM deployment "
_EXPIRE_BATCH: Final = 200
_EXPIRED: Final = (
    f"{old_rows_sql('deployment')} AND old.state NOT IN ('running', 'awaiting_host_key') AND coalesce(old.ended_at, old.created_at) < ?"  # noqa: S608 - built from constants only
    " AND (old.org, old.id) NOT IN (SELECT org, max(id) FROM deployment WHERE kind = 'install' AND state = 'succeeded'"
    " AND (org, node_id) IN (SELECT org, id FROM node) GROUP BY org, node_id) LIMIT ?"
)
"""Deployments that ended before a time, except the newest successful installation of each existing node."""
_DAMAGED: Final = DeploymentError("store.damaged", "a stored part of this deployment cannot be read: stardust doctor tells more", "")


DEPLOYMENTS: Final = Columns(Deployment, "deployment", {"options": "wishes"}, objects=("steps",), node="coalesce(node_id, '')")
_EDITED: Final = (
    "state", "node_id", "host", "port", "username", "name", "host_key", "steps", "error", "ended_at", "options", "host_key_confirmed", "job",
)  # fmt: skip


@serves("deployments", DeploymentStore)
class SqliteDeployments(ControlStore):
    def __init__(self, writer: Writer, reader: Reader, chain: Chain, clock: Clock, opens: OpensWindow) -> None:
        """Args: opens: opens a maintenance window with the start of a deployment."""
        super().__init__(writer, reader, chain, clock)
        self._opens = opens

    async def create_deployment(
        self, scope: Scope, deployment: Deployment, idempotency_key: str | None = None, order: NewJob | None = None
    ) -> Deployment:
        """Two requests are equal if kind, address, user, name, options and node agree; for a new installation the node does not matter."""
        return (await self._create(scope, [deployment], idempotency_key, order))[0]

    async def create_deployments(
        self, scope: Scope, deployments: Sequence[Deployment], idempotency_key: str | None = None
    ) -> Sequence[Deployment]:
        """All rows have the same batch id. Only the first row has the idempotency key, and the digest of the whole request."""
        return await self._create(scope, deployments, idempotency_key)

    @command
    def _create(
        self, tx: Tx, scope: Scope, wanted: Sequence[Deployment], idempotency_key: str | None, order: NewJob | None = None
    ) -> Sequence[Deployment]:
        head = wanted[0]
        made = digest(scope.org, *([] if head.batch is None else ["many"]), *(part for one in wanted for part in _request_fields(one)))
        first = _first(tx, scope, head.id, idempotency_key)
        if first is not None:
            if first["made"] != made:
                raise IdempotencyMismatch("this id or idempotency key was used for another deployment")
            if head.batch is None:
                return [DEPLOYMENTS.read(first)]
            return [
                DEPLOYMENTS.read(row)
                for row in tx.fetch_all(_DEPLOYMENT + "WHERE org = ? AND batch = ? ORDER BY no", scope.org, first["batch"])
            ]
        for one in wanted:
            tx.execute(
                DEPLOYMENTS.insertion("actor", "idempotency_key", "made"),
                *(*DEPLOYMENTS.values(one._replace(org=scope.org)), scope.actor.id, idempotency_key if one is head else None),
                made if one is head else digest(scope.org, *_request_fields(one)),
            )
            detail = {"kind": one.kind, "host": one.host, "port": one.port, "username": one.username, "node": one.node_id}
            if one.batch is not None:
                detail["batch"] = one.batch
            self._chain.write(tx, scope, "deployment.create", one.id, detail)
            _open_maintenance(tx, scope, one, self._opens)
        if order is not None:
            create_in(tx, self._chain, scope, order)
        return [DEPLOYMENTS.read(_load(tx, scope, one.id)) for one in wanted]

    async def deployment_of_key(self, scope: Scope, idempotency_key: str) -> Deployment | None:
        row = await self._reader.run(lambda rows: _of_key(rows, scope, idempotency_key))
        return None if row is None else DEPLOYMENTS.read(row)

    async def deployment(self, scope: Scope, deployment: DeploymentId) -> Deployment:
        return DEPLOYMENTS.read(await self._reader.run(lambda rows: _load(rows, scope, deployment)))

    @query
    def deployments(self, rows: Rows, scope: Scope, limit: int, cursor: str | None = None, batch: str | None = None) -> Page[Deployment]:
        at = place("deployments", scope.org, limit, cursor)
        granted, values = granted_deployments(scope)
        one: list[Value] = [] if batch is None else [batch]
        where = "WHERE org = ? AND no < ?" + (" AND batch = ?" if one else "") + granted + " ORDER BY no DESC LIMIT ?"
        return at.page(rows.fetch_all(_DEPLOYMENT + where, scope.org, at.start, *one, *values, at.most), _listed)

    @command
    def save_deployment(
        self, tx: Tx, scope: Scope, deployment: Deployment, audit: AuditEntry | None = None, order: NewJob | None = None
    ) -> Deployment:
        row = _load(tx, scope, deployment.id)
        known, after = DEPLOYMENTS.read(row), deployment._replace(version=deployment.version + 1)
        if known == after:
            return known
        if known.version != deployment.version:
            raise Conflict(f"deployment {deployment.id} has changed meanwhile", version=known.version)
        tx.execute(
            f"UPDATE deployment SET version = version + 1, {DEPLOYMENTS.assign(*_EDITED)} WHERE no = ?",  # noqa: S608 - built from constants only
            *(*DEPLOYMENTS.values(deployment, *_EDITED), row["no"]),
        )
        if audit is not None:
            by = scope._replace(actor=audit.actor)
            self._chain.write(tx, by, audit.action, audit.target, audit.detail, audit.result)
        elif known.state != deployment.state:
            error = deployment.error
            detail = (
                {"from": known.state, "error": None} if error is None else {"from": known.state, "error": error.code, "why": error.message}
            )
            self._chain.write(tx, scope, f"deployment.{deployment.state}", deployment.id, detail)
        if known.state != deployment.state:
            _open_maintenance(tx, scope, deployment, self._opens)
        if known.state != deployment.state and deployment.ended_at is not None:
            record_event(tx, deployment_event(deployment, tx.now))
        if order is not None:
            create_in(tx, self._chain, scope, order)
        return DEPLOYMENTS.read(_load(tx, scope, deployment.id))

    async def may_still_deploy(self, scope: Scope, deployment: Deployment, ordered_at: float, now: float) -> bool:
        return await self._reader.run(lambda rows: may_still_deploy(rows, scope.actor.id, deployment, ordered_at, now))

    async def unfinished_deployments(self) -> Sequence[Deployment]:
        found = await self._reader.run(
            lambda rows: rows.fetch_all("SELECT * FROM deployment WHERE state IN ('running', 'awaiting_host_key') ORDER BY id")
        )
        left = []
        for row in found:
            with contextlib.suppress(StoreError):  # the hub must start in spite of a damaged row, which the doctor reports
                left.append(DEPLOYMENTS.read(row))
        return left

    async def expire(self, before: float) -> int:
        sql = f"DELETE FROM deployment WHERE no IN ({_EXPIRED})"  # noqa: S608 - built from constants only
        return await self._writer.run(lambda tx: tx.execute(sql, first_id(before), before, _EXPIRE_BATCH))


def may_still_deploy(rows: Rows, actor: str, deployment: Deployment, ordered_at: float, now: float) -> bool:
    """Whether this actor may still order this deployment."""
    right = right_to_order(deployment)
    at, tags = "", to_json(deployment.options.tags)
    if right != "deployment.create":
        node = rows.fetch_one("SELECT id, tags FROM node WHERE id = ?", deployment.node_id)
        at, tags = ("", "[]") if node is None else (node["id"], node["tags"])
    rights = rights_of(rows, deployment.org, actor, now)
    if makes_node(deployment) and deployment.options.use_hub_key and not may(rights, "hub_key.use", at, tags, ordered_at, now):
        return False
    return may(rights, right, at, tags, ordered_at, now)


def _open_maintenance(tx: Tx, scope: Scope, deployment: Deployment, opens: OpensWindow) -> None:
    """Open a maintenance window while a deployment works on a node that exists already."""
    if deployment.node_id is not None and deployment.state == "running":
        opens(tx, scope.org, deployment.node_id, "deployment", deployment.id, deployment.kind, deployment.created_by)


def _first(rows: Rows, scope: Scope, deployment: DeploymentId, idempotency_key: str | None) -> Row | None:
    if idempotency_key is not None:
        first = _of_key(rows, scope, idempotency_key)
        if first is not None:
            return first
    same = rows.fetch_one("SELECT * FROM deployment WHERE id = ?", deployment)
    if same is not None and (same["org"], same["actor"], same["idempotency_key"]) != (scope.org, scope.actor.id, idempotency_key):
        raise Conflict(f"the deployment id {deployment} was used before")
    return same


def _of_key(rows: Rows, scope: Scope, idempotency_key: str) -> Row | None:
    return rows.fetch_one(_DEPLOYMENT + "WHERE org = ? AND actor = ? AND idempotency_key = ?", scope.org, scope.actor.id, idempotency_key)


def _load(rows: Rows, scope: Scope, deployment: DeploymentId) -> Row:
    granted, values = granted_deployments(scope)
    row = rows.fetch_one(_DEPLOYMENT + "WHERE org = ? AND id = ?" + granted, scope.org, deployment, *values)
    if row is None:
        raise NotFound(f"there is no deployment {deployment}")
    return row


def _request_fields(wanted: Deployment) -> tuple[object, ...]:
    return (
        wanted.kind,
        wanted.host,
        wanted.port,
        wanted.username,
        wanted.name,
        None if makes_node(wanted) else wanted.node_id,
        wanted.options._replace(earlier=None),  # a user does not choose the earlier attempt
    )


def _listed(row: Row) -> Deployment:
    """A row for a list. If a part is damaged, all parts are left out, and the error says so."""
    try:
        return DEPLOYMENTS.read(row)
    except StoreError:
        return DEPLOYMENTS.read(row, host_key=None, steps=(), error=_DAMAGED, options=DeploymentOptions())
