-- The audit log too begins with what was written last, whatever time the clock showed. SQLite ends this index with the row's number.

DROP INDEX audit_by_time;
CREATE INDEX audit_by_org ON audit (org);
