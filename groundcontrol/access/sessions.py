"""Log-in sessions: their row, their refresh token and their lifetime."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
from collections.abc import Iterator
from typing import Final, NamedTuple

from groundcontrol.access.model import ApiToken, LoginSession, User
from groundcontrol.core.errors import NotFound, Unauthenticated
from groundcontrol.core.ids import SessionId
from groundcontrol.core.scope import Actor, Scope
from groundcontrol.core.text import is_visible
from spider.wire.ids import is_id, new_random_id

IDLE_S: Final = 24 * 3600.0
"""A session ends when it is not refreshed for this long."""
ABSOLUTE_S: Final = 7 * 24 * 3600.0
"""A session ends this long after its log-in, even if it is refreshed."""
IDLE_2FA_S: Final = 30 * 60.0
"""`IDLE_S` for a session with a second factor. Its user has more to protect, and an app makes a new log-in easy."""
ABSOLUTE_2FA_S: Final = 12 * 3600.0
"""`ABSOLUTE_S` for a session with a second factor."""
STEP_UP_S: Final = 900.0
"""How long a proof of the password is valid for actions that require one. A log-in is such a proof."""
STRICT_STEP_UP_S: Final = 300.0
"""As `STEP_UP_S`, for users, second factors, secrets, keys, policies of nodes and removals."""
USER_AGENT_CHARS: Final = 200


class Issued(NamedTuple):
    """The new tokens of a session, for the client."""

    session: LoginSession
    user: User
    token: str
    token_expires_at: float
    refresh: str
    """The new refresh token; empty: the client's present one stays valid."""
    must_enrol: bool = False
    """Whether the user must set up a second factor first."""
    device: str = ""
    """The cookie by which later log-ins recognise this browser; empty: the browser keeps its cookie."""


class Caller(NamedTuple):
    """The user or program that makes a request, with the rights read for this request."""

    scope: Scope
    user: User | None
    session: LoginSession | None
    """None: the caller uses a token or the local socket. The local socket has no user either."""
    token: ApiToken | None = None
    must_enrol: bool = False
    """Whether the user must set up a second factor first. Until then most actions are refused."""


def ends_at(caller: Caller) -> float | None:
    """When the caller's session or token expires, in Unix seconds; None: never (the local socket)."""
    if caller.session is not None:
        return caller.session.expires_at
    return None if caller.token is None else caller.token.expires_at


@contextlib.contextmanager
def within_session() -> Iterator[None]:
    """Raises: Unauthenticated instead of NotFound, for store calls that find that another request has ended the session."""
    try:
        yield
    except NotFound as exc:
        raise Unauthenticated("the session is over; log in again") from exc


def new_refresh(session: SessionId) -> str:
    """A new refresh token: the session's id and 256 random bits."""
    return f"{session}.{base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b'=').decode()}"


def refresh_hash(token: str) -> bytes:
    """The stored hash of a refresh token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def refresh_session_id(token: str) -> SessionId:
    """The id of the session in a refresh token.

    Raises: Unauthenticated: the text is no refresh token.
    """
    session, dot, secret = token.partition(".")
    if not dot or not is_id(session) or len(secret) != 43 or not secret.isascii():
        raise Unauthenticated("log in first")
    return SessionId(session)


def new_session(user: User, *, address: str, user_agent: str, now: float, second_factor: bool = False) -> tuple[LoginSession, str]:
    """A new session and its first refresh token."""
    session_id = SessionId(new_random_id())
    refresh = new_refresh(session_id)
    session = LoginSession(
        id=session_id,
        user_id=user.id,
        password_version=user.password_version,
        csrf_token=secrets.token_urlsafe(32),
        refresh_hash=refresh_hash(refresh),
        created_at=now,
        authenticated_at=now,
        last_seen_at=now,
        expires_at=now + (IDLE_2FA_S if second_factor else IDLE_S),
        address=address,
        user_agent="".join(char if is_visible(char) else "?" for char in user_agent[:USER_AGENT_CHARS]),
        revoked_at=None,
        second_factor=second_factor,
    )
    return session, refresh


def next_expiry(session: LoginSession, now: float) -> float:
    """When a session expires if it is refreshed now, in Unix seconds."""
    if session.second_factor:
        return min(now + IDLE_2FA_S, session.created_at + ABSOLUTE_2FA_S)
    return min(now + IDLE_S, session.created_at + ABSOLUTE_S)


def scope_of(user: User, address: str) -> Scope:
    """The scope of a user who sends requests from this address."""
    grants = () if user.grants is None else (user.grants,)
    return Scope(Actor("user", str(user.id), user.username, user.role, address), user.org, grants)
