"""Vaults without the second that each key derivation takes: the root key is given instead of derived."""

from __future__ import annotations

import os

import bcrypt
import msgspec

from groundcontrol import vault
from groundcontrol.adapters.sqlite.database import Database
from groundcontrol.core.scope import SYSTEM, Scope
from groundcontrol.vault import CARRIED, FLEET_KEY, LEAST_ROUNDS, Rotation, Vault
from spider.wire.ids import new_random_id, new_time_id
from tests.support.some import some

SALT = bytes(16)


def root_of(name: str) -> bytes:
    """What stands for the secret of this name."""
    return name.encode().ljust(64, b"-")


async def first_vault(database: Database, name: str) -> Vault:
    """Make and store the first keyring."""
    return await _first_vault(database, root_of(name), LEAST_ROUNDS)


async def hub_vault(database: Database, secret: str) -> Vault:
    """Make and store the first keyring as `hub_program` does: under a secret, with one round."""
    return await _first_vault(database, bcrypt.kdf(secret.encode(), SALT, 64, 1, ignore_few_rounds=True), 1)


async def _first_vault(database: Database, root: bytes, rounds: int) -> Vault:
    kek, fleet_id = os.urandom(32), new_random_id()
    fleet = vault._seal(kek, 1, *FLEET_KEY, 1, os.urandom(32))
    await database.secrets.create_keyring(vault._keyring_of(root, SALT, rounds, kek, 1, fleet_id), fleet)
    return Vault(kek, 1, fleet_id, fleet)


async def vault_of(database: Database, name: str) -> Vault:
    """Open an existing vault, as `open_existing_vault` does."""
    blob, fleet = await database.secrets.keyring(), await database.secrets.secret(*FLEET_KEY)
    keyring = vault._read_keyring(some(blob))
    kek = vault._unwrap(keyring, root_of(name))
    return Vault(kek, keyring.kek_id, keyring.fleet_id, some(fleet), await database.secrets.secret(*CARRIED))


async def hub_vault_of(database: Database, secret: str) -> Vault:
    """Open what `hub_program` made: a keyring of one round, which the product refuses."""
    blob, fleet = await database.secrets.keyring(), await database.secrets.secret(*FLEET_KEY)
    keyring = msgspec.msgpack.decode(some(blob), type=vault.Keyring)
    root = bcrypt.kdf(secret.encode(), keyring.salt, 64, keyring.rounds, ignore_few_rounds=True)
    return Vault(vault._unwrap(keyring, root), keyring.kek_id, keyring.fleet_id, some(fleet))


def rotation_of(old: Vault, name: str) -> Rotation:
    """As `prepare_rotation`."""
    return Rotation(old, root_of(name), SALT, LEAST_ROUNDS)


async def rotate(database: Database, old: Vault, name: str, scope: Scope = SYSTEM, chain: str | None = None) -> Vault:
    """Rotate, and open what came of it."""
    keyring = some(await database.secrets.keyring())
    await database.secrets.rotate(scope, keyring, rotation_of(old, name), chain or new_time_id())
    return await vault_of(database, name)
