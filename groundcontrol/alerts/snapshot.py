"""The state that the engine stores over a restart, and how an instance continues from it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from groundcontrol.alerts.families import Waiting
from groundcontrol.alerts.machine import Flapping, Instance
from groundcontrol.alerts.model import Alert, InstanceKey
from groundcontrol.core.ids import NodeId


class HeldInstance(NamedTuple):
    """The state of an instance at the time of a snapshot."""

    key: InstanceKey
    state: Instance


class Snapshot(NamedTuple):
    """The state of the engine that it cannot restore from samples and alerts."""

    at: float
    instances: tuple[HeldInstance, ...] = ()
    marks: Mapping[NodeId, Mapping[str, float]] = {}
    """Node -> family -> the end of its last judged bucket, in Unix seconds; a missing family: `at`."""
    waiting: Mapping[NodeId, tuple[Waiting, ...]] = {}
    flapping: tuple[tuple[InstanceKey, Flapping], ...] = ()


def restored(state: Instance | None, alert: Alert | None) -> Instance | None:
    """The state of an instance after a restart, from its state in the snapshot and its newest alert; None: the instance is well."""
    if alert is None:
        return state if state is not None and state.level is None else None
    if alert.state == "resolved":
        ended_at = alert.resolved_at or alert.fired_at
        if state is not None and state.level is None and state.known_at >= ended_at:
            return state
        return Instance(ended_at, alert.value or 0.0)  # samples before its end must not fire again
    if state is not None and state.level == alert.level:
        return state._replace(since_at=alert.since_at, stale=alert.stale)
    known_at = alert.fired_at if state is None else max(state.known_at, alert.fired_at)
    return Instance(known_at, alert.value or 0.0, alert.level, alert.since_at, stale=alert.stale)
