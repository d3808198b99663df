"""Providers of single sign-on, and what they know about accounts."""

from __future__ import annotations

import re
import ssl
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from groundcontrol.access.oidc.claims import DEFAULT_METHODS
from groundcontrol.access.oidc.tokens import Party
from groundcontrol.core.addresses import is_loopback
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import SessionId, UserId
from groundcontrol.core.scope import Grants, Role

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")
RESERVED_NAMES: Final = frozenset({"providers", "links", "finish", "start", "logout", "backchannel"})
"""Names of calls below `auth/oidc`."""
SEALED_TABLE: Final = "oidc_provider"
CLIENT_SECRET: Final = "client_secret"  # noqa: S105  # the name of a column
HINT_TABLE: Final = "oidc_session"
HINT: Final = "id_token"
MOST_PROVIDERS: Final = 20
MOST_ROWS: Final = 200
MOST_TEXT_CHARS: Final = 200
MOST_CA_CHARS: Final = 64 << 10

Purpose = Literal["login", "link", "step_up"]


class GroupRow(NamedTuple):
    """Members of a group get a membership of an organisation. Of the rows for one organisation the first that fits counts."""

    claim: str
    value: str
    """Compared exactly: `Ops` is not `ops`."""
    organisation: str
    """The slug of the organisation."""
    role: Role
    grants: Grants | None = None
    """The nodes that the membership is limited to; None: every node."""


class Provider(NamedTuple):
    """A provider of OpenID Connect."""

    id: str
    version: int
    name: str
    """The name in addresses: `NAME`."""
    title: str
    """The text of its button."""
    issuer: str
    client_id: str
    enabled: bool = True
    scopes: tuple[str, ...] = ("openid", "profile")
    ca_pem: str = ""
    """The only authorities that may sign its certificate; empty: those of the system."""
    create_accounts: bool = False
    """Whether an unknown user gets an account, if a row of `groups` gives them a membership."""
    methods: tuple[str, ...] = DEFAULT_METHODS
    """The values of `amr` that prove a second factor."""
    levels: tuple[str, ...] = ()
    """The values of `acr` that prove a second factor."""
    groups: tuple[GroupRow, ...] = ()
    secret_version: int = 0
    """The version of the sealed client secret; 0: there is none."""

    @property
    def party(self) -> Party:
        return Party(self.issuer, self.client_id)


def source_of(name: str) -> str:
    """The `source` of memberships that a provider gave."""
    return f"oidc:{name}"


class Link(NamedTuple):
    """An account is known by issuer and subject. Names and addresses of e-mail are only shown: they change, and providers reuse them."""

    id: str
    user: UserId
    username: str
    provider: str
    """The name of the provider."""
    issuer: str
    subject: str
    shown: str
    """What the provider called the user at the last log-in."""
    created_at: float
    used_at: float | None


class SsoSession(NamedTuple):
    """What a log-in session that a provider opened is called there."""

    session: SessionId
    provider: str
    issuer: str
    subject: str
    sid: str
    """The provider's id of its session; empty: it gave none."""


class SignInAttempt(NamedTuple):
    """A log-in through a provider that ended, as admins see it."""

    at: float
    provider: str
    result: str
    """`done`, or the code of the error."""
    reason: str
    """Empty: it was done."""
    subject: str
    shown: str
    claims: dict[str, list[str]]
    """Each claim that a row names -> its values; absent: the provider did not send the claim."""
    username: str
    address: str


class SsoRule(NamedTuple):
    """Whether the members of an organisation log in through providers only."""

    sso_only: bool
    local_admin: str
    """The user name of the admin who may still use a password; empty: nobody, while `sso_only` is off."""


def checked(provider: Provider, *, loopback_allowed: bool) -> Provider:
    """Check a provider that an admin has entered.

    Args:   loopback_allowed: whether http:// to this machine is allowed, as on a hub that only this machine reaches.
    Raises: BadRequest: the text says what is wrong.
    """
    if not NAME.match(provider.name) or provider.name in RESERVED_NAMES:
        raise BadRequest("name: 1 to 32 of a-z, 0-9 and -, such as `company`", field="name")
    for field, text, most in (
        ("title", provider.title, 60), ("client_id", provider.client_id, MOST_TEXT_CHARS),
    ):  # fmt: skip
        if not 1 <= len(text) <= most or not text.isprintable() or text != text.strip():
            raise BadRequest(f"{field}: 1 to {most} visible characters", field=field)
    check_url(provider.issuer, "issuer", loopback_allowed=loopback_allowed)
    if urlsplit(provider.issuer).query:
        raise BadRequest(
            "issuer: a URL without `?`; copy it from the provider, with or without a slash at its end as it is there", field="issuer"
        )
    _check_words(provider)
    _check_groups(provider)
    if provider.create_accounts and not provider.groups:
        raise BadRequest("create_accounts needs rows in groups: without one a new account would belong to no organisation", field="groups")
    if provider.ca_pem:
        tls_context(provider.ca_pem)
    return provider


def _check_words(provider: Provider) -> None:
    if "openid" not in provider.scopes or len(provider.scopes) > 20:
        raise BadRequest("scopes: at most 20, and `openid` is one of them", field="scopes")
    for field, texts in (("scopes", provider.scopes), ("methods", provider.methods), ("levels", provider.levels)):
        if len(texts) > 20 or not all(
            1 <= len(text) <= MOST_TEXT_CHARS and text.isascii() and text.isprintable() and " " not in text for text in texts
        ):
            raise BadRequest(f"{field}: at most 20 words without spaces", field=field)


def _check_groups(provider: Provider) -> None:
    if len(provider.groups) > MOST_ROWS:
        raise BadRequest(f"groups: at most {MOST_ROWS} rows", field="groups")
    for row in provider.groups:
        if not all(1 <= len(text) <= MOST_TEXT_CHARS and text.isprintable() for text in (row.claim, row.value, row.organisation)):
            raise BadRequest(f"groups: claim, value and organisation have 1 to {MOST_TEXT_CHARS} visible characters", field="groups")
        if row.role == "admin" and row.grants is not None:
            raise BadRequest("groups: an admin sees every node: leave out `grants`", field="groups")


def check_url(text: str, field: str, *, loopback_allowed: bool) -> None:
    """Check a URL to which the hub or a browser goes on behalf of a provider.

    Raises: BadRequest: it is not https://, nor http:// to this machine where that is allowed.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadRequest(f"{field} is not a URL", field=field) from None
    if len(text) > 2000 or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise BadRequest(f"{field}: at most 2000 visible ASCII characters", field=field)
    if not host or port == 0 or "@" in parts.netloc or parts.fragment:
        raise BadRequest(f"{field}: a URL with a host, without user name and without `#`", field=field)
    if parts.scheme == "https" or (parts.scheme == "http" and loopback_allowed and (host == "localhost" or is_loopback(host))):
        return
    raise BadRequest(
        f"{field}: https://, since the log-in of everybody depends on it (http:// only on a hub that listens on loopback, to loopback)",
        field=field,
    )


def tls_context(ca_pem: str) -> ssl.SSLContext:
    """TLS that trusts these authorities, or with an empty text those of the system. This blocks for some milliseconds.

    Raises: BadRequest: the text holds no certificate.
    """
    if not ca_pem:
        return ssl.create_default_context()
    if len(ca_pem) > MOST_CA_CHARS:
        raise BadRequest(f"ca_pem: at most {MOST_CA_CHARS} characters", field="ca_pem")
    try:
        return ssl.create_default_context(cadata=ca_pem)
    except (ssl.SSLError, ValueError) as exc:
        raise BadRequest("ca_pem: no certificate in PEM form (-----BEGIN CERTIFICATE-----)", field="ca_pem") from exc
