"""Roll-outs: upgrades of many nodes in waves, which stop themselves when a gate says that it got worse."""
