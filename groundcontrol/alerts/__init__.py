"""Rules, alerts and notifications. `groundcontrol/alerts/channels/` has a folder for each kind of channel."""

OPEN = ("channel_store", "model")
"""The modules that other slices may import."""
