"""Events for people, the audit log, counted refusals."""

OPEN = ("catalogue", "making", "model", "refusals", "store", "views")
"""The modules that other slices may import."""
