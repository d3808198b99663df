"""Patch policies: when which nodes are patched and how far, windows and freezes, first-seen versions, and the patch status."""

OPEN = ("bodies", "calendar", "choosing", "model", "preview", "reasons", "service", "store", "views", "waves", "windows")
"""The modules that other slices may import."""
