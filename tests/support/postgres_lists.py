"""What PostgreSQL does not prepare yet (`test_postgres.py`). Both lists may only shrink."""

from __future__ import annotations

from typing import Final

REFUSED: Final = (
    'audit:last_at: column "rowid" does not exist',
    'audit:listed: column "rowid" does not exist',
    "audit:listed: function json_object(unknown, text) does not exist",
    'audit:listed: relation "sqlite_schema" does not exist',
    'audit:mark_clock: column "rowid" does not exist',
    'audit:_missing: relation "sqlite_schema" does not exist',
    'deployments:SqliteDeployments.expire: syntax error at or near "ON"',
    'events:SqliteLog.expire_refusals: syntax error at or near "ON"',
    'events:SqliteLog.save_refusals.command: column "rowid" does not exist',
    "expectations:SqliteExpectations.first_reports: function min(double precision, double precision) does not exist",
)
"""`<file>:<function>: <error of PostgreSQL>` of each statement."""
UNREACHED: Final = (
    "alerts:SqliteAlerts._expire_excess",
    "alerts:SqliteAlerts.alerts_of",
    "alerts:SqliteAlerts.ended_since",
    "alerts:SqliteAlerts.last_notified",
    "batches:SqliteBatches.batches.query",
    "batches:SqliteBatches.create_batch.command",
    "batches:_load_for",
    "batches:_to_batch",
    "deliveries:SqliteDeliveries.attempts",
    "deliveries:SqliteDeliveries.event_to_send",
    "deliveries:SqliteDeliveries.held",
    "events:SqliteLog.count_events",
    "events:SqliteLog.events_of.query",
    "events:SqliteLog.find_event",
    "events:_count_again",
    "events:_expire_oldest",
    "expectations:SqliteExpectations.missed_days",
    "expectations:SqliteExpectations.was_reported",
    "node_tables:_made_of",
    "node_tables:_tables",
    "policies:SqlitePolicies.last_event",
    "policies:SqlitePolicies.last_patched",
    "policies:SqlitePolicies.node_updates.tables",
    "records:SqliteRecords.of_every_org",
    "records:SqliteRecords.page",
    "rollouts:SqliteRollouts.patched_by",
    "rollouts:SqliteRollouts.reboots_by_policy",
)
"""`<file>:<function>` that makes a statement which no race case runs."""
