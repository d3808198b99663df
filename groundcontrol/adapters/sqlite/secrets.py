"""Sealed secrets. SQLite overwrites removed secrets (`secure_delete`), and a checkpoint removes them from the write-ahead log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.control_store import serves
from groundcontrol.adapters.sqlite.engine.facts import ADOPT_UNTIL, time_setting
from groundcontrol.adapters.sqlite.engine.methods import command
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.core.errors import BadRequest, Conflict, NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import DEFAULT_ORG, Scope
from groundcontrol.core.secrets import HUB_KEY, KeyRotation, SealedRecord, SecretStore, hub_key_record

CREDENTIAL: Final = "credential"


def shred(tx: Tx, org: int, kind: str, record: str) -> int:
    """Remove the sealed secrets of one object so that no copy stays in the files.

    Returns: the number of removed secrets.
    """
    count = tx.execute("DELETE FROM secret WHERE org = ? AND kind = ? AND record = ?", org, kind, record)
    tx.shredding = tx.shredding or count > 0
    return count


class KeyringReader:
    """Read access to the keyring and the sealed secrets."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def keyring(self) -> bytes | None:
        row = await self._reader.run(lambda rows: rows.fetch_one("SELECT body FROM keyring"))
        return None if row is None else bytes(row["body"])

    async def secret(self, table: str, record: str, column: str) -> SealedRecord | None:
        row = await self._reader.run(
            lambda rows: rows.fetch_one("SELECT * FROM secret WHERE kind = ? AND record = ? AND field = ?", table, record, column)
        )
        return None if row is None else _to_record(row)

    async def secrets(self) -> Sequence[SealedRecord]:
        return [_to_record(row) for row in await self._reader.run(lambda rows: rows.fetch_all("SELECT * FROM secret ORDER BY no"))]


class Keyring(KeyringReader):
    """The part of `SecretStore` that works before an audit key exists."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        super().__init__(reader)
        self._writer = writer

    @command
    def create_keyring(self, tx: Tx, keyring: bytes, recovery: SealedRecord) -> bytes:
        known = tx.fetch_one("SELECT body FROM keyring")
        if known is not None:
            return bytes(known["body"])
        tx.execute("INSERT INTO keyring VALUES (1, ?, ?)", keyring, tx.now)
        insert(tx, DEFAULT_ORG, recovery)
        tx.shredding = True  # checkpoint immediately: if the write-ahead log is lost later, the database must not look new
        return keyring

    @command
    def restore_keyring(self, tx: Tx, keyring: bytes, recovery: SealedRecord, adopt_until: float) -> None:
        """Store the first keyring of a hub that continues the fleet of an earlier hub. Until `adopt_until` (Unix seconds) the hub accepts
        unknown nodes that prove the fleet's key.

        Raises: Conflict: there is a keyring already.
        """
        if tx.fetch_one("SELECT 1 FROM keyring") is not None:
            raise Conflict("there is a keyring already; nothing was done")
        tx.execute("INSERT INTO keyring VALUES (1, ?, ?)", keyring, tx.now)
        insert(tx, DEFAULT_ORG, recovery)
        tx.execute("INSERT INTO fact VALUES (?, ?)", ADOPT_UNTIL, time_setting(adopt_until))
        tx.shredding = True  # for the same reason as in `create_keyring`

    @command
    def rotate(self, tx: Tx, scope: Scope, expected: bytes, rotation: KeyRotation, chain: str) -> int:
        """Replace the keyring, seal every secret again and end every log-in session, in one transaction. No hub may run.

        Args:    expected: the keyring from which `rotation` was prepared.
                 chain: the name of a new audit chain under the new key, which records the rotation.
        Returns: the number of secrets that were sealed again.
        Raises:  Conflict: the stored keyring has changed. Also any error of `rotation`.
        """
        known = tx.fetch_one("SELECT body FROM keyring")
        if known is None or known["body"] != expected:
            raise Conflict("the keyring has changed meanwhile; nothing was done")
        key = (rotation.carried.table, rotation.carried.id, rotation.carried.column)
        tx.execute("DELETE FROM secret WHERE kind = ? AND record = ? AND field = ?", *key)
        rows = tx.fetch_all("SELECT * FROM secret ORDER BY no")
        for row in rows:
            tx.execute("UPDATE secret SET sealed = ? WHERE no = ?", rotation.reseal(_to_record(row)).sealed, row["no"])
        insert(tx, DEFAULT_ORG, rotation.carried)
        tx.execute("UPDATE keyring SET body = ?, made_at = ?", rotation.keyring, tx.now)
        sessions = tx.execute("UPDATE login SET revoked_at = ? WHERE revoked_at IS NULL AND expires_at > ?", tx.now, tx.now)
        Chain(rotation.audit_key, chain).write(tx, scope, "keyring.rotate", "keyring", {"records": len(rows), "sessions_ended": sessions})
        stored = tx.fetch_all("SELECT body FROM keyring")[0]["body"]
        rotation.prove(stored, [_to_record(row) for row in tx.fetch_all("SELECT * FROM secret")])
        tx.shredding = True
        return len(rows)


@serves("secrets", SecretStore)
class SqliteSecrets(Keyring):
    def __init__(self, writer: Writer, reader: Reader, chain: Chain) -> None:
        super().__init__(writer, reader)
        self._chain = chain

    @command
    def save_credentials(self, tx: Tx, scope: Scope, node: NodeId, records: Sequence[SealedRecord]) -> None:
        if any((record.table, record.id) != (CREDENTIAL, node) for record in records):
            raise BadRequest(f"the credentials are not of node {node}")
        if tx.fetch_one("SELECT 1 FROM node WHERE org = ? AND id = ?", scope.org, node) is None:
            raise NotFound(f"there is no node {node}")
        if sorted(_credentials(tx, node)) == sorted(records):
            return
        shred(tx, scope.org, CREDENTIAL, node)
        for record in records:
            insert(tx, scope.org, record)
        self._chain.write(tx, scope, "credential.save", node, {"fields": sorted(record.column for record in records)})

    async def credentials(self, node: NodeId) -> Sequence[SealedRecord]:
        return await self._reader.run(lambda rows: _credentials(rows, node))

    @command
    def shred_credentials(self, tx: Tx, scope: Scope, node: NodeId) -> None:
        if shred(tx, scope.org, CREDENTIAL, node):
            self._chain.write(tx, scope, "credential.shred", node)

    @command
    def save_hub_key(self, tx: Tx, scope: Scope, record: SealedRecord, fingerprint: str) -> None:
        if (record.table, record.id) != (HUB_KEY, hub_key_record(scope.org)):
            raise BadRequest("this is not the SSH key of this organisation")
        row = tx.fetch_one("SELECT * FROM secret WHERE org = ? AND kind = ?", scope.org, HUB_KEY)
        known = None if row is None else _to_record(row)
        if known == record:
            return
        if record.version != (1 if known is None else known.version + 1):
            raise Conflict("the hub's SSH key has changed meanwhile: load it again", version=known.version if known else 0)
        shred(tx, scope.org, HUB_KEY, record.id)
        insert(tx, scope.org, record)
        action = "hub_key.create" if known is None else "hub_key.replace"
        self._chain.write(tx, scope, action, record.id, {"fingerprint": fingerprint})

    @command
    def shred_hub_key(self, tx: Tx, scope: Scope) -> None:
        if shred(tx, scope.org, HUB_KEY, hub_key_record(scope.org)):
            self._chain.write(tx, scope, "hub_key.remove", hub_key_record(scope.org))


def _credentials(rows: Rows, node: NodeId) -> list[SealedRecord]:
    return [
        _to_record(row) for row in rows.fetch_all("SELECT * FROM secret WHERE kind = ? AND record = ? ORDER BY field", CREDENTIAL, node)
    ]


def insert(tx: Tx, org: int, record: SealedRecord) -> None:
    """Store a sealed value. No value may be stored for its table, record and column yet."""
    tx.execute(
        "INSERT INTO secret (org, kind, record, field, version, sealed) VALUES (?, ?, ?, ?, ?, ?)",
        *(org, record.table, record.id, record.column, record.version, record.sealed),
    )


def _to_record(row: Row) -> SealedRecord:
    return SealedRecord(row["kind"], row["record"], row["field"], row["version"], row["sealed"])
