"""Rotation of the secret: all values are sealed under the new one, or none is."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.database import Database
from groundcontrol.core.errors import ConfigError, Conflict, VaultError
from groundcontrol.core.scope import SYSTEM
from groundcontrol.core.secrets import SealedRecord
from groundcontrol.vault import CARRIED, FLEET_KEY, LEAST_ROUNDS, open_existing_vault, open_vault, prepare_rotation
from spider.clock import SystemClock
from spider.wire.ids import new_time_id
from tests.support.keys import first_vault, rotate, rotation_of, vault_of
from tests.support.some import some
from tests.support.store_files import open_new

OLD = "a lamp beside the window"
NEW = "another lamp, further away"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await open_new(tmp_path / "data", clock=SystemClock())
    yield opened
    await opened.close()


def write(tmp_path: Path, *records: SealedRecord) -> None:
    with closing(sqlite3.connect(tmp_path / "data" / "stardust.db")) as db, db:
        for record in records:
            db.execute("INSERT INTO secret (org, kind, record, field, version, sealed) VALUES (1, ?, ?, ?, ?, ?)", record)


async def test_everything_opens_with_the_new_secret_and_nothing_with_the_old(database: Database, tmp_path: Path, quick_kdf: None) -> None:
    old = await open_vault(OLD, database.secrets, LEAST_ROUNDS)
    plain = {f"n{at}": f"hunter{at}".encode() * at for at in range(20)}
    write(tmp_path, *(old.seal("credential", node, "password", 3, text) for node, text in plain.items()))
    before = {record.id: record for record in await database.secrets.secrets()}

    keyring = some(await database.secrets.keyring())
    rotation = await prepare_rotation(old, NEW, LEAST_ROUNDS)
    assert await database.secrets.rotate(SYSTEM, keyring, rotation, new_time_id()) == 21

    new = await open_existing_vault(NEW, database.secrets)
    after = [record for record in await database.secrets.secrets() if record.table == "credential"]
    assert {record.id: new.open(record) for record in after} == plain
    for record in after:
        assert record.sealed != before[record.id].sealed
        with pytest.raises(VaultError, match="another key"):
            old.open(record)
    with pytest.raises(ConfigError, match="not the one"):
        await open_existing_vault(OLD, database.secrets)
    files = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert not [record.id for record in before.values() if record.sealed[40:] in files]


async def test_fleet_key_pepper_and_audit_keys_survive_a_rotation(database: Database) -> None:
    first = await first_vault(database, "old")
    second = await rotate(database, first, "new")
    third = await rotate(database, second, "newer")

    assert first.pepper == second.pepper == third.pepper
    assert (first.fleet_id, first.fleet_key) == (third.fleet_id, third.fleet_key)
    assert len({vault.jwt_key for vault in (first, second, third)}) == 3
    assert third.earlier_audit_keys == (first.audit_key, second.audit_key)
    assert len({first.audit_key, second.audit_key, third.audit_key}) == 3
    assert [vault.key_id for vault in (first, second, third)] == [1, 2, 3]
    assert len([record for record in await database.secrets.secrets() if record.table == "keyring"]) == 1
    assert repr(third) == "Vault(***)"


@pytest.mark.holds("SAFETY-5")
@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM secret WHERE kind = 'keyring'",
        "UPDATE secret SET version = 2 WHERE kind = 'keyring'",
        "UPDATE secret SET sealed = (SELECT sealed FROM secret WHERE kind = 'fleet') WHERE kind = 'keyring'",
        "UPDATE secret SET sealed = substr(sealed, 1, 120) WHERE kind = 'keyring'",
    ],
)
async def test_a_missing_or_altered_carried_secret_is_an_error(database: Database, tmp_path: Path, harm: str) -> None:
    await rotate(database, await first_vault(database, "old"), "new")
    with closing(sqlite3.connect(tmp_path / "data" / "stardust.db")) as db, db:
        db.execute(harm)
    with pytest.raises(VaultError):
        await vault_of(database, "new")


@pytest.mark.holds("SAFETY-6")
async def test_one_value_that_does_not_open_leaves_everything_as_it_was(database: Database, tmp_path: Path) -> None:
    old = await first_vault(database, "old")
    good = old.seal("credential", "n1", "password", 1, b"hunter2")
    write(tmp_path, good, good._replace(id="n2"))
    before = await database.secrets.secrets()
    with pytest.raises(VaultError, match=r"credential\.password of n2"):
        await rotate(database, old, "new")
    assert await database.secrets.secrets() == before
    assert (await vault_of(database, "old")).open(good) == b"hunter2"


async def test_a_keyring_that_changed_meanwhile_is_left_alone(database: Database) -> None:
    old = await first_vault(database, "old")
    keyring = some(await database.secrets.keyring())
    late = rotation_of(old, "newer")
    await rotate(database, old, "new")
    with pytest.raises(Conflict):
        await database.secrets.rotate(SYSTEM, keyring, late, new_time_id())
    await vault_of(database, "new")


async def test_a_stored_rotation_is_opened_before_it_is_activated(database: Database) -> None:
    old = await first_vault(database, "old")
    fleet = some(await database.secrets.secret(*FLEET_KEY))
    rotation = rotation_of(old, "new")
    other = rotation_of(old, "newer")
    sealed = [rotation.reseal(fleet), rotation.carried]
    rotation.prove(rotation.keyring, sealed)
    assert (rotation.carried.table, rotation.carried.id, rotation.carried.column) == CARRIED
    for keyring, records in (
        (other.keyring, sealed),
        (rotation.keyring, [fleet, rotation.carried]),
        (rotation.keyring, sealed[:1]),
        (rotation.keyring, sealed[1:]),
        (rotation.keyring, [*sealed, sealed[0]]),
        (rotation.keyring, [*sealed, other.carried._replace(id="other")]),
    ):
        with pytest.raises((VaultError, ConfigError)):
            rotation.prove(keyring, records)
    assert repr(rotation) == "Rotation(***)"


@pytest.mark.parametrize("secret", ["", "fifteen letters", "changeme-changeme", "abababababababababab"])
async def test_a_weak_new_secret_is_refused(database: Database, secret: str) -> None:
    old = await first_vault(database, "old")
    with pytest.raises(ConfigError):
        await prepare_rotation(old, secret)
    with pytest.raises(ConfigError, match="100 rounds"):
        await prepare_rotation(old, NEW, 99)


async def test_a_missing_keyring_is_not_created(database: Database) -> None:
    with pytest.raises(ConfigError, match="no keyring"):
        await open_existing_vault(OLD, database.secrets)
    assert await database.secrets.keyring() is None
