"""People and their log-in sessions."""

from __future__ import annotations

from typing import NamedTuple

from groundcontrol.domain.ids import SessionId, UserId
from groundcontrol.domain.scope import Role


class User(NamedTuple):
    id: UserId
    org: int
    username: str
    role: Role
    password_hash: str
    """argon2id over the peppered password."""
    password_version: int
    must_change_password: bool
    disabled: bool
    created_at: float


class LoginSession(NamedTuple):
    """The live row that every request checks; without it a token is worth nothing."""

    id: SessionId
    user_id: UserId
    password_version: int
    csrf_token: str
    refresh_hash: bytes
    """SHA-256 of the refresh token in use."""
    created_at: float
    authenticated_at: float
    """Of the last proof of the password (log-in or step-up)."""
    last_seen_at: float
    expires_at: float
    address: str
    user_agent: str
    revoked_at: float | None
