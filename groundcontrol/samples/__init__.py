"""History: query, export, retention, compaction. `groundcontrol/samples/chunks/` has the codecs."""
