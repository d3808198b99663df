-- The control database. Times are Unix seconds, ids are texts of 26 characters, `no` is the store's own short number.
-- Every owned row has `org`, and it stands first in every unique index over what people or programs choose.

CREATE TABLE fact (
    name TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keyring (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    body BLOB NOT NULL,
    made_at REAL NOT NULL
) STRICT;

-- kind, record, field: where the secret belongs (`credential`, the node, `private_key`).
CREATE TABLE secret (
    no INTEGER PRIMARY KEY,
    org INTEGER NOT NULL,
    kind TEXT NOT NULL,
    record TEXT NOT NULL,
    field TEXT NOT NULL,
    version INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    UNIQUE (org, kind, record, field)
) STRICT;
CREATE INDEX secret_by_record ON secret (kind, record);

CREATE TABLE hub (
    id TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    version TEXT NOT NULL,
    alive_until REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
    task TEXT PRIMARY KEY,
    hub TEXT NOT NULL,
    token INTEGER NOT NULL,
    until REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a node number is never used again.
CREATE TABLE node (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,             -- case-folded
    address TEXT NOT NULL,
    tags TEXT NOT NULL,                 -- JSON
    generation INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    simulated INTEGER NOT NULL,
    identity TEXT NOT NULL,             -- JSON
    agent_version TEXT NOT NULL,
    policy TEXT,                        -- JSON
    updates TEXT NOT NULL,              -- JSON
    reboot_required TEXT NOT NULL,
    created_at REAL NOT NULL,
    last_seen_at REAL,
    version INTEGER NOT NULL,
    made BLOB NOT NULL,                 -- digest of what it was created from: tells a repeat from another node
    UNIQUE (org, id),
    UNIQUE (org, name_key)
) STRICT;
CREATE INDEX node_by_id ON node (id);

-- The only truth about who owns a node. The epoch only grows; hub NULL: nobody.
CREATE TABLE node_session (
    node INTEGER PRIMARY KEY REFERENCES node (no) ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    hub TEXT,
    boot TEXT NOT NULL,
    claimed_at REAL NOT NULL
) STRICT;

-- Node ids that were used once, in any organisation: they come back never.
CREATE TABLE node_grave (
    id TEXT PRIMARY KEY,
    org INTEGER NOT NULL,
    no INTEGER NOT NULL,
    deleted_at REAL NOT NULL,
    samples_dropped INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    no INTEGER PRIMARY KEY,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    username TEXT NOT NULL,
    username_key TEXT NOT NULL,         -- case-folded
    role TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    password_version INTEGER NOT NULL,
    must_change_password INTEGER NOT NULL,
    disabled INTEGER NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (org, id),
    UNIQUE (org, username_key)
) STRICT;
CREATE INDEX account_by_id ON account (id);
CREATE INDEX account_by_name ON account (username_key);

CREATE TABLE login (
    no INTEGER PRIMARY KEY,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    account INTEGER NOT NULL REFERENCES account (no) ON DELETE CASCADE,
    password_version INTEGER NOT NULL,
    csrf_token TEXT NOT NULL,
    refresh_hash BLOB NOT NULL,
    spent_hash BLOB,                    -- the one before: tells a repeated refresh from a stolen one
    created_at REAL NOT NULL,
    authenticated_at REAL NOT NULL,
    last_seen_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    revoked_at REAL,
    UNIQUE (org, id)
) STRICT;
CREATE INDEX login_by_id ON login (id);
CREATE INDEX login_by_account ON login (account);
CREATE INDEX login_by_expiry ON login (expires_at);

-- One row per rate-limit bucket: the times of the attempts that still count, as packed doubles.
CREATE TABLE attempt (
    bucket TEXT PRIMARY KEY,
    times BLOB NOT NULL,
    until REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_by_end ON attempt (until);

CREATE TABLE job (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    node INTEGER NOT NULL REFERENCES node (no) ON DELETE CASCADE,
    actor TEXT NOT NULL,
    idempotency_key TEXT,
    action TEXT NOT NULL,
    packages TEXT NOT NULL,             -- JSON
    reboot INTEGER NOT NULL,
    state TEXT NOT NULL,
    phase TEXT,
    progress_percent INTEGER,
    exit_code INTEGER,
    output_end INTEGER NOT NULL,        -- bytes held
    output_total INTEGER,               -- bytes there are, as the node says
    held_sha256 TEXT,                   -- of everything held, once the job is over and its output whole
    node_sha256 TEXT,                   -- as the node says
    created_by TEXT NOT NULL,
    created_at REAL NOT NULL,
    not_after REAL NOT NULL,
    started_at REAL,
    ended_at REAL,
    changes TEXT NOT NULL,              -- JSON
    error TEXT,                         -- JSON
    version INTEGER NOT NULL,
    UNIQUE (org, id),
    UNIQUE (org, actor, idempotency_key)
) STRICT;
CREATE INDEX job_by_id ON job (id);
CREATE INDEX job_by_node ON job (node, id);
CREATE INDEX job_waiting ON job (id) WHERE state IN ('queued', 'dispatched');
-- A node has one open job at most.
CREATE UNIQUE INDEX job_open ON job (org, node) WHERE state IN ('dispatched', 'accepted', 'running');

-- place = job.no << 32 | offset: pieces of one job stand together and in order.
CREATE TABLE job_output (
    place INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE deployment (
    no INTEGER PRIMARY KEY,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    actor TEXT NOT NULL,
    idempotency_key TEXT,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    node_id TEXT,
    host TEXT NOT NULL,
    port INTEGER NOT NULL,
    username TEXT NOT NULL,
    name TEXT NOT NULL,
    host_key TEXT,                      -- JSON
    steps TEXT NOT NULL,                -- JSON
    error TEXT,                         -- JSON
    created_by TEXT NOT NULL,
    created_at REAL NOT NULL,
    ended_at REAL,
    version INTEGER NOT NULL,
    made BLOB NOT NULL,
    UNIQUE (org, id),
    UNIQUE (org, actor, idempotency_key)
) STRICT;
CREATE INDEX deployment_unfinished ON deployment (id) WHERE state IN ('running', 'awaiting_host_key');

CREATE TABLE event (
    no INTEGER PRIMARY KEY,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    severity TEXT NOT NULL,
    source TEXT NOT NULL,
    at REAL NOT NULL,
    node_id TEXT,
    message TEXT NOT NULL,
    details TEXT NOT NULL,              -- JSON
    UNIQUE (org, id)
) STRICT;
CREATE INDEX event_by_node ON event (org, node_id, id);

-- One chain per hub process; hash = HMAC-SHA256(audit key, prev || the other columns).
CREATE TABLE audit (
    chain TEXT NOT NULL,
    n INTEGER NOT NULL,
    org INTEGER NOT NULL,
    at REAL NOT NULL,
    actor_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    result TEXT NOT NULL,
    detail TEXT NOT NULL,               -- JSON
    prev BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (chain, n)
) STRICT;
CREATE INDEX audit_by_time ON audit (org, at, chain, n);
