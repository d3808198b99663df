"""An open vault without the cost of its key derivation."""

from __future__ import annotations

from groundcontrol.vault import FLEET_KEY, Vault, _seal
from spider.wire.ids import new_random_id


def a_vault(kek: bytes = bytes(range(32))) -> Vault:
    """The real thing under a given key."""
    return Vault(kek, 1, new_random_id(), _seal(kek, 1, *FLEET_KEY, 1, b"f" * 32))
