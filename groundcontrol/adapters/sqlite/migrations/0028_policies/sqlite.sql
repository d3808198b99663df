-- Patch policies. `spec` has every field; the columns are those that queries and the sweep need.
CREATE TABLE patch_policy (
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,                 -- JSON
    paused TEXT NOT NULL DEFAULT '',
    considered_at REAL NOT NULL,        -- occurrences up to here were judged
    version INTEGER NOT NULL,
    PRIMARY KEY (org, id)
) STRICT;
CREATE UNIQUE INDEX patch_policy_by_name ON patch_policy (org, name);

-- Only occurrences that somebody or something decided about: each once, whatever restarts.
CREATE TABLE patch_occurrence (
    org INTEGER NOT NULL,
    policy TEXT NOT NULL,
    due_at REAL NOT NULL,
    state TEXT NOT NULL,
    record TEXT NOT NULL,               -- JSON
    version INTEGER NOT NULL,
    PRIMARY KEY (org, policy, due_at)
) STRICT;

-- Windows in which patching is allowed, and freezes.
CREATE TABLE patch_window (
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,                 -- JSON
    version INTEGER NOT NULL,
    PRIMARY KEY (org, id)
) STRICT;
CREATE UNIQUE INDEX patch_window_by_name ON patch_window (org, name);

-- When the fleet first saw a version of a package.
CREATE TABLE package_seen (
    org INTEGER NOT NULL,
    package TEXT NOT NULL,
    repository TEXT NOT NULL,
    version TEXT NOT NULL,
    seen_at REAL NOT NULL,
    PRIMARY KEY (org, package, repository, version)
) STRICT, WITHOUT ROWID;

-- Never by a schedule: why, and who said so. Empty: schedules may touch the node.
ALTER TABLE node ADD COLUMN never_why TEXT NOT NULL DEFAULT '';
ALTER TABLE node ADD COLUMN never_by TEXT NOT NULL DEFAULT '';
