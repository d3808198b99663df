-- Single sign-on. Providers belong to the instance; a link makes a user of a provider an account.

CREATE TABLE oidc_provider (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL                  -- JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE oidc_link (
    no INTEGER PRIMARY KEY,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    account INTEGER NOT NULL REFERENCES account (no) ON DELETE CASCADE,
    provider TEXT NOT NULL,             -- its name, to show
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    shown TEXT NOT NULL,                -- what the provider last called the user, to show
    created_at REAL NOT NULL,
    used_at REAL,
    UNIQUE (org, id),
    UNIQUE (issuer, subject)            -- over all organisations: one account
) STRICT;
CREATE INDEX oidc_link_by_account ON oidc_link (account);

-- What a log-in session is called at the provider that opened it.
CREATE TABLE oidc_session (
    login INTEGER PRIMARY KEY REFERENCES login (no) ON DELETE CASCADE,
    org INTEGER NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    sid TEXT NOT NULL                   -- '': the provider gave none
) STRICT;
CREATE INDEX oidc_session_by_subject ON oidc_session (issuer, subject);
CREATE INDEX oidc_session_by_sid ON oidc_session (issuer, sid);

ALTER TABLE login ADD COLUMN provider TEXT NOT NULL DEFAULT '';         -- its name; '': a password
