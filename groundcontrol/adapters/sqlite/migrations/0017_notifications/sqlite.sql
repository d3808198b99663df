-- Channels, and one row for each decision about a channel: a message to send, or why there is none. Targets are in the table of secrets.

CREATE TABLE channel (
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    min_severity TEXT NOT NULL,
    quiet_hours TEXT,                   -- JSON; NULL: none
    per_hour INTEGER NOT NULL,
    critical_per_hour INTEGER NOT NULL,
    target_masked TEXT NOT NULL,
    target_version INTEGER NOT NULL,    -- of the sealed target
    state TEXT NOT NULL,                -- ok, retrying, broken
    state_reason TEXT NOT NULL,
    state_since_at REAL NOT NULL,
    failures INTEGER NOT NULL,          -- attempts in a row that failed for now
    probe_at REAL NOT NULL,             -- after many of them: nothing is sent before, and then one message
    tested_at REAL,
    made_at REAL NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (org, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX channel_by_name ON channel (org, name_key);

CREATE TABLE delivery (
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    kind TEXT NOT NULL,                 -- firing, changed, repeat, resolved, event, test, digest
    incident_id TEXT,
    event_id TEXT,
    revision INTEGER NOT NULL,          -- of the incident; of a digest: the number of messages that it stands for
    state TEXT NOT NULL,                -- due, sending, sent, deferred, skipped, failed
    reason TEXT NOT NULL,
    at REAL NOT NULL,
    next_at REAL,                       -- due then; while it is sent: when the lease is over. NULL: final
    until_at REAL NOT NULL,             -- given up then
    attempts INTEGER NOT NULL,
    sent_at REAL,
    critical INTEGER NOT NULL,
    PRIMARY KEY (org, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX delivery_once ON delivery (org, incident_id, channel_id, revision, kind) WHERE incident_id IS NOT NULL;
CREATE UNIQUE INDEX delivery_of_event ON delivery (org, event_id, channel_id) WHERE event_id IS NOT NULL;
CREATE INDEX delivery_open ON delivery (org, channel_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX delivery_by_channel ON delivery (org, channel_id, id);
CREATE INDEX delivery_sent ON delivery (org, channel_id, sent_at) WHERE sent_at IS NOT NULL;

CREATE TABLE delivery_attempt (
    org INTEGER NOT NULL,
    delivery_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    at REAL NOT NULL,
    ended_at REAL,                      -- NULL: under way, or its hub ended
    code TEXT NOT NULL,                 -- `http:503`, `smtp:451`, `connect` …; empty while it is under way
    PRIMARY KEY (org, delivery_id, number)
) STRICT, WITHOUT ROWID;
