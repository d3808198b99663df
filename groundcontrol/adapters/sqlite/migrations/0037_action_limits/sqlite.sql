-- The time limit of a named action in seconds; 0: that of the node.
ALTER TABLE job ADD COLUMN timeout_s INTEGER NOT NULL DEFAULT 0;
