-- The lines of the policy file, beside its mode, that a server without such a file gets when it joins (JSON, an object).
ALTER TABLE invite ADD COLUMN lines TEXT NOT NULL DEFAULT '{}';
