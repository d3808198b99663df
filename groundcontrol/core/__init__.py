"""No subject of its own: errors, ids, scopes, permissions, verbs, the audit chain, the interface of the bus."""
