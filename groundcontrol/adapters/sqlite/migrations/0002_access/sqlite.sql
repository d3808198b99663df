-- Second factor, grants, API tokens.

ALTER TABLE account ADD COLUMN grants TEXT;                             -- JSON; NULL: every node
ALTER TABLE account ADD COLUMN password_at REAL;                        -- of a one-time password: when it was made
ALTER TABLE account ADD COLUMN totp_version INTEGER NOT NULL DEFAULT 0; -- of the sealed seed (`secret`, kind `totp`)
ALTER TABLE account ADD COLUMN totp_since REAL;                         -- NULL: no second factor, or not confirmed yet
ALTER TABLE account ADD COLUMN totp_step INTEGER NOT NULL DEFAULT 0;    -- the last one used; only later ones count

ALTER TABLE login ADD COLUMN second_factor INTEGER NOT NULL DEFAULT 0;

-- HMAC of each code that was not used yet.
CREATE TABLE recovery_code (
    org INTEGER NOT NULL,
    account INTEGER NOT NULL REFERENCES account (no) ON DELETE CASCADE,
    hash BLOB NOT NULL,
    PRIMARY KEY (org, account, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX recovery_code_by_account ON recovery_code (account);

CREATE TABLE api_token (
    no INTEGER PRIMARY KEY,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    account INTEGER NOT NULL REFERENCES account (no) ON DELETE CASCADE,
    name TEXT NOT NULL,
    hash BLOB NOT NULL,                 -- SHA-256 of 256 random bits
    role TEXT NOT NULL,
    grants TEXT,                        -- JSON; NULL: those of its owner
    sensitive INTEGER NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    last_used_at REAL,
    last_address TEXT NOT NULL,
    revoked_at REAL,
    UNIQUE (org, id)
) STRICT;
CREATE INDEX api_token_by_id ON api_token (id);
CREATE INDEX api_token_by_hash ON api_token (hash);
CREATE INDEX api_token_by_account ON api_token (account);
