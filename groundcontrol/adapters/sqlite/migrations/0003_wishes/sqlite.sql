-- What a retry needs of the first request, so that it is not asked for again.

ALTER TABLE deployment ADD COLUMN wishes TEXT NOT NULL DEFAULT '{}';                 -- JSON; never a secret
ALTER TABLE deployment ADD COLUMN host_key_confirmed INTEGER NOT NULL DEFAULT 0;    -- 0: `host_key` was only shown
