"""The hub's own metrics for `/metrics`, read from its parts at each request."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from groundcontrol.agents.handshake import AgentHandshake
from groundcontrol.agents.ingest import Ingest
from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import AgentSession
from groundcontrol.alerts.machine import LEVELS
from groundcontrol.alerts.service import AlertService
from groundcontrol.core.database import WriterCounts
from groundcontrol.jobs.tracker import JobTracker
from groundcontrol.lifecycle import LoopLag
from groundcontrol.notifications.outbox import Outbox
from groundcontrol.samples.compactor import Compactor
from groundcontrol.schedules.model import Level
from groundcontrol.web.connections import HubRunner
from groundcontrol.web.health import ExportedMetric
from groundcontrol.web.live.hub import LiveHub
from groundcontrol.web.services import Services


class MetricSources(NamedTuple):
    services: Services
    compactor: Compactor
    live: LiveHub
    runner: HubRunner
    databases: Callable[[], Mapping[str, WriterCounts]]
    """Counters by file name, the control database first."""
    bus_dropped: Callable[[], int]
    in_trouble: Callable[[], bool]
    """Whether the database refuses writes."""


def export_metrics(parts: MetricSources) -> Iterator[ExportedMetric]:
    """All metrics of the hub with their current values."""
    services, compactor = parts.services, parts.compactor
    registry, handshake, ingest, tracker = services[Registry], services[AgentHandshake], services[Ingest], services[JobTracker]
    yield from _agents(registry.agents())
    refused = {f'reason="{reason}"': float(count) for reason, count in handshake.refused.items()}
    yield ExportedMetric("agents_refused_total", "counter", "Handshakes that ended without a session.", refused)
    yield _counter("rows_total", "Live rows that arrived.", registry.values.rows)
    yield _counter("packs_stored_total", "Packs that were committed.", ingest.packs)
    yield _counter("pack_batches_total", "Transactions that committed packs.", ingest.batches)
    yield _counter("packs_dropped_total", "Packs of sessions that ended before the commit.", ingest.dropped)
    yield _counter("packs_compacted_total", "Packs that were moved into chunks.", compactor.packs)
    yield _counter("chunk_merges_total", "Merges of the chunks of a span into one.", compactor.merges)
    yield _gauge("compaction_backlog", "Past hours of nodes that are not in chunks yet.", compactor.backlog)
    yield _gauge("packs_set_aside", "Packs that cannot be read, so that no chunk has them.", compactor.quarantined)
    yield _counter("job_output_bytes_total", "Output of jobs that was committed.", tracker.recorder.output_bytes)
    yield _counter("jobs_ended_total", "Jobs that reached a final state.", tracker.ended)
    yield _counter("bus_dropped_total", "Messages that a slow subscriber missed.", parts.bus_dropped())
    yield _gauge("pages_open", "Live pages that are connected.", parts.live.connections)
    yield _counter("pages_cut_total", "Live pages that the hub disconnected because they read too slowly.", parts.live.slow_readers_dropped)
    yield _counter(
        "connections_cut_total", "Connections that the hub closed because they read too slowly.", parts.runner.slow_readers_dropped
    )
    yield _gauge("events_waiting", "Events of nodes that wait for the database.", registry.events.waiting)
    yield from _alerts([services.of(org)[AlertService] for org in services.orgs])
    yield from _messages(services[Outbox])
    yield from _writers(parts.databases())
    yield _counter("password_hashes_total", "Passwords that were hashed or checked.", services.auth.passwords.hashed)
    yield _gauge("loop_tasks", "Tasks of the event loop.", len(asyncio.all_tasks()))
    yield _gauge("loop_lag_seconds_max", "The longest lag of the event loop in the last minute.", services[LoopLag].worst_s)
    yield _gauge("database_in_trouble", "1 while the database refuses writes.", parts.in_trouble())


def export_metrics_of(services: Services, org: int) -> Iterator[ExportedMetric]:
    """The metrics of one organisation, which depend on no other."""
    yield from _agents([agent for agent in services[Registry].agents() if agent.node.org == org])
    yield from _alerts([services.of(org)[AlertService]])


def _agents(agents: Sequence[AgentSession]) -> Iterator[ExportedMetric]:
    yield _gauge("agents_online", "Nodes with a live session.", len(agents))
    yield _gauge("agents_throttled_seconds", "Time that live sessions were made to wait.", sum(agent.throttled_s for agent in agents))


def _alerts(alerts: Sequence[AlertService]) -> Iterator[ExportedMetric]:
    firing = sum((one.counts() for one in alerts), Counter[tuple[Level, str]]())
    states = {
        f'level="{level}",state="{state}"': float(firing[level, state])
        for level in LEVELS
        for state in ("firing", "acknowledged", "suppressed")
    }
    yield ExportedMetric("alerts", "gauge", "Alerts that fire, by level and state.", states)
    yield _counter("rule_eval_seconds_total", "Time that the evaluation of alert rules took.", sum(one.evaluated_s for one in alerts))


def _messages(outbox: Outbox) -> Iterator[ExportedMetric]:
    ended = {f'state="{state}",reason="{reason}"': float(count) for (state, reason), count in outbox.ended.items()}
    yield ExportedMetric("notifications_total", "counter", "Attempts to send a notification, by result.", ended)
    yield _gauge("outbox_oldest_seconds", "How long the oldest message that is due has waited.", outbox.oldest_s)


def _writers(databases: Mapping[str, WriterCounts]) -> Iterator[ExportedMetric]:
    stats = {f'database="{name}"': found for name, found in zip(("control", "samples"), databases.values(), strict=True)}
    refused = {label: float(found.refused) for label, found in stats.items()}
    yield ExportedMetric(
        "commands_refused_total", "counter", "Commands that were refused because too many waited for the database.", refused
    )
    commits = {label: float(found.commits) for label, found in stats.items()}
    yield ExportedMetric("commits_total", "counter", "Committed transactions of each database.", commits)
    worst = {label: found.worst_commit_s for label, found in stats.items()}
    yield ExportedMetric("commit_seconds_max", "gauge", "The longest transaction of each database since the start.", worst)


def _gauge(name: str, text: str, value: float) -> ExportedMetric:
    return ExportedMetric(name, "gauge", text, {"": float(value)})


def _counter(name: str, text: str, value: float) -> ExportedMetric:
    return ExportedMetric(name, "counter", text, {"": float(value)})
