-- Accounts belong to the instance; their rights in an organisation are a membership. `account.org`, and that of what belongs to an account
-- (`login`, `place`, `recovery_code`, its sealed seed), is always 1 and says nothing.

-- AUTOINCREMENT: the number of an organisation is never used again.
CREATE TABLE organisation (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    state TEXT NOT NULL,                -- active, suspended
    sso_only INTEGER NOT NULL,
    require_totp TEXT NOT NULL,         -- none, admins, all
    node_quota INTEGER,                 -- NULL: no limit
    created_at REAL NOT NULL,
    version INTEGER NOT NULL
) STRICT;

INSERT INTO organisation (no, id, slug, name, state, sso_only, require_totp, node_quota, created_at, version)
    SELECT 1, '00000000000000000000000001', 'default', 'Default', 'active', 0,
        coalesce((SELECT CAST(value AS TEXT) FROM fact WHERE name = 'require_totp'), 'none'), NULL, 0.0, 0;
DELETE FROM fact WHERE name = 'require_totp';

CREATE TABLE membership (
    org INTEGER NOT NULL REFERENCES organisation (no) ON DELETE CASCADE,
    account INTEGER NOT NULL REFERENCES account (no) ON DELETE CASCADE,
    role TEXT NOT NULL,
    grants TEXT,                        -- JSON; NULL: every node
    source TEXT NOT NULL,               -- local, or oidc:<provider>
    until REAL,                         -- of a break-glass membership: when it ends
    reason TEXT NOT NULL,               -- of a break-glass membership
    created_at REAL NOT NULL,
    PRIMARY KEY (org, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX membership_by_account ON membership (account, org);

INSERT INTO membership (org, account, role, grants, source, until, reason, created_at)
    SELECT 1, no, role, grants, 'local', NULL, '', created_at FROM account;

ALTER TABLE account ADD COLUMN instance_admin INTEGER NOT NULL DEFAULT 0;
UPDATE account SET instance_admin = 1 WHERE role = 'admin' AND grants IS NULL;
ALTER TABLE account DROP COLUMN role;
ALTER TABLE account DROP COLUMN grants;
