"""The bodies and views of single sign-on."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.access.oidc.model import GroupRow, Link, Provider, SignInAttempt
from groundcontrol.access.users import checked_grants
from groundcontrol.access.views import GrantsBody, GrantsView, LoginView, grants_view
from groundcontrol.web.answer import Answer, Body, view_of


class SsoButtonView(Answer):
    """A provider as the log-in page shows it."""

    name: str
    title: str
    away: bool
    """Whether it did not answer when it was last asked."""


class SsoButtonsView(Answer):
    providers: list[SsoButtonView]


class SsoStartBody(Body):
    return_to: str = "/"
    """The path of the page to show afterwards."""
    purpose: Literal["login", "link", "step_up"] = "login"
    """`link` and `step_up` belong to a session."""


class SsoStartView(Answer):
    location: str
    """Where the browser goes now. The answer also sets a cookie, without which the log-in cannot be finished."""


class SsoFinishBody(Body):
    """What the provider gave the browser, from the query of `/oidc`."""

    state: str
    code: str = ""
    iss: str = ""
    error: str = ""
    error_description: str = ""
    totp: str = ""
    """A code of the second factor, after 401 `auth.totp_required`. `state` is then `continue` of that answer."""


class SsoFinishView(Answer):
    purpose: Literal["login", "link", "step_up"]
    return_to: str
    login: LoginView | None
    """Of a log-in; otherwise null."""


class SsoLogoutView(Answer):
    location: str | None
    """Where the browser goes to end the provider's session too; null: nowhere."""


class SsoLoggedOutView(Answer):
    sessions: int
    """How many sessions ended."""


class SsoLinkView(Answer):
    id: str
    provider: str
    issuer: str
    subject: str
    shown: str
    """What the provider called the user at the last log-in."""
    created_at: float
    used_at: float | None


class SsoLinksView(Answer):
    links: list[SsoLinkView]


class GroupRowBody(Body):
    """Users with this value in this claim get a membership."""

    claim: str
    """The name of a claim, or names with dots between them: `groups`, `realm_access.roles`."""
    value: str
    """Compared exactly."""
    organisation: str
    """The organisation's name in addresses."""
    role: Literal["admin", "operator", "viewer"]
    grants: GrantsBody | None = None
    """The nodes that the membership is limited to; null: every node."""


class GroupRowView(Answer):
    claim: str
    value: str
    organisation: str
    role: Literal["admin", "operator", "viewer"]
    grants: GrantsView | None


class ProviderBody(Body):
    title: str
    """The text of the button."""
    issuer: str
    """Exactly as the provider calls itself, with or without the slash at its end."""
    client_id: str
    client_secret: str | msgspec.UnsetType | None = msgspec.UNSET
    """Sealed, and never shown again. Null: a public client. Left out: the one that is sealed stays; a new provider has none."""
    enabled: bool = True
    scopes: list[str] = msgspec.field(default_factory=lambda: ["openid", "profile"])
    ca_pem: str = ""
    """Certificates of the authorities that may sign the provider's certificate; empty: those of the system."""
    create_accounts: bool = False
    """Whether an unknown user gets an account, if a row gives them a membership."""
    methods: list[str] | None = None
    """Values of `amr` that prove a second factor; null: the usual ones."""
    levels: list[str] = msgspec.field(default_factory=list)
    """Values of `acr` that prove a second factor."""
    groups: list[GroupRowBody] = msgspec.field(default_factory=list)
    """In their order: of the rows for one organisation the first that fits counts."""
    version: int | None = None
    """The version that was read. If another one is stored by now: 409. Null: any."""


class NewProviderBody(ProviderBody, kw_only=True):
    name: str
    """In addresses: 1 to 32 of a-z, 0-9 and `-`."""


class ProviderPatch(Body):
    """What to change; the rest stays, the client secret too."""

    version: int
    """The version that was read. If another one is stored by now: 409."""
    name: str | None = None
    title: str | None = None
    issuer: str | None = None
    client_id: str | None = None
    client_secret: str | msgspec.UnsetType | None = msgspec.UNSET
    """Null removes it."""
    enabled: bool | None = None
    scopes: list[str] | None = None
    ca_pem: str | None = None
    create_accounts: bool | None = None
    methods: list[str] | None = None
    levels: list[str] | None = None
    groups: list[GroupRowBody] | None = None


class ProviderView(Answer):
    name: str
    version: int
    title: str
    issuer: str
    client_id: str
    has_secret: bool
    enabled: bool
    scopes: list[str]
    ca_pem: str
    create_accounts: bool
    methods: list[str]
    levels: list[str]
    groups: list[GroupRowView]
    redirect_uri: str
    """To enter at the provider, as the following two."""
    signed_out_uri: str
    backchannel_uri: str
    failure: str
    """Why the provider did not answer when it was last asked; empty: it did, or was not asked yet."""


class ProvidersView(Answer):
    providers: list[ProviderView]


class ProviderCheckView(Answer):
    """What the provider says about itself."""

    authorization_endpoint: str
    token_endpoint: str
    userinfo: bool
    """Whether it has user information, from which missing claims are read."""
    logout: bool
    """Whether a log-out here can end its session too."""
    backchannel_logout: bool
    """Whether it says that a log-out there ends the sessions here."""
    keys: int


class SsoRuleView(Answer):
    """Whether the members of the organisation sign in through providers only."""

    sso_only: bool
    local_admin: str
    """The admin who may still use a password; empty while it is off."""


class SsoRulePatch(Body):
    sso_only: bool
    local_admin: str | None = None
    """A user name. Null: the caller."""


class SignInAttemptView(Answer):
    at: float
    result: str
    """`done`, or the code of the error."""
    reason: str
    subject: str
    shown: str
    claims: dict[str, list[str]]
    """Each claim that a row names, with the values that came. A claim that is absent did not come."""
    username: str
    """The user of this hub; empty: nobody was logged in."""
    address: str


class SignInAttemptsView(Answer):
    attempts: list[SignInAttemptView]


def link_view(link: Link) -> SsoLinkView:
    return view_of(SsoLinkView, link)


def group_rows(bodies: list[GroupRowBody]) -> tuple[GroupRow, ...]:
    """Raises: BadRequest: grants are empty or invalid."""
    return tuple(
        GroupRow(
            one.claim,
            one.value,
            one.organisation,
            one.role,
            None if one.grants is None else checked_grants(one.grants.nodes, one.grants.tags),
        )
        for one in bodies
    )


def provider_view(provider: Provider, origin: str, failure: str, *, redirect_uri: str, signed_out_uri: str) -> ProviderView:
    return view_of(
        ProviderView,
        provider,
        has_secret=provider.secret_version > 0,
        scopes=list(provider.scopes),
        methods=list(provider.methods),
        levels=list(provider.levels),
        groups=[GroupRowView(row.claim, row.value, row.organisation, row.role, grants_view(row.grants)) for row in provider.groups],
        redirect_uri=redirect_uri,
        signed_out_uri=signed_out_uri,
        backchannel_uri=f"{origin}/api/v1/auth/oidc/{provider.name}/backchannel",
        failure=failure,
    )


def attempt_view(attempt: SignInAttempt) -> SignInAttemptView:
    return view_of(SignInAttemptView, attempt)
