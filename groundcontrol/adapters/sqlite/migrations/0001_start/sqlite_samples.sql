-- The samples database: nothing in it has a foreign key into control, and no transaction spans both.
-- `node` is control's node number, which belongs to one organisation and is never used again.

-- The newest epoch that may write; raised before each welcome, to the top when the node is dropped.
CREATE TABLE fence (
    node INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL
) STRICT;

-- live, backfill: the highest gap-free sequence number held of that stream; -1 = none.
CREATE TABLE boot (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    node INTEGER NOT NULL,
    boot BLOB NOT NULL,
    live INTEGER NOT NULL DEFAULT -1,
    backfill INTEGER NOT NULL DEFAULT -1,
    UNIQUE (node, boot)
) STRICT;

CREATE TABLE layout (
    node INTEGER NOT NULL,
    layout BLOB NOT NULL,
    family TEXT NOT NULL,
    rhythm_s INTEGER NOT NULL,
    series TEXT NOT NULL,               -- JSON
    PRIMARY KEY (node, layout)
) STRICT, WITHOUT ROWID;

-- Packs as they arrived. The mark in `boot` lets each (node, boot, stream, seq) in once. The hour comes from the pack itself
-- and stands first, so that a node's hour lies together, a day is 25 short scans, and an expired hour goes as one range.
CREATE TABLE hot (
    hour INTEGER NOT NULL,              -- first_ms / 3,600,000
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    layout BLOB NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    coding INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (hour, node, boot, stream, seq)
) STRICT, WITHOUT ROWID;
