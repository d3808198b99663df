"""History: query, export, retention, compaction. `groundcontrol/samples/chunks/` has the codecs."""

OPEN = ("backfill", "derived", "model", "query", "store", "tiers")
"""The modules that other slices may import."""
