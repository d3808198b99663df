-- Events are named as other programs write them, say what they are about, and equal ones share a row.

ALTER TABLE event ADD COLUMN object TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN received_at REAL NOT NULL DEFAULT 0;
ALTER TABLE event ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
ALTER TABLE event ADD COLUMN last_at REAL NOT NULL DEFAULT 0;
ALTER TABLE event ADD COLUMN retro INTEGER NOT NULL DEFAULT 0;

UPDATE event SET received_at = at, last_at = at, type = CASE type
    WHEN 'node.clock_wrong' THEN 'clock_skewed'
    WHEN 'node.samples_lost' THEN 'data_gap'
    WHEN 'node.clock_ahead' THEN 'clock_ahead'
    WHEN 'node.clock_right' THEN 'clock_right'
    WHEN 'node.history_damaged' THEN 'history_damaged'
    WHEN 'node.packages_changed' THEN 'packages_changed'
    WHEN 'deployment.succeeded' THEN CASE WHEN json_valid(details) AND json_extract(details, '$.kind') = 'update' THEN 'agent_updated' ELSE 'deployment_succeeded' END
    WHEN 'deployment.failed' THEN CASE WHEN json_valid(details) AND json_extract(details, '$.kind') = 'update' THEN 'agent_update_failed' ELSE 'deployment_failed' END
    ELSE replace(type, '.', '_') END;

CREATE INDEX event_by_age ON event (severity, received_at);

-- The newest row of equal events, while another one would be counted in it.
CREATE TABLE event_recent (
    org INTEGER NOT NULL,
    node_id TEXT NOT NULL,              -- empty: of no node
    type TEXT NOT NULL,
    same_as TEXT NOT NULL,
    id TEXT NOT NULL,
    last_at REAL NOT NULL,              -- when the hub learned of the newest
    PRIMARY KEY (org, node_id, type, same_as)
) STRICT, WITHOUT ROWID;

-- The ids that senders gave their events: what is sent again is not stored again.
CREATE TABLE event_reported (
    org INTEGER NOT NULL,
    reported_as TEXT NOT NULL,
    id TEXT NOT NULL,
    received_at REAL NOT NULL,
    PRIMARY KEY (org, reported_as)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_reported_by_age ON event_reported (received_at);

-- How many events a sender reported within its newest minute.
CREATE TABLE event_rate (
    org INTEGER NOT NULL,
    sender TEXT NOT NULL,
    minute INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (org, sender)
) STRICT, WITHOUT ROWID;

-- Stored events by hour, for the counts of a day.
CREATE TABLE event_hour (
    org INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    node_id TEXT NOT NULL,
    severity TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (org, hour, node_id, severity)
) STRICT, WITHOUT ROWID;
INSERT INTO event_hour SELECT org, CAST(at / 3600 AS INTEGER), coalesce(node_id, ''), severity, count(*) FROM event
    WHERE at > (SELECT max(at) FROM event) - 172800 GROUP BY 1, 2, 3, 4;
