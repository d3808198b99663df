-- Packs of the last seconds, in the order in which they came: a commit of a thousand nodes fills a few pages of this, where it would touch
-- a page of each node in `hot`. They are moved over there together (`groundcontrol/adapters/sqlite/hot_packs.py`).
CREATE TABLE arrived (
    batch INTEGER NOT NULL,             -- counts the commits since this was empty, without a gap
    node INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    layout BLOB NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    coding INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (batch, node, hour, boot, stream, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX arrived_by_hour ON arrived (hour);
