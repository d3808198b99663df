"""Sessions of agents: handshake, validation, registry, latest values, clock skew."""
