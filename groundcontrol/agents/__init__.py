"""Sessions of agents: handshake, validation, registry, latest values, clock skew."""

OPEN = ("handshake", "interfaces", "registry", "retry_writer", "session", "store")
"""The modules that other slices may import."""
