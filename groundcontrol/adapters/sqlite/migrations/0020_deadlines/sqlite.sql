-- What is expected of nodes by when, what became of each deadline, and the stages of silence.
CREATE TABLE expectation (
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    selector TEXT NOT NULL,             -- JSON
    event TEXT NOT NULL,                -- a type, or the name of a custom event
    start_time TEXT NOT NULL,           -- local times, such as 05:00
    by_time TEXT NOT NULL,
    zone TEXT NOT NULL,
    days TEXT NOT NULL,                 -- JSON
    grace_s REAL NOT NULL,
    level TEXT NOT NULL,
    valid_from REAL NOT NULL,           -- windows that began before are not judged
    version INTEGER NOT NULL,
    PRIMARY KEY (org, id),
    UNIQUE (org, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE deadline (
    org INTEGER NOT NULL,
    expectation TEXT NOT NULL,
    node INTEGER NOT NULL REFERENCES node (no) ON DELETE CASCADE,
    date TEXT NOT NULL,                 -- of its end, in the expectation's zone
    state TEXT NOT NULL,                -- met, missed, arrived_late, late, not_judged
    by_at REAL NOT NULL,
    due_at REAL NOT NULL,
    judged_at REAL NOT NULL,
    event_id TEXT,
    event_at REAL,                      -- its true time
    received_at REAL,
    PRIMARY KEY (org, expectation, node, date),
    FOREIGN KEY (org, expectation) REFERENCES expectation (org, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX deadline_by_node ON deadline (node);
CREATE INDEX deadline_missed ON deadline (date) WHERE state = 'missed';
CREATE INDEX event_by_type ON event (org, type, at);

-- The stage that a node has reached in its present silence, which began with the end of session `epoch`.
CREATE TABLE node_silence (
    node INTEGER PRIMARY KEY REFERENCES node (no) ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    stage TEXT NOT NULL,                -- stale, down
    silence_s REAL NOT NULL,
    at REAL NOT NULL,
    boot TEXT NOT NULL                  -- of that session
) STRICT;

-- Times in which no hub ran: they do not count as silence of a node.
CREATE TABLE hub_absence (
    no INTEGER PRIMARY KEY,
    from_at REAL NOT NULL,
    until_at REAL NOT NULL
) STRICT;
