"""Re-authorisation: whether the user who ordered a job or a deployment, or made an invite, still may. Checked right before the work
starts (SAFETY: authorised at dispatch)."""

from __future__ import annotations

import sqlite3

from groundcontrol.adapters.sqlite.engine.json_codec import record_from_json, texts_from_json, to_json
from groundcontrol.adapters.sqlite.engine.tx import Rows
from groundcontrol.core.permissions import FOR_TOKENS, PERMISSIONS, Action, job_action
from groundcontrol.core.scope import SYSTEM, Grants, Role, min_role
from groundcontrol.deployments.model import Deployment

_USER = "SELECT role, grants, disabled, reset_at FROM account WHERE id = ?"
_PROGRAM = (  # the query for an API token
    "SELECT api_token.role, api_token.grants, api_token.revoked_at, api_token.expires_at, account.role AS owner_role,"
    " account.grants AS owner_grants, account.disabled, account.reset_at"
    " FROM api_token JOIN account ON account.no = api_token.account WHERE api_token.id = ?"
)


def still_authorized(rows: Rows, job: sqlite3.Row, now: float) -> bool:
    """Whether the actor of this job could order it now.

    Args: job: with `actor`, `action`, `created_at`, `node_id` and `tags` (of its node).
    """
    return _may(rows, job["actor"], job_action(job["action"]), job["node_id"], job["tags"], job["created_at"], now)


def may_still_deploy(rows: Rows, actor: str, deployment: Deployment, ordered_at: float, now: float) -> bool:
    """Whether this actor could order this deployment now."""
    if deployment.kind == "install" and not deployment.wishes.again:
        return _may(rows, actor, "deployment.create", "", to_json(deployment.wishes.tags), ordered_at, now)
    node = rows.one("SELECT id, tags FROM node WHERE id = ?", deployment.node_id)
    at, tags = ("", "[]") if node is None else (node["id"], node["tags"])
    return _may(rows, actor, "node.delete" if deployment.kind == "remove" else "node.update", at, tags, ordered_at, now)


def _may(rows: Rows, actor: str, action: Action, node: str, tags: str, ordered_at: float, now: float) -> bool:
    """Args: node: "": a node that does not exist yet; tags: of the node, as JSON."""
    if actor == SYSTEM.actor.id or actor.isdecimal():
        return True  # the hub itself, or the Unix user who owns its data folder
    user = rows.one(_USER, actor)
    if user is not None:
        return _stands(user, ordered_at) and user["role"] in PERMISSIONS[action] and _granted(node, tags, user["grants"])
    token = rows.one(_PROGRAM, actor)
    if token is None or not _stands(token, ordered_at) or token["revoked_at"] is not None or token["expires_at"] <= now:
        return False
    role: Role = min_role(token["role"], token["owner_role"])
    allowed = action in FOR_TOKENS and role in PERMISSIONS[action]
    return allowed and _granted(node, tags, token["grants"]) and _granted(node, tags, token["owner_grants"])


def _stands(account: sqlite3.Row, ordered_at: float) -> bool:
    """Whether the order is still the user's own. Before a password reset, somebody else may have used the account."""
    reset_at = account["reset_at"]
    return not account["disabled"] and (reset_at is None or ordered_at > reset_at)


def _granted(node: str, tags: str, grants: str | None) -> bool:
    return grants is None or record_from_json(Grants, grants).admit(node, texts_from_json(tags))


def may_still_invite(rows: Rows, invite: sqlite3.Row) -> bool:
    """Whether the maker of this invite could make it now. A secret may be valid for many days, and must not outlive its maker's rights."""
    maker = invite["created_by"]
    if maker.startswith("local:"):
        return True  # the Unix user who owns the data folder; no user name has a colon
    user = rows.one("SELECT role, grants, disabled, reset_at FROM account WHERE org = ? AND username = ?", invite["org"], maker)
    if user is None or not _stands(user, invite["created_at"]):
        return False
    many = invite["kind"] == "organisation"
    if user["role"] not in PERMISSIONS["invite.organisation" if many else "invite.create"]:
        return False
    if user["grants"] is None:
        return True
    return not many and record_from_json(Grants, user["grants"]).admit("", texts_from_json(invite["tags"]))
