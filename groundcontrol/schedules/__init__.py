"""Maintenance windows, expectations (what should happen by when), and the silence of nodes; the selection of nodes."""

OPEN = (
    "dead_man", "deadline_checker", "deadlines", "deadlines_views", "maintenance", "maintenance_closer", "model", "selecting", "silence", "wall_clock",
)  # fmt: skip
"""The modules that other slices may import."""
