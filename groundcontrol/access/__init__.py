"""Users, sessions, tokens, second factors, rate limits."""

OPEN = ("addresses", "model", "service", "store", "users", "views")
"""The modules that other slices may import."""
