"""Deployments, host lists, invites, removal, agent updates. It is the only importer of Major Tom."""
