"""Patch policies: when which nodes are patched and how far, windows and freezes, first-seen versions, and the patch status."""
