-- How many roll-outs of patch policies in a row ended without having reached the node.
ALTER TABLE node ADD COLUMN patch_missed INTEGER NOT NULL DEFAULT 0;
