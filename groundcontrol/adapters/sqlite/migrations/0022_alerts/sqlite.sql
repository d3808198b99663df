-- Rules that somebody made or changed, and episodes of alerts with their incidents.

CREATE TABLE alert_rule (
    org INTEGER NOT NULL,
    id TEXT NOT NULL,                   -- of a default rule: its values stand in the place of the program's
    body TEXT NOT NULL,                 -- JSON
    version INTEGER NOT NULL,
    PRIMARY KEY (org, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE incident (
    no INTEGER PRIMARY KEY,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    level TEXT NOT NULL,
    state TEXT NOT NULL,
    title TEXT NOT NULL,
    since_at REAL NOT NULL,
    resolved_at REAL,
    grouped TEXT NOT NULL,              -- what its episodes have in common
    revision INTEGER NOT NULL,
    UNIQUE (org, id)
) STRICT;
CREATE INDEX incident_open ON incident (org, no) WHERE state = 'open';

CREATE TABLE alert (
    no INTEGER PRIMARY KEY,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    rule TEXT NOT NULL,
    node_id TEXT,
    object TEXT NOT NULL,
    level TEXT NOT NULL,
    state TEXT NOT NULL,
    since_at REAL NOT NULL,
    fired_at REAL NOT NULL,
    resolved_at REAL,
    reason TEXT,
    value REAL,
    threshold REAL,
    incident TEXT NOT NULL,
    acknowledged_at REAL,
    acknowledged_by TEXT NOT NULL,
    note TEXT NOT NULL,
    snoozed_until REAL,
    suppressed_by TEXT NOT NULL,
    maintenance TEXT,
    stale INTEGER NOT NULL,
    flapping INTEGER NOT NULL,
    retro INTEGER NOT NULL,
    UNIQUE (org, id)
) STRICT;
CREATE UNIQUE INDEX alert_firing ON alert (org, rule, coalesce(node_id, ''), object) WHERE state = 'firing';
CREATE INDEX alert_by_node ON alert (org, node_id, no);
CREATE INDEX alert_by_rule ON alert (org, rule, node_id, no);
CREATE INDEX alert_by_incident ON alert (org, incident);

CREATE TABLE alert_engine (             -- what the engine cannot find again in samples and alerts
    org INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    body BLOB NOT NULL                  -- MessagePack
) STRICT;

ALTER TABLE node ADD COLUMN note TEXT NOT NULL DEFAULT '';
