"""Events for people, the audit log, counted refusals."""
