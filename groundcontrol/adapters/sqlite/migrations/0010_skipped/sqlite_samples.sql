-- Numbers of a node's journal that were passed over: what lies under them on its disk may be read later, and is stored then.
CREATE TABLE skipped (
    node INTEGER NOT NULL,
    journal INTEGER NOT NULL,           -- boot.no
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,              -- included
    PRIMARY KEY (node, journal, first)
) STRICT, WITHOUT ROWID;
