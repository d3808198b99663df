-- Where somebody has logged in from: a keyed hash of the address, and when that was for the last time.
CREATE TABLE place (
    org INTEGER NOT NULL,
    account INTEGER NOT NULL REFERENCES account (no) ON DELETE CASCADE,
    hash BLOB NOT NULL,
    seen_at REAL NOT NULL,
    PRIMARY KEY (org, account, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX place_by_account ON place (account, seen_at);
