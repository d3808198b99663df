"""Deployments, host lists, invites, removal, agent updates. It is the only importer of Major Tom."""

OPEN = ("agent_updates", "service")
"""The modules that other slices may import."""
