-- A change of an incident that its receiver would not see is not sent.

ALTER TABLE delivery ADD COLUMN shown TEXT NOT NULL DEFAULT '';  -- what the receiver saw of the incident, as a digest
