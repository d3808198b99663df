-- Invites and organisation secrets. The secret itself follows from the fleet key and the id: it is kept nowhere.
CREATE TABLE invite (
    no INTEGER PRIMARY KEY,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,                 -- node, organisation
    name TEXT NOT NULL,                 -- of the node, empty: its own; of an organisation secret: what it is for
    tags TEXT NOT NULL,                 -- JSON
    policy TEXT NOT NULL,
    approval INTEGER NOT NULL,          -- its nodes wait until somebody approves them
    most_uses INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    node_id TEXT,                       -- the latest that it made
    created_by TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    revoked_at REAL,
    UNIQUE (org, id)
) STRICT;
CREATE INDEX invite_by_id ON invite (id);
CREATE INDEX invite_by_end ON invite (expires_at);

ALTER TABLE node ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0;          -- for somebody's approval
ALTER TABLE node ADD COLUMN joining INTEGER NOT NULL DEFAULT 0;          -- came by an invite, and is being installed
