"""Log-in sessions: their row, their refresh token and their lifetime."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
from collections.abc import Iterator
from typing import Final, NamedTuple

from groundcontrol.access.model import (
    ApiToken,
    AuthState,
    LoginSession,
    Membership,
    NoOrganisation,
    TotpRule,
    User,
    choose,
    must_enrol,
    stricter,
)
from groundcontrol.core.errors import NotFound, OrganisationRequired, OrganisationSuspended, OrganisationUnknown, Unauthenticated
from groundcontrol.core.ids import SessionId
from groundcontrol.core.scope import NO_ORG, Actor, Scope
from groundcontrol.core.text import is_visible
from spider.wire.ids import is_id, new_random_id

IDLE_S: Final = 24 * 3600.0
"""A session ends when it is not refreshed for this long."""
ABSOLUTE_S: Final = 7 * 24 * 3600.0
"""A session ends this long after its log-in, even if it is refreshed."""
IDLE_2FA_S: Final = 30 * 60.0
"""`IDLE_S` for a session with a second factor. Its user has more to protect, and an app makes a new log-in easy."""
ABSOLUTE_2FA_S: Final = 12 * 3600.0
"""`ABSOLUTE_S` for a session with a second factor, and for one through a provider: its groups are read at the next log-in."""
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
    several: bool = False
    """Whether the user belongs to several organisations, and so has to name one."""
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
    no_org: NoOrganisation | None = None
    """Why the caller works in no organisation; None: the caller works in one."""
    until: float | None = None
    """When the membership by which the caller works ends, Unix seconds; None: it has no end."""
    memberships: tuple[Membership, ...] = ()
    """Those of the user of a session."""


def ends_at(caller: Caller) -> float | None:
    """When the caller's session, token or membership ends, in Unix seconds; None: never (the local socket)."""
    holder = caller.session or caller.token
    ends = [at for at in (None if holder is None else holder.expires_at, caller.until) if at is not None]
    return min(ends, default=None)


def check_organisation(caller: Caller) -> None:
    """Refuse a caller who works in no organisation.

    Raises: OrganisationRequired; OrganisationUnknown; OrganisationSuspended.
    """
    missing = caller.no_org
    if missing is None:
        return
    if missing.why == "required":
        names = ", ".join(missing.slugs)
        raise OrganisationRequired(
            f"name one of your organisations in the header Stardust-Organisation: {names}", organisations=missing.slugs
        )
    if missing.why == "suspended":
        raise OrganisationSuspended("this organisation is suspended: ask an admin of this hub to resume it")
    raise OrganisationUnknown("you belong to no organisation of this name: GET /api/v1/auth/me lists yours")


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


def new_session(
    user: User, *, address: str, user_agent: str, now: float, second_factor: bool = False, provider: str = ""
) -> tuple[LoginSession, str]:
    """A new session and its first refresh token. Args: provider: through which the user logged in; empty: with a password."""
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
        expires_at=now + (IDLE_2FA_S if second_factor else ABSOLUTE_2FA_S if provider else IDLE_S),
        address=address,
        user_agent="".join(char if is_visible(char) else "?" for char in user_agent[:USER_AGENT_CHARS]),
        revoked_at=None,
        second_factor=second_factor,
        provider=provider,
    )
    return session, refresh


def next_expiry(session: LoginSession, now: float) -> float:
    """When a session expires if it is refreshed now, in Unix seconds."""
    idle_s = IDLE_2FA_S if session.second_factor else IDLE_S
    absolute_s = ABSOLUTE_2FA_S if session.second_factor or session.provider else ABSOLUTE_S
    return min(now + idle_s, session.created_at + absolute_s)


def caller_of(found: AuthState, address: str, now: float, least: TotpRule, *, slug: str | None = None, org: int | None = None) -> Caller:
    """The caller of a session, in one organisation.

    Args: least: who must have a second factor in any organisation. slug, org: as for `choose`.
    """
    member = choose(found.memberships, slug, now, org)
    if isinstance(member, NoOrganisation):
        user = found.user._replace(org=NO_ORG, role="viewer", grants=None)
        return Caller(scope_of(user, address), user, found.session, no_org=member, memberships=found.memberships)
    user = found.user._replace(org=member.org, role=member.role, grants=member.grants)
    needs = not found.session.second_factor and must_enrol(user, stricter(member.require_totp, least))
    return Caller(scope_of(user, address), user, found.session, None, needs, until=member.until, memberships=found.memberships)


def scope_of(user: User, address: str) -> Scope:
    """The scope of a user who sends requests from this address."""
    grants = () if user.grants is None else (user.grants,)
    return Scope(Actor("user", str(user.id), user.username, user.role, address, user.instance_admin), user.org, grants)
