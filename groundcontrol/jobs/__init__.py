"""Jobs and batches: requests, and the tracker that follows a job to its end."""

OPEN = ("coded_text", "freezes", "model", "plans", "requests", "service", "store", "views")
"""The modules that other slices may import."""
