-- Maintenance windows: alerts of the selected nodes are evaluated and shown in them, and not told.
-- A job or a deployment opens one of its own, with its id, in the transaction that starts it.
CREATE TABLE maintenance (
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    selector TEXT NOT NULL,             -- JSON
    from_at REAL NOT NULL,
    until_at REAL,                      -- NULL: a weekly window without an end
    reason TEXT NOT NULL,
    origin TEXT NOT NULL,               -- user, job, deployment
    created_by TEXT NOT NULL,
    created_at REAL NOT NULL,
    weekly TEXT,                        -- JSON
    zone TEXT NOT NULL,                 -- of a weekly window
    closed_at REAL,
    PRIMARY KEY (org, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX maintenance_open ON maintenance (origin) WHERE closed_at IS NULL;
