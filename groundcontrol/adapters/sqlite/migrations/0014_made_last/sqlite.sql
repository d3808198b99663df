-- Lists begin with what was made last, and go by `no`: ids hold the time that the clock showed, which may have been wrong.
-- SQLite ends each of these indexes with that number.

DROP INDEX event_by_node;
CREATE INDEX event_by_node ON event (org, node_id);
CREATE INDEX event_by_org ON event (org);
DROP INDEX job_by_node;
CREATE INDEX job_by_node ON job (node);
CREATE INDEX job_by_org ON job (org);
CREATE INDEX batch_by_org ON batch (org);
CREATE INDEX deployment_by_org ON deployment (org);
DROP INDEX deployment_by_batch;
CREATE INDEX deployment_by_batch ON deployment (batch) WHERE batch IS NOT NULL;
