-- Chunks: what the hot table held, by columns, of one node, span and family (`groundcontrol/history/`). A span of seconds is an hour,
-- of minutes a day, of hours 32 days. place = node << 40 | span << 19 | family << 12 | part: a span may lie in several parts until
-- they are merged; every row is in exactly one part of each table, or in `hot`.
CREATE TABLE chunk_1s (
    place INTEGER PRIMARY KEY,
    samples INTEGER NOT NULL,           -- values in it
    body BLOB NOT NULL
) STRICT;

CREATE TABLE chunk_1m (
    place INTEGER PRIMARY KEY,
    samples INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE chunk_1h (
    place INTEGER PRIMARY KEY,
    samples INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- The number of a family within a place.
CREATE TABLE family (
    no INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Spans that lie in more than one part.
CREATE TABLE due (
    tier INTEGER NOT NULL,              -- 0: seconds, 1: minutes, 2: hours
    node INTEGER NOT NULL,
    span INTEGER NOT NULL,
    family INTEGER NOT NULL,
    parts INTEGER NOT NULL,
    since REAL NOT NULL,                -- when the newest part came, by the hub's clock
    PRIMARY KEY (tier, node, span, family)
) STRICT, WITHOUT ROWID;

-- Rows that a node measured and had to drop before the hub had them, as the node counted them.
CREATE TABLE gap (
    no INTEGER PRIMARY KEY,
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,              -- boot.no
    family TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    samples INTEGER NOT NULL,           -- rows that are missing between the two, both included
    why TEXT NOT NULL
) STRICT;
CREATE INDEX gap_by_node ON gap (node, last_ms);

-- Which layouts a live session may still use: those of the node's epoch, the newest first.
ALTER TABLE layout ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE layout ADD COLUMN told INTEGER NOT NULL DEFAULT 0;

-- The marks with which a session began and, once it is over, with which it ended: whether a pack that went out in it without an answer
-- is held. Sessions that stored nothing are not in here.
CREATE TABLE session_mark (
    node INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    boot INTEGER NOT NULL,              -- boot.no
    live INTEGER NOT NULL,
    backfill INTEGER NOT NULL,
    over INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (node, epoch)
) STRICT, WITHOUT ROWID;

-- Lines of nodes' system logs, for those whose owners ask for it.
CREATE TABLE log_line (
    no INTEGER PRIMARY KEY,
    node INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,             -- by the node's clock
    priority INTEGER NOT NULL,          -- 0 to 7, as syslog(3) counts
    source TEXT NOT NULL,
    text TEXT NOT NULL,
    left_out INTEGER NOT NULL           -- lines before this one that were too many to be sent
) STRICT;
CREATE INDEX log_line_by_node ON log_line (node, no);

-- Up to where the journal of a node is held, as its own cursor says.
CREATE TABLE log_cursor (
    node INTEGER PRIMARY KEY,
    cursor TEXT NOT NULL
) STRICT;
