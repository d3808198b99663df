"""People, their log-in sessions, and the tokens of their programs."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from groundcontrol.core.ids import SessionId, TokenId, UserId
from groundcontrol.core.scope import Grants, Role

TotpRule = Literal["none", "admins", "all"]
"""Who must have a second factor."""
TOTP_RULES: Final[tuple[TotpRule, ...]] = ("none", "admins", "all")
"""From the mildest to the strictest."""


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
    grants: Grants | None = None
    """None: every node."""
    password_at: float | None = None
    """When a password that must be changed was made; None: it is the user's own, or the first one of this hub."""
    totp_version: int = 0
    """Of the sealed seed; 0: there never was one."""
    totp_since: float | None = None
    """None: no second factor, or one that was not confirmed."""


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
    """Of the last proof of the password (log-in or step-up), and of the second factor where there is one."""
    last_seen_at: float
    expires_at: float
    address: str
    user_agent: str
    revoked_at: float | None
    second_factor: bool = False
    """It was opened, or confirmed, with one."""


class ApiToken(NamedTuple):
    """A program's way in. What it may is never more than what its owner may at that moment."""

    id: TokenId
    org: int
    user_id: UserId
    username: str
    name: str
    hash: bytes
    """SHA-256 of the token."""
    role: Role
    grants: Grants | None
    """None: every node that the owner sees."""
    sensitive: bool
    """May do what asks people for their password once more."""
    created_at: float
    expires_at: float
    last_used_at: float | None = None
    last_address: str = ""


class Standing(NamedTuple):
    """What decides about a request, read in one moment."""

    session: LoginSession
    user: User
    require_totp: TotpRule


class TokenStanding(NamedTuple):
    """The same for a token."""

    token: ApiToken
    user: User
    require_totp: TotpRule


class Person(NamedTuple):
    """A user as lists show them."""

    user: User
    last_seen_at: float | None


def stricter(one: TotpRule, other: TotpRule) -> TotpRule:
    """The one that asks for more."""
    return max(one, other, key=TOTP_RULES.index)


def must_enrol(user: User, rule: TotpRule) -> bool:
    """Whether this user has to set up a second factor before anything else."""
    wanted = rule == "all" or (rule == "admins" and user.role == "admin")
    return wanted and user.totp_since is None
