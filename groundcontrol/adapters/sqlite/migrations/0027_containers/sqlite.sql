-- Jobs of containers run beside one that changes packages, as those of units do.
ALTER TABLE job ADD COLUMN container TEXT;
DROP INDEX job_open;
-- A node has one open job of each kind at most.
CREATE UNIQUE INDEX job_open ON job (org, node, units = '[]' AND container IS NULL) WHERE state IN ('dispatched', 'accepted', 'running');
