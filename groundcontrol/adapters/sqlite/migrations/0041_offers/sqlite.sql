-- A membership that waits for its user's acceptance. An offer to a name that nobody has looks the same.
CREATE TABLE membership_offer (
    org INTEGER NOT NULL REFERENCES organisation (no) ON DELETE CASCADE,
    username_key TEXT NOT NULL,         -- case-folded
    username TEXT NOT NULL,
    role TEXT NOT NULL,
    grants TEXT,                        -- JSON; NULL: every node
    made_by TEXT NOT NULL,
    made_at REAL NOT NULL,
    PRIMARY KEY (org, username_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX membership_offer_by_name ON membership_offer (username_key);
