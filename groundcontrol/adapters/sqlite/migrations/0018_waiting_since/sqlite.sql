-- Since when a node has security updates, and since when it needs a reboot. Of nodes that have them already the last contact counts.

ALTER TABLE node ADD COLUMN security_since REAL;
ALTER TABLE node ADD COLUMN reboot_since REAL;
UPDATE node SET security_since = last_seen_at WHERE json_extract(updates, '$.security') > 0;
UPDATE node SET reboot_since = last_seen_at WHERE reboot_required = 'yes';
