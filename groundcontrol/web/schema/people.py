"""Users, API tokens and settings."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.web.schema.base import Answer, Body


class GrantsBody(Body):
    """The only nodes that somebody may see: those of these ids or of any of these tags. At least one of either."""

    nodes: list[str] = msgspec.field(default_factory=list)
    tags: list[str] = msgspec.field(default_factory=list)


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
    """Without it every node; an admin always sees every node."""


class UserPatch(Body):
    role: Literal["admin", "operator", "viewer"] | None = None
    disabled: bool | None = None
    grants: GrantsBody | None = None
    all_nodes: bool = False
    """True takes the limit to some nodes away; not together with `grants`."""


class OneTimePasswordView(Answer):
    """A password that opens one session, good only for choosing another; shown once, dead after 24 hours."""

    user: AccountView
    password: str


class ApiTokenView(Answer):
    id: str
    username: str
    """Whose it is; it never may more than they may at that moment."""
    name: str
    role: Literal["admin", "operator", "viewer"]
    grants: GrantsView | None
    """Null: every node that its owner sees."""
    sensitive: bool
    """May also do what asks people for their password again: delete a node, restart one."""
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
    """1 to 365."""
    grants: GrantsBody | None = None
    sensitive: bool = False


class NewTokenView(Answer):
    """The token itself, shown once: for `Authorization: Bearer`."""

    token: str
    info: ApiTokenView


class TierView(Answer):
    """How long one tier of the history is kept, and what that takes."""

    tier: Literal["1s", "1m", "1h"]
    kept_s: int
    bytes_per_value: float
    """As this hub has stored of late."""
    measured: bool
    """False: nothing lies as it will stay yet (seconds after their first whole hour, minutes after a day, hours after 32 days), so this is what
    other hubs measured.
    """
    values_per_day: float
    """What those nodes of this hub give each day that have given something within the last day."""
    bytes: int
    """What it takes once it is full."""


class HubView(Answer):
    """The hub itself: where it is reached, and what it takes on its machine."""

    version: str
    origins: list[str]
    """The addresses of the page."""
    node_url: str
    """Where nodes dial."""
    secure: bool
    """Whether browsers reach it by TLS."""
    tls_pin: str | None
    """SHA-256 of the certificate's key, which nodes hold; null: an authority that they know has signed it, or there is no TLS."""
    data_dir: str
    database_bytes: int
    """Settings, jobs and samples, with what waits to be merged into them."""
    free_bytes: int
    """On that disk, for who is not root."""


class SettingsView(Answer):
    require_totp: Literal["none", "admins", "all"]
    """Who must have a second factor, as it holds."""
    require_totp_least: Literal["none", "admins", "all"]
    """What STARDUST_REQUIRE_TOTP demands: settings here may ask for more, never for less."""
    retention: list[TierView]
    """The finest tier first."""
    hub: HubView


class RetentionPatch(Body):
    """How long each tier is kept, in seconds; what is left out stays."""

    seconds_s: int | msgspec.UnsetType = msgspec.UNSET
    minutes_s: int | msgspec.UnsetType = msgspec.UNSET
    hours_s: int | msgspec.UnsetType = msgspec.UNSET


class SettingsPatch(Body):
    require_totp: Literal["none", "admins", "all"] | msgspec.UnsetType = msgspec.UNSET
    retention: RetentionPatch | msgspec.UnsetType = msgspec.UNSET


class SavedViewBody(Body):
    """A filter, order and grouping of the fleet under a name."""

    name: str
    """1 to 60 characters."""
    query: str
    """As in the page's address, without the question mark; at most 400 characters."""


class PreferencesPatch(Body):
    views: list[SavedViewBody] | None = None
    """All of them, at most 40; names differ."""
    single_keys: bool | None = None
    """Whether single letters are commands of the page."""
    network_bits: bool | None = None
    """Whether what goes through a network is shown in bits a second, in the place of bytes."""


class SavedViewView(Answer):
    name: str
    query: str


class PreferencesView(Answer):
    """What somebody has set up for their own page."""

    views: list[SavedViewView]
    single_keys: bool
    network_bits: bool
