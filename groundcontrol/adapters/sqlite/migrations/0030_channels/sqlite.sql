-- Nothing reads these: the sealed target has its version, and the id of a channel has its time.
ALTER TABLE channel DROP COLUMN target_version;
ALTER TABLE channel DROP COLUMN made_at;
