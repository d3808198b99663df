-- Roll-outs. `record` has every field but the targets.
CREATE TABLE rollout (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    policy TEXT NOT NULL,               -- empty: one-off
    state TEXT NOT NULL,
    made_at REAL NOT NULL,
    record TEXT NOT NULL,               -- JSON
    version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX rollout_by_id ON rollout (org, id);
CREATE INDEX rollout_live ON rollout (org, state) WHERE state IN ('planning', 'ready', 'waiting', 'running', 'holding', 'paused', 'stopping');

-- A node stays named here when it is removed.
CREATE TABLE rollout_target (
    org INTEGER NOT NULL,
    rollout TEXT NOT NULL,
    node TEXT NOT NULL,
    position INTEGER NOT NULL,
    state TEXT NOT NULL,
    record TEXT NOT NULL,               -- JSON
    PRIMARY KEY (org, rollout, node)
) STRICT;
CREATE INDEX rollout_target_by_node ON rollout_target (org, node);

-- One job for each step and attempt of a target, for ever.
CREATE TABLE rollout_job (
    org INTEGER NOT NULL,
    rollout TEXT NOT NULL,
    node TEXT NOT NULL,
    step TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    job TEXT NOT NULL,
    PRIMARY KEY (org, rollout, node, step, attempt)
) STRICT;
CREATE UNIQUE INDEX rollout_job_by_job ON rollout_job (org, job);
