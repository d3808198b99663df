"""The bodies and views of log-ins, sessions, users, tokens and preferences."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.access.model import ApiToken, Person, User
from groundcontrol.access.store import ListedSession
from groundcontrol.access.users import checked_grants
from groundcontrol.core.ids import SessionId
from groundcontrol.core.scope import Grants
from groundcontrol.web.answer import Answer, Body, view_of


class AssertionBody(Body):
    """A proof of a passkey, as the browser gives it (WebAuthn), each part as base64url."""

    credential: str
    client_data: str
    authenticator_data: str
    signature: str


class NewPasskeyBody(Body):
    """A new passkey, as the browser gives it (WebAuthn), each part as base64url."""

    name: str
    credential: str
    client_data: str
    attestation_object: str


class PasskeyRequestView(Answer):
    """A challenge for the browser. It counts once, within five minutes."""

    challenge: str
    host: str
    credentials: list[str]
    """The passkeys that the user has."""
    user: str
    """The id of the user, for a new passkey."""


class PasskeyView(Answer):
    id: str
    name: str
    host: str
    usable: bool
    """Whether it was made under the hub's present host name. Otherwise it works no more."""
    created_at: float
    used_at: float | None


class PasskeysView(Answer):
    passkeys: list[PasskeyView]
    unavailable: str
    """Why none can be added; empty: one can."""
    host: str
    """The host name to which they are bound."""


class LoginBody(Body):
    username: str
    password: str
    totp: str | None = None
    """The six digits of the app, or a recovery code. If the user has a second factor and this is missing: 401 `auth.totp_required`."""
    setup_code: str | None = None
    passkey: AssertionBody | None = None
    """In place of a code. 401 `auth.totp_required` has a challenge for it in `facts.passkey`, if the user has one."""


class PasswordBody(Body):
    current: str
    new: str


class StepUpBody(Body):
    password: str
    totp: str | None = None
    passkey: AssertionBody | None = None
    """In place of a code; `auth/passkeys/challenge` gives the challenge."""


class UserView(Answer):
    username: str
    role: Literal["admin", "operator", "viewer"]
    must_change_password: bool
    totp_enabled: bool = False
    must_enrol_totp: bool = False
    """Whether a required second factor is missing. Until it is set up, other calls answer 403 `auth.totp_enrolment_required`."""
    has_password: bool = True
    """Whether the user can log in with a password. Otherwise a provider of single sign-on proves who they are."""
    limited: bool = False
    """Whether the user's rights are limited to some nodes. Such a user may not change tags, since rights depend on tags."""


class LoginView(Answer):
    token: str
    expires_at: float
    csrf_token: str
    user: UserView
    several_organisations: bool = False
    """Whether the user belongs to several organisations, and so has to name one: `GET /auth/me` lists them."""


class OwnOrganisationView(Answer):
    """An organisation that the caller belongs to."""

    slug: str
    """The short name, for the header `Stardust-Organisation`."""
    name: str
    role: Literal["admin", "operator", "viewer"]
    state: Literal["active", "suspended"]
    until: float | None
    """When a break-glass membership ends; null: the membership has no end."""


class MeView(Answer):
    user: UserView
    csrf_token: str
    expires_at: float
    instance_admin: bool
    """Whether the caller administers the hub: its organisations, settings and backups."""
    many_organisations: bool
    """Whether the hub has more than one organisation."""
    organisation: str | None
    """The organisation of this request; null: it names none, and the caller does not belong to exactly one."""
    organisations: list[OwnOrganisationView]
    """Those that the caller belongs to."""
    provider: str
    """The provider of single sign-on through which this session was opened; empty: a password."""


class SessionView(Answer):
    """An active session."""

    id: str
    username: str
    created_at: float
    last_seen_at: float
    """When the session was last refreshed. Its last request came at most ten minutes later."""
    expires_at: float
    address: str
    user_agent: str
    second_factor: bool
    provider: str
    """The provider through which the user logged in; empty: a password."""
    current: bool
    """Whether this is the caller's session."""


class SessionsView(Answer):
    sessions: list[SessionView]
    next: str | None


class TotpView(Answer):
    """A new second factor, shown once. It takes effect with `auth/totp/confirm`."""

    secret: str
    """The secret in Base32, for manual entry."""
    uri: str
    """The content of the QR code: `otpauth://…`."""


class TotpConfirmBody(Body):
    code: str


class RecoveryCodesView(Answer):
    """Ten codes, shown once. Each is valid once."""

    codes: list[str]


def user_view(user: User, *, must_enrol: bool = False) -> UserView:
    return UserView(
        username=user.username,
        role=user.role,
        must_change_password=user.must_change_password,
        totp_enabled=user.totp_since is not None,
        must_enrol_totp=must_enrol,
        has_password=user.password_hash != "",
        limited=user.grants is not None and user.role != "admin",
    )


def session_view(listed: ListedSession, current: SessionId | None) -> SessionView:
    return view_of(SessionView, listed.session, username=listed.username, current=listed.session.id == current)


class GrantsBody(Body):
    """The nodes that a user or token may see, by ids, tags or both. At least one id or tag is required."""

    nodes: list[str] = msgspec.field(default_factory=list)
    tags: list[str] = msgspec.field(default_factory=list)


def grants_of(body: GrantsBody | None) -> Grants | None:
    """Check grants and bring them into their stored form. None: the body names none.

    Raises: BadRequest.
    """
    return None if body is None else checked_grants(body.nodes, body.tags)


class GrantsView(Answer):
    nodes: list[str]
    tags: list[str]


class AccountView(Answer):
    username: str
    role: Literal["admin", "operator", "viewer"]
    disabled: bool
    must_change_password: bool
    totp_enabled: bool
    grants: GrantsView | None
    """Null: every node."""
    created_at: float
    last_seen_at: float | None


class AccountsView(Answer):
    users: list[AccountView]
    next: str | None


class NewUserBody(Body):
    username: str
    role: Literal["admin", "operator", "viewer"]
    grants: GrantsBody | None = None
    """Without it the user sees every node, as an admin always does."""


class UserPatch(Body):
    role: Literal["admin", "operator", "viewer"] | None = None
    disabled: bool | None = None
    grants: GrantsBody | None = None
    all_nodes: bool = False
    """True: the user sees every node. It cannot be combined with `grants`."""


class OneTimePasswordView(Answer):
    """A one-time password, shown once. It expires after 24 hours, and after a log-in with it only the password can be changed."""

    user: AccountView
    password: str


def account_view(person: Person) -> AccountView:
    user = person.user
    return view_of(
        AccountView,
        user,
        totp_enabled=user.totp_since is not None,
        grants=grants_view(user.grants),
        last_seen_at=person.last_seen_at,
    )


def grants_view(grants: Grants | None) -> GrantsView | None:
    return None if grants is None else GrantsView(nodes=list(grants.nodes), tags=list(grants.tags))


class ApiTokenView(Answer):
    id: str
    username: str
    """The owner. A token never has more rights than its owner has."""
    name: str
    role: Literal["admin", "operator", "viewer"]
    grants: GrantsView | None
    """Null: every node that the owner sees."""
    sensitive: bool
    """Whether the token allows actions for which users must prove their password again, such as the removal of a node."""
    created_at: float
    expires_at: float
    last_used_at: float | None
    last_address: str


class ApiTokensView(Answer):
    tokens: list[ApiTokenView]
    next: str | None


class NewTokenBody(Body):
    name: str
    role: Literal["admin", "operator", "viewer"] = "viewer"
    days: int = 90
    """How long the token is valid: 1 to 365 days."""
    grants: GrantsBody | None = None
    sensitive: bool = False


class NewTokenView(Answer):
    """The token for `Authorization: Bearer`, shown once."""

    token: str
    info: ApiTokenView


def token_view(token: ApiToken) -> ApiTokenView:
    return view_of(ApiTokenView, token, grants=grants_view(token.grants))


class SavedViewBody(Body):
    """A named filter, order and grouping of the fleet."""

    name: str
    """1 to 60 characters."""
    query: str
    """The query of the page's address without the question mark; at most 400 characters."""


class PreferencesPatch(Body):
    views: list[SavedViewBody] | None = None
    """All saved views, at most 40 with different names."""
    single_keys: bool | None = None
    """Whether single letters are keyboard shortcuts of the page."""
    network_bits: bool | None = None
    """Whether network rates are shown in bits a second instead of bytes."""
    columns: list[str] | None = None
    """The columns added to the fleet, in their order, and with a minus those that were taken off; at most 20 names of 1 to 60 characters."""


class SavedViewView(Answer):
    name: str
    query: str


class PreferencesView(Answer):
    """A user's own settings of the page."""

    views: list[SavedViewView]
    single_keys: bool
    network_bits: bool
    columns: list[str]
