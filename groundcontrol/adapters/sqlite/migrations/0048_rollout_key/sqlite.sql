-- The request that made a roll-out, if it had an Idempotency-Key: who sent it, the key, and the digest of what was asked. NULL: it had none.
ALTER TABLE rollout ADD COLUMN actor TEXT;
ALTER TABLE rollout ADD COLUMN idempotency_key TEXT;
ALTER TABLE rollout ADD COLUMN made BLOB;
CREATE UNIQUE INDEX rollout_by_key ON rollout (org, actor, idempotency_key) WHERE idempotency_key IS NOT NULL;
