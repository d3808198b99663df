-- Every verb, plans, reports, stops, and many nodes at once.

CREATE TABLE batch (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    org INTEGER NOT NULL,
    id TEXT NOT NULL,
    actor TEXT NOT NULL,
    idempotency_key TEXT,
    wish TEXT NOT NULL,                 -- JSON
    refused TEXT NOT NULL,              -- JSON
    created_by TEXT NOT NULL,
    created_at REAL NOT NULL,
    made BLOB NOT NULL,                 -- digest of what was asked for: tells a repeat from another request
    UNIQUE (org, id),
    UNIQUE (org, actor, idempotency_key)
) STRICT;
CREATE INDEX batch_by_id ON batch (id);

ALTER TABLE job ADD COLUMN for_action TEXT;                             -- of a plan: what it is made for
ALTER TABLE job ADD COLUMN plan TEXT;                                   -- digest of the plan that somebody saw
ALTER TABLE job ADD COLUMN plan_digest TEXT;                            -- of what the node told, once all of it is held
ALTER TABLE job ADD COLUMN package TEXT;
ALTER TABLE job ADD COLUMN note TEXT;
ALTER TABLE job ADD COLUMN last_output_at REAL;
ALTER TABLE job ADD COLUMN lost_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN stop TEXT;                                   -- asked, then the node's answer
ALTER TABLE job ADD COLUMN stop_why TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN stop_by TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN stop_at REAL;
ALTER TABLE job ADD COLUMN stop_force INTEGER NOT NULL DEFAULT 0;       -- what it hangs in may be ended
ALTER TABLE job ADD COLUMN batch INTEGER REFERENCES batch (no);
ALTER TABLE job ADD COLUMN follows TEXT;                                -- id of the job that asked for this one
CREATE INDEX job_by_batch ON job (batch, state) WHERE batch IS NOT NULL;
CREATE INDEX job_stopping ON job (id) WHERE stop = 'asked' AND state IN ('dispatched', 'accepted', 'running');
CREATE INDEX job_by_age ON job (created_at);

-- place = job.no << 32 | part.
CREATE TABLE job_plan (
    place INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES job (no) ON DELETE CASCADE,
    part INTEGER NOT NULL,
    parts INTEGER NOT NULL,
    digest TEXT NOT NULL,
    head TEXT NOT NULL,                 -- JSON
    steps TEXT NOT NULL,                -- JSON
    kept TEXT NOT NULL,                 -- JSON
    size INTEGER NOT NULL               -- entries of both
) STRICT;
CREATE INDEX job_plan_by_job ON job_plan (job, part);

CREATE TABLE job_report (
    job INTEGER PRIMARY KEY REFERENCES job (no) ON DELETE CASCADE,
    body TEXT NOT NULL                  -- JSON
) STRICT;

-- Jobs that went with their node: their ids are not used again for as long as those of jobs that are still here.
CREATE TABLE job_grave (
    id TEXT PRIMARY KEY,
    org INTEGER NOT NULL,
    buried_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX job_grave_by_age ON job_grave (buried_at);
