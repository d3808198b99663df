"""Read-only access to the databases for commands, even while the hub runs. It creates, locks and migrates nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

from groundcontrol.adapters.sqlite.admin.backup import samples_beside
from groundcontrol.adapters.sqlite.admin.migrate import CONTROL, STARTS, is_marked, lost_start_error, migrations, write_copy
from groundcontrol.adapters.sqlite.audit import (
    chain_heads,
    check_heads,
    last_at,
    listed,
    some_rows,
    to_audit_row,
    verify,
)
from groundcontrol.adapters.sqlite.audit_archive import ArchiveSize, size
from groundcontrol.adapters.sqlite.chunks import TABLES, ChunkBody
from groundcontrol.adapters.sqlite.engine.connection import open_thread, translate
from groundcontrol.adapters.sqlite.engine.data_files import sync
from groundcontrol.adapters.sqlite.engine.json_codec import record_from_json
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.readonly import check_readable, opened
from groundcontrol.adapters.sqlite.engine.seen_times import Loss, SeenTimes, latest_in_control, latest_in_samples, losses, read_seen_times
from groundcontrol.adapters.sqlite.engine.tx import Rows
from groundcontrol.adapters.sqlite.hot_packs import read_pack, schemas
from groundcontrol.adapters.sqlite.json_columns import DamagedRecord, damaged_records
from groundcontrol.adapters.sqlite.secrets import KeyringReader
from groundcontrol.core.audit import AuditHead, AuditRow
from groundcontrol.core.errors import ConfigError, StoreError
from groundcontrol.nodes.model import NodeIdentity, agent_state, units_state
from groundcontrol.samples.chunks.rollup import StatChunk
from groundcontrol.samples.chunks.row_table import RowChunk
from groundcontrol.samples.model import SeriesSchema
from groundcontrol.samples.tiers import SECONDS, TIERS, Tier

_MOST_LOSSES = 2


class Schema(NamedTuple):
    found: int
    """The schema version of the database."""
    known: int
    """The schema version to which this program migrates a database."""


class CredentialEntry(NamedTuple):
    """The name of a stored credential for a server, without its value."""

    node: str
    """The name of the node; if the node is unknown, its id."""
    field: str


class Inspection:
    """An opened control database. Use it with `async with`."""

    def __init__(self, path: Path, reader: Reader) -> None:
        self.path = path
        self.secrets = KeyringReader(reader)
        self._reader = reader

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the control database.

        Raises: ConfigError: there is no such database, or it cannot be read. ReadOnlyHere.
        """
        try:
            found = await asyncio.to_thread(path.is_file)
        except OSError as exc:
            raise ConfigError(f"the database {path} cannot be examined: {exc.strerror}") from exc
        if not found:
            raise ConfigError(f"there is no database {path}")
        await asyncio.to_thread(check_readable, path)
        try:
            reader = Reader([await open_thread(path, page_size=None, beside=True)], path.name)
        except StoreError as exc:
            raise ConfigError(exc.message) from exc
        return cls(path, reader)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._reader.close()

    async def check_start(self) -> None:
        """Check that the database records a start if a hub has run on its samples.

        Raises: ConfigError: the database records no start, although a hub has run: its newer rows are lost.
        """
        samples = samples_beside(self.path)
        marked = await asyncio.to_thread(is_marked, samples)  # before the record is read, since a hub may be at its first start now
        if marked and await self._reader.run(lambda rows: rows.fetch_one(STARTS)) is None:
            raise lost_start_error(self.path, samples)

    async def losses(self) -> list[Loss]:
        """What the databases lack of what the last hub saw in them. The next hub records it as an event."""
        samples = samples_beside(self.path)

        def in_samples(otherwise: float) -> float:
            if not samples.is_file():
                return 0.0
            try:
                with opened(samples) as db:
                    db.row_factory = sqlite3.Row
                    return latest_in_samples(Rows(db))
            except sqlite3.Error:  # the check of the files reports it
                return otherwise

        seen = await asyncio.to_thread(read_seen_times, self.path)  # before the databases, to which a running hub adds
        if seen is None:
            return []
        found = SeenTimes(await self._reader.run(latest_in_control), await asyncio.to_thread(in_samples, seen.samples))
        return losses(self.path, samples, seen, found)

    async def recorded_losses(self, since: float) -> list[str]:
        """The newest events of lost data since a time (Unix seconds), the newest first."""
        found = await self._reader.run(
            lambda rows: rows.fetch_all(
                "SELECT message FROM event WHERE type = 'hub_data_lost' AND at >= ? ORDER BY no DESC LIMIT ?", since, _MOST_LOSSES
            )
        )
        return [row["message"] for row in found]

    async def schema(self) -> Schema:
        """The schema version of the database.

        Raises: ConfigError: this is no Stardust database.
        """

        def query(rows: Rows) -> tuple[int, int]:
            return (
                rows.fetch_all("PRAGMA application_id")[0]["application_id"],
                rows.fetch_all("PRAGMA user_version")[0]["user_version"],
            )

        found, version = await self._reader.run(query)
        if found != CONTROL.application_id:
            raise ConfigError(f"{self.path} is not a control database of Stardust")
        return Schema(version, len(migrations(CONTROL)))

    async def audit_rows(self) -> AsyncIterator[AuditRow]:
        """Every row of the audit log of every organisation, with the archive, chain by chain, the oldest first.

        Raises: StoreDamaged: a piece of the archive cannot be read.
        """
        for chain in await self._reader.run(_chains_as_written):
            n = 0
            while found := await self._reader.run(partial(_audit_page, chain, n)):
                for row in found:
                    yield row
                n = found[-1].n + 1

    async def audit_size(self) -> ArchiveSize:
        """The size of the audit log."""
        return await self._reader.run(lambda rows: size(rows, archive=_has_archive(rows)))

    async def newest_audit(self, limit: int) -> list[AuditRow]:
        """The newest audit rows and refusals, at most `limit` together, oldest first."""
        return [to_audit_row(row) for row in reversed(await self._reader.run(lambda rows: listed(rows, limit)))]

    async def verify_audit(self, keys: Sequence[bytes], known: Iterable[AuditHead] = ()) -> str | None:
        """As `LogStore.verify_audit`. In addition, each row in `known` (the end of a chain at an earlier time) must be stored
        unchanged."""
        return await self._reader.run(partial(_verify, keys, known))

    async def audit_heads(self) -> Sequence[AuditHead]:
        return await self._reader.run(chain_heads)

    async def last_audit_at(self) -> float | None:
        """As `LogStore.last_audit_at`."""
        return await self._reader.run(last_at)

    async def first_password_users(self) -> list[str]:
        """The names of enabled users who have not changed the password that they were given."""
        found = await self._reader.run(
            lambda rows: rows.fetch_all("SELECT username FROM account WHERE must_change_password AND NOT disabled")
        )
        return [row["username"] for row in found]

    async def nodes_by_units(self, current: int) -> tuple[list[str], list[str]]:
        """The names of nodes with unit files of an earlier edition than `current`, and of nodes with an unknown edition. Simulated nodes, and
        nodes that have not joined yet, are left out."""
        found = await self._reader.run(
            lambda rows: rows.fetch_all("SELECT name, identity FROM node WHERE NOT pending AND NOT simulated ORDER BY name")
        )
        states = [(row["name"], units_state(_units(row["identity"]), current)) for row in found]
        return [name for name, state in states if state == "older"], [name for name, state in states if state == "unknown"]

    async def outdated_agents(self, shipped: str) -> list[tuple[str, str]]:
        """The names and agent versions of nodes whose agent has another known version than `shipped`. Simulated nodes, and nodes that have not
        joined yet, are left out."""
        found = await self._reader.run(
            lambda rows: rows.fetch_all("SELECT name, agent_version FROM node WHERE NOT pending AND NOT simulated ORDER BY name")
        )
        return [(row["name"], row["agent_version"]) for row in found if agent_state(row["agent_version"], shipped) == "outdated"]

    async def node_names(self, numbers: Iterable[int]) -> dict[int, str]:
        """Number -> name of these nodes; unknown numbers are left out."""
        wanted = set(numbers)
        found = await self._reader.run(lambda rows: rows.fetch_all("SELECT no, name FROM node"))
        return {row["no"]: row["name"] for row in found if row["no"] in wanted}

    async def names_by_id(self) -> dict[str, str]:
        """Id -> name of every node."""
        found = await self._reader.run(lambda rows: rows.fetch_all("SELECT id, name FROM node"))
        return {row["id"]: row["name"] for row in found}

    async def stored_credentials(self) -> list[CredentialEntry]:
        """The stored credentials of all servers."""
        found = await self._reader.run(
            lambda rows: rows.fetch_all(
                "SELECT coalesce(node.name, secret.record) AS node, secret.field FROM secret LEFT JOIN node ON node.id = secret.record"
                " WHERE secret.kind = 'credential' ORDER BY 1, 2"
            )
        )
        return [CredentialEntry(row["node"], row["field"]) for row in found]


def _has_archive(rows: Rows) -> bool:
    """Whether the database has an archive of the audit log. One of an older schema has none."""
    return bool(rows.fetch_all("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'audit_pack'"))


def _chains_as_written(rows: Rows) -> list[str]:
    """Every chain, in the order in which their rows were written. A clock that was set back gives a later chain an earlier name."""
    return [row["chain"] for row in rows.fetch_all("SELECT chain, min(rowid) AS place FROM audit GROUP BY chain ORDER BY place")]


def _audit_page(chain: str, n: int, rows: Rows) -> list[AuditRow]:
    return some_rows(rows, chain, n, archive=_has_archive(rows))


def _verify(keys: Sequence[bytes], known: Iterable[AuditHead], rows: Rows) -> str | None:
    archive = _has_archive(rows)
    return verify(rows, keys, archive=archive) or check_heads(rows, known, archive=archive)


def _units(identity: str) -> int:
    """The edition of a node's unit files; 0: unknown, or the record is damaged."""
    try:
        return record_from_json(NodeIdentity, identity).units
    except StoreError:
        return 0


async def quick_check(path: Path) -> str:
    """Check a whole database file, without a time limit.

    Returns: `ok`, or the first error.
    """

    def check() -> str:
        with opened(path) as db:
            return str(db.execute("PRAGMA quick_check(1)").fetchone()[0])

    try:
        return await asyncio.to_thread(check)
    except sqlite3.Error as exc:
        return translate(exc, path.name).message


class DamagedSpan(NamedTuple):
    """A span of a node and tier in which stored samples cannot be read."""

    node_no: int
    tier: Tier
    span_no: int
    """The span begins at this number times `tier.span_s`, in Unix seconds."""


async def find_damaged_records(path: Path) -> list[DamagedRecord]:
    """Read every JSON record of a database (control or samples), which no check of SQLite does. Returns the damaged records.

    Raises: ConfigError: the file cannot be read.
    """

    def look() -> list[DamagedRecord]:
        with opened(path) as db:
            return list(damaged_records(db))

    try:
        return await asyncio.to_thread(look)
    except sqlite3.Error as exc:
        raise ConfigError(translate(exc, path.name).message) from exc


async def find_damaged_spans(path: Path) -> list[DamagedSpan]:
    """Decode every chunk and every pack of a samples database, which no check of SQLite does.

    Returns: the spans with unreadable chunks or packs, each once; empty if the file is no samples database of this schema.
    Raises:  ConfigError: the file cannot be read.
    """

    def look() -> list[DamagedSpan]:
        with opened(path) as db:
            db.row_factory = sqlite3.Row
            tables = {row["name"] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            if not tables.issuperset((*TABLES, "hot", "arrived", "layout")):
                return []
            return sorted({*_damaged_chunks(db), *_damaged_packs(db)})

    try:
        return await asyncio.to_thread(look)
    except sqlite3.Error as exc:
        raise ConfigError(translate(exc, path.name).message) from exc


def _damaged_chunks(db: sqlite3.Connection) -> Iterator[DamagedSpan]:
    for tier, table in zip(TIERS, TABLES, strict=True):
        for key, body in db.execute(f"SELECT place, body FROM {table} ORDER BY place"):  # noqa: S608 - built from constants only
            try:
                RowChunk(body) if tier is SECONDS else StatChunk(body)
            except ValueError:
                chunk = ChunkBody(key, body)
                yield DamagedSpan(chunk.no, tier, chunk.span)


def _damaged_packs(db: sqlite3.Connection) -> Iterator[DamagedSpan]:
    known: dict[int, dict[bytes, SeriesSchema]] = {}
    for row in db.execute(
        "SELECT hour, node, layout, coding, body FROM hot UNION ALL SELECT hour, node, layout, coding, body FROM arrived ORDER BY node, hour"
    ):
        if row["node"] not in known:
            known = {row["node"]: schemas(Rows(db), row["node"])}
        try:
            read_pack(row, known[row["node"]][row["layout"]])
        except (StoreError, KeyError):
            yield DamagedSpan(row["node"], SECONDS, row["hour"])


async def copy_database(path: Path, target: Path) -> None:
    """Replace the file `target` by a consistent, durable copy of the database.

    Raises: ConfigError: the copy could not be written, or its check failed.
    """

    def write() -> None:
        with opened(path) as db:
            write_copy(db, target)
        sync(target)

    try:
        await asyncio.to_thread(write)
    except (sqlite3.Error, OSError) as exc:
        reason = translate(exc, target.name).message if isinstance(exc, sqlite3.Error) else exc.strerror
        raise ConfigError(f"no copy could be written to {target}: {reason}") from exc
