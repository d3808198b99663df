"""Rules, maintenance windows, expectations, notifications. `groundcontrol/alerts/channels/` has a folder for each kind of channel."""
