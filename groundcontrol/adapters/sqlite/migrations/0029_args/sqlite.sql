-- One column for what a job names, whatever kind it is; the action says which. A node runs one job of each lane.
DROP INDEX job_open;
ALTER TABLE job ADD COLUMN args TEXT NOT NULL DEFAULT '[]';  -- JSON: names
ALTER TABLE job ADD COLUMN lane TEXT NOT NULL DEFAULT 'main';
UPDATE job SET args = CASE WHEN container IS NOT NULL THEN json_array(container) WHEN units <> '[]' THEN units ELSE packages END,
  lane = CASE WHEN container IS NOT NULL OR units <> '[]' THEN 'side' ELSE 'main' END
  WHERE packages <> '[]' OR units <> '[]' OR container IS NOT NULL;
ALTER TABLE job DROP COLUMN packages;
ALTER TABLE job DROP COLUMN units;
ALTER TABLE job DROP COLUMN container;
CREATE UNIQUE INDEX job_open ON job (org, node, lane) WHERE state IN ('dispatched', 'accepted', 'running');
UPDATE batch SET wish = json_remove(
  json_set(wish, '$.args', json(CASE WHEN json_extract(wish, '$.container') IS NOT NULL THEN json_array(json_extract(wish, '$.container'))
    WHEN coalesce(json_extract(wish, '$.units'), '[]') <> '[]' THEN json_extract(wish, '$.units')
    ELSE coalesce(json_extract(wish, '$.packages'), '[]') END)),
  '$.packages', '$.units', '$.container') WHERE json_valid(wish);
-- The lines of a node's policy that name what actions may touch.
UPDATE node SET policy = json_remove(
  json_set(policy, '$.lines', json_object('units', json(coalesce(json_extract(policy, '$.units'), '[]')),
    'containers', json(coalesce(json_extract(policy, '$.containers'), '[]')))),
  '$.units', '$.containers') WHERE policy IS NOT NULL AND json_valid(policy);
