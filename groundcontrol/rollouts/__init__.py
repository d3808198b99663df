"""Roll-outs: upgrades of many nodes in waves, which stop themselves when a gate says that it got worse."""

OPEN = ("model", "service", "store")
"""The modules that other slices may import."""
