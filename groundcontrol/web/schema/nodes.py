"""Nodes, metrics and history."""

from __future__ import annotations

from typing import Literal

from groundcontrol.web.schema.base import Answer, Body


class IdentityView(Answer):
    hostname: str
    machine_id: str
    os_id: str
    os_name: str
    os_version: str
    kernel: str
    architecture: str
    virtualization: str
    cpu_model: str
    cpu_cores: int
    memory_bytes: int
    package_manager: str
    timezone: str
    booted_at: float
    addresses: list[str]


class PolicyView(Answer):
    mode: str
    verbs: list[str]


class UpdatesView(Answer):
    total: int | None
    security: int | None
    checked_at: float | None


class Sample(Answer, gc=False):
    """`value` null: could not be measured."""

    value: float | None
    at: float


class NodeView(Answer):
    id: str
    name: str
    address: str
    state: Literal["pending", "online", "offline"]
    reconnecting: bool
    """Not connected, but it was when the hub last ended, and the hub was started less than two minutes ago: whether it is offline is not known yet."""
    tags: list[str]
    identity: IdentityView
    latest: dict[str, Sample]
    """By series name; in lists only a summary."""
    agent_version: str
    last_seen_at: float | None
    policy: PolicyView | None
    updates: UpdatesView
    reboot_required: Literal["yes", "no", "unknown"]
    created_at: float
    credentials_kept: bool
    simulated: bool
    waiting: bool
    """For somebody's approval: it came with an organisation secret."""
    units: Literal["current", "older", "unknown"]
    """Its unit files, which updates of Spider leave alone: older than this release's, so that the node wants to be deployed again."""
    agent: Literal["current", "outdated", "unknown"]
    """Its Spider, compared with the one that the hub ships: outdated = another version, which `stardust update` replaces."""
    clock_skew_seconds: float | None
    """By how many whole seconds its clock is ahead of the hub's, as it measured within the last minute; null: not known, or it is not connected."""
    keys_generation: int
    """Which generation of its keys it has proven last; `rekey` gives it the next one."""


class NodesView(Answer):
    nodes: list[NodeView]
    next: str | None


class NodePatch(Body):
    name: str | None = None
    tags: list[str] | None = None


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
