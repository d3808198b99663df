"""Request bodies and views of log-in, sessions and second factors."""

from __future__ import annotations

from typing import Literal

from groundcontrol.access.model import User
from groundcontrol.access.store import ListedSession
from groundcontrol.core.ids import SessionId
from groundcontrol.web.answer import Answer, Body, view_of


class LoginBody(Body):
    username: str
    password: str
    totp: str | None = None
    """The six digits of the moment, or a recovery code; without it 401 `auth.totp_required` says that one is needed."""
    setup_code: str | None = None


class PasswordBody(Body):
    current: str
    new: str


class StepUpBody(Body):
    password: str
    totp: str | None = None


class UserView(Answer):
    username: str
    role: Literal["admin", "operator", "viewer"]
    must_change_password: bool
    totp_enabled: bool = False
    must_enrol_totp: bool = False
    """A second factor is required and not there yet: everything but enrolling it answers 403 `auth.totp_enrolment_required`."""
    limited: bool = False
    """To some nodes: their tags, which rights hang on, may not be changed."""


class LoginView(Answer):
    token: str
    expires_at: float
    csrf_token: str
    user: UserView


class MeView(Answer):
    user: UserView
    csrf_token: str
    expires_at: float


class SessionView(Answer):
    """A log-in that is live."""

    id: str
    username: str
    created_at: float
    last_seen_at: float
    """When it last was prolonged: within ten minutes of its last request."""
    expires_at: float
    address: str
    user_agent: str
    second_factor: bool
    current: bool
    """The one that asks."""


class SessionsView(Answer):
    sessions: list[SessionView]
    next: str | None


class TotpView(Answer):
    """A new second factor, shown once; it counts from `auth/totp/confirm` on."""

    secret: str
    """Base32, for typing in."""
    uri: str
    """`otpauth://…`, to be drawn as a QR code."""


class TotpConfirmBody(Body):
    code: str


class RecoveryCodesView(Answer):
    """Ten codes, each good for one log-in; shown once."""

    codes: list[str]


def user_view(user: User, *, must_enrol: bool = False) -> UserView:
    return UserView(
        username=user.username,
        role=user.role,
        must_change_password=user.must_change_password,
        totp_enabled=user.totp_since is not None,
        must_enrol_totp=must_enrol,
        limited=user.grants is not None and user.role != "admin",
    )


def session_view(listed: ListedSession, current: SessionId | None) -> SessionView:
    return view_of(SessionView, listed.session, username=listed.username, current=listed.session.id == current)
