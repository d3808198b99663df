-- The node's job that carries out a deployment through the live session. NULL: it has none.
ALTER TABLE deployment ADD COLUMN job TEXT;
-- Until now that of an open one was the newest job of its kind on the node since the step that ordered it began.
UPDATE deployment SET job = (
  SELECT job.id FROM job JOIN node ON node.no = job.node
  WHERE node.org = deployment.org AND node.id = deployment.node_id
    AND job.action = CASE deployment.kind WHEN 'remove' THEN 'uninstall' ELSE 'update' END
    AND job.created_at >= json_extract(deployment.steps, CASE deployment.kind WHEN 'remove' THEN '$[0].started_at' ELSE '$[1].started_at' END)
  ORDER BY job.no DESC LIMIT 1)
WHERE kind IN ('remove', 'update') AND state = 'running' AND json_valid(steps);
