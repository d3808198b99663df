"""Notifications: whether, when and how channels are told of alerts. `groundcontrol/notifications/channels/` has a folder for each kind of channel."""

OPEN = ("model", "store")
"""The modules that other slices may import."""
