-- Where a node is, as users set it; empty: not set.
ALTER TABLE node ADD COLUMN location TEXT NOT NULL DEFAULT '';
