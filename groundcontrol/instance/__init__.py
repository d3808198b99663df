"""Organisations of the instance and their members: create, suspend, delete, offer a membership, break glass."""

OPEN = ()
"""The modules that other slices may import."""
