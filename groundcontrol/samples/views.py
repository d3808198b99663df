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


class MetricsView(Answer):
    metrics: list[MetricView]


class SeriesView(Answer):
    avg: list[float | None]
    min: list[float | None]
    max: list[float | None]


class DamageView(Answer):
    """A time of which something was stored that cannot be read any more: values are missing there."""

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
    """Of the nodes of which something is damaged."""


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
