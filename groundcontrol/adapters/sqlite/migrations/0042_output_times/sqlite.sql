-- When the node read each piece of output, by its own clock: a replay beside the charts needs it. Unknown for older pieces.
ALTER TABLE job_output ADD COLUMN at_ms INTEGER;
