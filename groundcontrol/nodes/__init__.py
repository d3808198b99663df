"""Nodes, their tables, packages and process history, lines of their logs."""
