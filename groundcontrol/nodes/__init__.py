"""Nodes, their tables, packages and process history, lines of their logs."""

OPEN = ("checks", "enrolment", "interfaces", "locations", "looks", "model", "processes", "store", "summary", "support_ends", "views")
"""The modules that other slices may import."""
