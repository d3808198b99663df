"""Rules, maintenance windows, expectations, notifications. `groundcontrol/alerts/channels/` has a folder for each kind of channel."""

OPEN = ("channel_store", "deadlines_views", "model", "selecting", "wall_clock")
"""The modules that other slices may import."""
