-- What the events of a node have told: its last known numbers of updates, and the boot in which a reboot became due.
-- An unknown number leaves them as they are, so a node that is asked again finds nothing twice.

ALTER TABLE node ADD COLUMN known_updates INTEGER;
ALTER TABLE node ADD COLUMN known_security INTEGER;
ALTER TABLE node ADD COLUMN reboot_boot TEXT;   -- NULL: none is due
UPDATE node SET known_updates = json_extract(updates, '$.total'), known_security = json_extract(updates, '$.security');
UPDATE node SET reboot_boot = '' WHERE reboot_required = 'yes';

-- The occurrence of a maintenance window whose begin was recorded, and whose end was not.
ALTER TABLE maintenance ADD COLUMN opened_at REAL;
ALTER TABLE maintenance ADD COLUMN opened_until REAL;
