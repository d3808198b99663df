"""Rights in SQL: the grants of a caller as a condition of a query, and whether an order or an invite is still authorized."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.engine.json_codec import record_from_json, record_to_json, texts_from_json
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx, Value
from groundcontrol.core.errors import StoreError
from groundcontrol.core.permissions import Action, StoredRights, job_action, still_authorized
from groundcontrol.core.scope import HUB, NO_ORG, Grants, Scope, min_role

_ADMITTED: Final = (
    " AND (node.id IN (SELECT value FROM json_each(?))"
    " OR EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(node.tags) THEN node.tags ELSE '[]' END) AS tag WHERE tag.value IN (SELECT value FROM json_each(?))))"
)
_SOME_NODE: Final = "EXISTS (SELECT 1 FROM node WHERE node.id = "
NO_SUCH_NODE: Final = "NOT EXISTS (SELECT 1 FROM node WHERE node.id = "


def admitted(scope: Scope) -> str:
    """Conditions for a WHERE clause with the table `node`; their values are `grant_values`. An empty text: every node is granted."""
    return _ADMITTED * len(scope.grants)


def admitted_by_tags(scope: Scope, tags: str) -> str:
    """`admitted` for objects without a node, by their tags. `tags`: the column, as `table.column`."""
    return _ADMITTED.replace("node.id", "''").replace("node.tags", tags) * len(scope.grants)


def of_granted(scope: Scope, node: str) -> str:
    """The condition that a granted node with this id exists, for queries without the table `node`. `node`: the column, as `table.column`."""
    return _SOME_NODE + node + admitted(scope) + ")"


def grant_values(scope: Scope) -> list[Value]:
    """The values for the question marks of `admitted`, `admitted_by_tags` and `of_granted`."""
    return [json.dumps(part) for grant in scope.grants for part in (grant.nodes, grant.tags)]


def granted_deployments(scope: Scope) -> tuple[str, list[Value]]:
    """The condition for deployments that a caller may see, and its values. With grants, these are the deployments of granted nodes, and
    the caller's own deployments whose node does not exist."""
    if not scope.grants:
        return "", []
    own = " OR (deployment.actor = ? AND " + NO_SUCH_NODE + "deployment.node_id)))"
    return " AND (" + of_granted(scope, "deployment.node_id") + own, [*grant_values(scope), scope.actor.id]


def write_for_user(
    chain: Chain,
    tx: Tx,
    scope: Scope,
    user: str,
    action: str,
    target: str,
    detail: Mapping[str, object] | None = None,
    result: str = "done",
) -> None:
    """Log what a user does with their own account: in the request's organisation, or without one in each that they belong to."""
    orgs = [] if scope.org != NO_ORG else [row["org"] for row in tx.fetch_all(_ORGS_OF, user)]
    for org in orgs or [scope.org]:
        chain.write(tx, scope._replace(org=org), action, target, detail, result)


_ORGS_OF: Final = (
    "SELECT membership.org FROM membership JOIN account ON account.no = membership.account WHERE account.id = ? ORDER BY membership.org"
)


_MEMBER = (
    " JOIN membership ON membership.account = account.no AND (membership.until IS NULL OR membership.until > ?)"
    " JOIN organisation ON organisation.no = membership.org AND organisation.state = 'active' WHERE membership.org = ? AND "
)
_USER = "SELECT membership.role, membership.grants, account.disabled, account.reset_at FROM account" + _MEMBER  # noqa: S608 - built from constants only
_PROGRAM = (
    "SELECT api_token.role, api_token.grants, api_token.revoked_at, api_token.expires_at, membership.role AS owner_role,"  # noqa: S608 - built from constants only
    " membership.grants AS owner_grants, account.disabled, account.reset_at"
    f" FROM api_token JOIN account ON account.no = api_token.account{_MEMBER} api_token.org = membership.org AND api_token.id = ?"
)
_OWNER = StoredRights("admin")
"""The rights of the hub itself, and of the Unix user who owns its data folder."""


def may_still_run(rows: Rows, job: Row, now: float) -> bool:
    """Whether the actor of this job may still order it. In a suspended organisation nobody may, also not the hub's own user.

    Args: job: a row with `org`, `actor`, `action`, `created_at`, `node_id` and `tags` (of its node).
    """
    if rows.fetch_one("SELECT 1 FROM organisation WHERE no = ? AND state = 'suspended'", job["org"]) is not None:
        return False
    rights = rights_of(rows, job["org"], job["actor"], now)
    return may(rights, job_action(job["action"]), job["node_id"], job["tags"], job["created_at"], now)


def may_act(rows: Rows, org: int, actor: str, action: Action, node: str, tags: str, ordered_at: float, now: float) -> bool:
    """Whether an actor may do this now. Args: org: where a user must be. node: empty: no node in particular. tags: of the node, as JSON."""
    rights = rights_of(rows, org, actor, now)
    if rights is not None and not node:
        rights = rights._replace(grants=())
    return may(rights, action, node, tags, ordered_at, now)


def rights_of_user(rows: Rows, org: int, name: str, now: float) -> StoredRights | None:
    """The rights in one organisation of a user, or of the local user `local:<uid>`; None: there is no such user any more."""
    if name.startswith("local:"):  # no user name has a colon
        return _OWNER
    return _user(rows.fetch_one(_USER + "account.username = ?", now, org, name))


def may(rights: StoredRights | None, action: Action, node: str, tags: str, ordered_at: float, now: float) -> bool:
    """Args: tags: those of the node, as JSON."""
    return still_authorized(rights, action, node, tags_of(tags), ordered_at=ordered_at, now=now)


def rights_of(rows: Rows, org: int, actor: str, now: float) -> StoredRights | None:
    """The rights of an actor in one organisation: the hub, a Unix user (a number), a user, or a token. None: the user or token does not exist any
    more, or is no member of the organisation. `now`: Unix seconds."""
    if actor == HUB.id or actor.isdecimal():
        return _OWNER
    user = _user(rows.fetch_one(_USER + "account.id = ?", now, org, actor))
    token = rows.fetch_one(_PROGRAM, now, org, actor) if user is None else None
    if token is None:
        return user
    grants = _limits(token["grants"]) + _limits(token["owner_grants"])
    until = token["expires_at"] if token["revoked_at"] is None else 0.0
    return StoredRights(min_role(token["role"], token["owner_role"]), grants, token["disabled"], token["reset_at"], until)


def _user(row: Row | None) -> StoredRights | None:
    return None if row is None else StoredRights(row["role"], _limits(row["grants"]), row["disabled"], row["reset_at"])


def tags_of(text: str) -> tuple[str, ...]:
    """Read the column `tags` for a check of rights. Damaged tags count as none, as in `admitted`, until somebody sets them again."""
    try:
        return texts_from_json(text)
    except StoreError:
        return ()


def to_grants(text: str | None) -> Grants | None:
    """Read the column `grants`. `text` None: there is no limit, and the result is None. Damaged grants admit no node, until an admin sets
    them again."""
    try:
        return None if text is None else record_from_json(Grants, text)
    except StoreError:
        return Grants()


def grants_to_json(grants: Grants | None) -> str | None:
    return None if grants is None else record_to_json(grants)


def shown_grants(grants: Grants | None) -> object:
    """Grants for the audit log."""
    return "every node" if grants is None else grants._asdict()


def _limits(text: str | None) -> tuple[Grants, ...]:
    grants = to_grants(text)
    return () if grants is None else (grants,)
