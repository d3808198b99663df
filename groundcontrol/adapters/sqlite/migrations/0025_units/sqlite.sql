-- Jobs of units of systemd run beside one that changes packages.
ALTER TABLE job ADD COLUMN units TEXT NOT NULL DEFAULT '[]';  -- JSON
DROP INDEX job_open;
-- A node has one open job of each kind at most.
CREATE UNIQUE INDEX job_open ON job (org, node, units = '[]') WHERE state IN ('dispatched', 'accepted', 'running');
