-- Whether a channel of the first organisation also tells of the hub itself. Those that are there do, so that nothing goes silent.
ALTER TABLE channel ADD COLUMN instance INTEGER NOT NULL DEFAULT 0;
UPDATE channel SET instance = 1 WHERE org = 1;
