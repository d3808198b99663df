-- Passkeys: a second factor beside the codes of an app.
CREATE TABLE passkey (
    no INTEGER PRIMARY KEY,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    account INTEGER NOT NULL REFERENCES account (no) ON DELETE CASCADE,
    name TEXT NOT NULL,
    host TEXT NOT NULL,                 -- of the page where it was made: it works nowhere else
    credential BLOB NOT NULL,           -- the id that the authenticator gave it
    public_key BLOB NOT NULL,           -- COSE
    uses INTEGER NOT NULL,              -- the authenticator's own count; 0: it has none
    created_at REAL NOT NULL,
    used_at REAL,
    UNIQUE (org, id),
    UNIQUE (org, credential)
) STRICT;
CREATE INDEX passkey_by_account ON passkey (account);
