-- Servers that were added by one request.

ALTER TABLE deployment ADD COLUMN batch TEXT;
CREATE INDEX deployment_by_batch ON deployment (batch, id) WHERE batch IS NOT NULL;
