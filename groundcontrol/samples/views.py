"""The views of metrics and their history, and of the settings of the hub."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.web.answer import Answer, Body


class MetricView(Answer):
    name: str
    unit: str
    rhythm: int
    kind: Literal["gauge", "counter"]
    labels: list[str]
    derived: bool
    """Whether the hub computes this metric from others, for the rules of alerts. It has no history."""


class MetricsView(Answer):
    metrics: list[MetricView]


class SeriesView(Answer):
    avg: list[float | None]
    min: list[float | None]
    max: list[float | None]


class DamageView(Answer):
    """A time range with corrupt stored samples: its values are missing."""

    start: float
    end: float


class HistoryView(Answer):
    step: int
    tier: Literal["1s", "1m", "1h"]
    times: list[float]
    series: dict[str, SeriesView]
    damaged: list[DamageView]


class HistoriesView(Answer):
    step: int
    tier: Literal["1s", "1m", "1h"]
    times: list[float]
    nodes: dict[str, dict[str, SeriesView]]
    """By node, then by series."""
    damaged: dict[str, list[DamageView]]
    """The corrupt ranges of each node that has any."""


class TierView(Answer):
    """The retention of one tier of the history, and its disk use."""

    tier: Literal["1s", "1m", "1h"]
    kept_s: int
    bytes_per_value: float
    """Average size of a stored value."""
    measured: bool
    """Whether this hub has measured `bytes_per_value`. Before its first complete chunk, that is a default.
    A chunk covers an hour of seconds, a day of minutes, or 32 days of hours.
    """
    values_per_day: float
    """Values per day of the nodes that sent samples within the last day."""
    bytes: int
    """The size once the whole retention is stored."""


class HubView(Answer):
    """The hub's addresses, TLS and disk use."""

    version: str
    origins: list[str]
    """Origins of the web page."""
    node_url: str
    """The address to which nodes connect."""
    secure: bool
    """Whether browsers connect by TLS."""
    tls_pin: str | None
    """SHA-256 of the certificate's public key, which nodes pin. null: a known authority signed it, or there is no TLS."""
    data_dir: str
    database_bytes: int
    """Size of both databases with their write-ahead logs."""
    free_bytes: int
    """Free space on that disk for users other than root."""
    backup_at: float | None
    """The time of the newest backup. null: none is recorded."""


class SettingsView(Answer):
    require_totp: Literal["none", "admins", "all"]
    """The rule in force: who must use a second factor."""
    require_totp_least: Literal["none", "admins", "all"]
    """The minimum that STARDUST_REQUIRE_TOTP sets. The setting may be stricter, never weaker."""
    retention: list[TierView]
    """Tiers, the finest first; empty: the caller is no admin of the hub."""
    hub: HubView | None
    """Null: the caller is no admin of the hub."""


class RetentionPatch(Body):
    """The retention of each tier in seconds. An omitted tier stays unchanged."""

    seconds_s: int | msgspec.UnsetType = msgspec.UNSET
    minutes_s: int | msgspec.UnsetType = msgspec.UNSET
    hours_s: int | msgspec.UnsetType = msgspec.UNSET


class SettingsPatch(Body):
    require_totp: Literal["none", "admins", "all"] | msgspec.UnsetType = msgspec.UNSET
    retention: RetentionPatch | msgspec.UnsetType = msgspec.UNSET
