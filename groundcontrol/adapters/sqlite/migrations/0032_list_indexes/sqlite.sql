-- The first page of alerts took 316 ms at 200,000 rows, since no index had the order of the list. Expiry scanned the whole table on the writing thread.

CREATE INDEX alert_by_org ON alert (org, no);
CREATE INDEX alert_by_state ON alert (org, state, no);
CREATE INDEX alert_ended ON alert (resolved_at) WHERE state = 'resolved';
CREATE INDEX incident_by_org ON incident (org, no);
DROP INDEX incident_open;
CREATE INDEX incident_by_state ON incident (org, state, no);
CREATE INDEX incident_ended ON incident (resolved_at) WHERE state = 'resolved';
