-- What nodes and strangers were refused: one row for each kind and cause in a minute. Unlike the audit log it is not chained, and it is pruned;
-- a row of the audit log sums up each minute.

CREATE TABLE refusal (
    no INTEGER PRIMARY KEY,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    after_audit INTEGER NOT NULL,       -- rowid of the newest audit row when it began: lists show it after that one
    at REAL NOT NULL,
    last_at REAL NOT NULL,
    count INTEGER NOT NULL,
    summed INTEGER NOT NULL,            -- how many of `count` stand in a summary in the audit log
    actor_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT NOT NULL,
    node_id TEXT,                       -- of the node that caused it
    action TEXT NOT NULL,
    why TEXT NOT NULL,
    target TEXT NOT NULL,
    UNIQUE (org, id)
) STRICT;
CREATE INDEX refusal_by_order ON refusal (org, after_audit);
CREATE INDEX refusal_not_summed ON refusal (action) WHERE count > summed;
