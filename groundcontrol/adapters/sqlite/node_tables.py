"""Tables and packages of nodes: the newest state of each."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.json_codec import digest, inflated, texts_from_json, to_json
from groundcontrol.adapters.sqlite.engine.methods import command, query
from groundcontrol.adapters.sqlite.engine.pagination import check_limit, make_cursor, read_cursor
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.adapters.sqlite.node_sessions import check_session
from groundcontrol.adapters.sqlite.package_seen import note_seen
from groundcontrol.adapters.sqlite.rights import admitted, grant_values
from groundcontrol.core.errors import NotFound, StoreError
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.core.tables import InstalledPackage, PackageChanges, PackageList, PackageState, SubjectTable, TableCell
from groundcontrol.events.making import new_event
from groundcontrol.events.model import Event
from groundcontrol.nodes import updates
from groundcontrol.nodes.model import Session
from groundcontrol.nodes.store import NodeTableStore
from groundcontrol.nodes.updates import NodeUpdate, NodeUpdateList, Tally, UpdateList
from spider.clock import Clock

MAX_PACKAGES: Final = 32_768
"""The most packages of a node."""
MOST_NAMED: Final = 20
"""The most packages that an event names."""
_PAGE_NODES: Final = 64
"""The most nodes whose tables are in memory at the same time."""
_NODE: Final = "SELECT no FROM node WHERE org = ? AND id = ?"
_cells: Final = msgspec.json.Decoder(list[str | int | None])
_packages: Final = msgspec.json.Decoder(dict[str, str])


@serves("tables", NodeTableStore)
class SqliteNodeTables(ControlStore):
    def __init__(self, writer: Writer, reader: Reader, chain: Chain, clock: Clock) -> None:
        super().__init__(writer, reader, chain, clock)
        self._tallies = _Answers[Tally](_TALLIES)
        self._nodes_of = _Answers[list[tuple[int, NodeUpdate]]](_PACKAGES)

    async def save_table(self, session: Session, table: SubjectTable) -> None:
        columns, cells = to_json(table.columns), zlib.compress(to_json(table.cells).encode())
        await self._save_table(session, table, columns, cells)

    @command
    def _save_table(self, tx: Tx, session: Session, table: SubjectTable, columns: str, cells: bytes) -> None:
        check_session(tx, session)
        tx.execute(
            "INSERT INTO node_table SELECT org, no, ?, ?, ?, ?, ? FROM node WHERE no = ?"
            " ON CONFLICT (org, node, subject) DO UPDATE SET taken_at = excluded.taken_at, total = excluded.total,"
            " columns = excluded.columns, cells = excluded.cells",
            *(table.subject, table.taken_at, table.total, columns, cells, session.no),
        )
        if table.subject == updates.SUBJECT:
            org = tx.fetch_all("SELECT org FROM node WHERE no = ?", session.no)[0]["org"]
            note_seen(tx, org, ((one.repository, one.package, one.after) for one in updates.rows_of(table)))

    @query
    def tables(self, rows: Rows, scope: Scope, node: NodeId) -> tuple[SubjectTable, ...]:
        found = rows.fetch_all("SELECT * FROM node_table WHERE org = ? AND node = ? ORDER BY subject", scope.org, _no(rows, scope, node))
        return tuple(table for row in found if (table := read_table(row["subject"], row)) is not None)

    @command
    def save_events(self, tx: Tx, session: Session, events: Sequence[Event]) -> None:
        check_session(tx, session)
        for event in events:
            record_event(tx, event)

    async def packages_digest(self, session: Session) -> str:
        row = await self._reader.run(lambda rows: rows.fetch_one("SELECT digest FROM node_packages WHERE node = ?", session.no))
        return "" if row is None else str(row["digest"])

    @command
    def save_packages(self, tx: Tx, session: Session, changes: PackageChanges, at: float) -> PackageState:
        check_session(tx, session)
        row = tx.fetch_one("SELECT digest, packages FROM node_packages WHERE node = ?", session.no)
        try:
            before = {} if row is None else _read_packages(row["packages"])
        except StoreError:  # the hub then requests the whole list again
            row, before = None, {}
        if row is not None and row["digest"] == changes.digest:
            return PackageState(changes.digest, 0)
        if changes.since and (row is None or row["digest"] != changes.since):
            return PackageState("", 0)
        after = {**(before if changes.since else {}), **changes.versions}
        after = {name: after[name] for name in sorted(after) if after[name]}
        if len(after) > MAX_PACKAGES or digest_of(after) != changes.digest:
            return PackageState("", 0)
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)) if row is not None else []
        tx.execute(
            "INSERT INTO node_packages SELECT org, no, ?, ?, ?, ? FROM node WHERE no = ?"
            " ON CONFLICT (org, node) DO UPDATE SET digest = excluded.digest, taken_at = excluded.taken_at,"
            " count = excluded.count, packages = excluded.packages",
            *(changes.digest, at, len(after), zlib.compress(to_json(after).encode()), session.no),
        )
        if changed:
            node = tx.fetch_all("SELECT org, id, name FROM node WHERE no = ?", session.no)[0]
            named = changed[:MOST_NAMED]
            versions = {"before": [before.get(name, "") for name in named], "after": [after.get(name, "") for name in named]}
            facts: dict[str, object] = {"count": len(changed), "packages": named, **versions}
            record_event(tx, new_event("packages_changed", at, facts, node=session.node, name=node["name"], org=node["org"]))
        return PackageState(changes.digest, len(changed))

    @query
    def packages(self, rows: Rows, scope: Scope, node: NodeId, limit: int, cursor: str | None = None, search: str = "") -> PackageList:
        size = check_limit(limit)
        after = "" if cursor is None else str(read_cursor(cursor, "packages", scope.org, str)[0])
        words = search.casefold()
        row = rows.fetch_one("SELECT taken_at, packages FROM node_packages WHERE org = ? AND node = ?", scope.org, _no(rows, scope, node))
        if row is None:
            return PackageList((), 0, None, None)
        matching = [(name, version) for name, version in _read_packages(row["packages"]).items() if words in name.casefold()]
        rest = [InstalledPackage(name, version) for name, version in matching if name > after]
        more = make_cursor("packages", scope.org, rest[size - 1].name) if len(rest) > size else None
        return PackageList(tuple(rest[:size]), len(matching), row["taken_at"], more)

    @query
    def updates(
        self, rows: Rows, scope: Scope, limit: int, cursor: str | None = None, search: str = "", *, security_only: bool = False
    ) -> UpdateList:
        size = check_limit(limit)
        kind = f"updates:{digest(search, security_only).hex()}"
        after = None if cursor is None else tuple(read_cursor(cursor, kind, scope.org, int, int, str))
        tally = self._tally(rows, scope)
        found = tally.packages(search, security_only=security_only)
        rest = [one for one in found if after is None or updates.sort_key(one) > after]
        return UpdateList(
            items=tuple(rest[:size]),
            total=len(found),
            security=sum(1 for one in found if one.security == "yes"),
            told=tally.told,
            silent=tally.silent,
            cut=tally.cut,
            oldest_at=tally.oldest_at,
            next=make_cursor(kind, scope.org, *updates.sort_key(rest[size - 1])) if len(rest) > size else None,
        )

    def _tally(self, rows: Rows, scope: Scope) -> Tally:
        """The tally of all nodes that the caller may see. It is cached until a table changes, or a node is added or removed."""
        return self._tallies.get(_made_of(rows, scope, updates.SUBJECT), lambda: _tally(rows, scope))

    @query
    def updates_of(self, rows: Rows, scope: Scope, package: str, limit: int, cursor: str | None = None) -> NodeUpdateList:
        size = check_limit(limit)
        kind = f"updates_of:{digest(package).hex()}"
        after = 0 if cursor is None else read_cursor(cursor, kind, scope.org, int)[0]
        made_of = _made_of(rows, scope, updates.HELD, updates.SUBJECT)
        found = self._nodes_of.get(made_of + digest(package), lambda: _nodes_of(rows, scope, package))
        rest = [(no, one) for no, one in found if no > int(after)]
        more = make_cursor(kind, scope.org, rest[size - 1][0]) if len(rest) > size else None
        return NodeUpdateList(tuple(one for _, one in rest[:size]), len(found), more)


_TABLES_SQL: Final = (
    "SELECT node.no, node.id, told.taken_at, told.total, told.columns, told.cells FROM node"
    " LEFT JOIN node_table AS told ON told.org = node.org AND told.node = node.no AND told.subject = ? WHERE node.org = ?"
)


_MADE_OF: Final = (
    "SELECT node.no, told.taken_at, told.total, length(told.columns), length(told.cells) FROM node"
    " LEFT JOIN node_table AS told ON told.org = node.org AND told.node = node.no AND told.subject = ? WHERE node.org = ?"
)
"""A query for times and lengths of the tables of all nodes, by which a change is noticed. It does not read the content of the tables."""
_TALLIES: Final = 8
"""The most tallies in the cache."""
_PACKAGES: Final = 16
"""The most packages in the cache, each with an entry for every node that has an update of it."""
_V = TypeVar("_V")


class _Answers(Generic[_V]):
    """A cache of answers, by a digest of the tables from which they were computed. Two reader threads may compute the same answer."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._cache: dict[bytes, _V] = {}

    def get(self, made_of: bytes, make: Callable[[], _V]) -> _V:
        found = self._cache.get(made_of)
        if found is None:
            found = make()
            while len(self._cache) >= self._most:
                self._cache.pop(next(iter(self._cache), b""), None)  # another thread may be at the same point
            self._cache[made_of] = found
        return found


def _made_of(rows: Rows, scope: Scope, *subjects: str) -> bytes:
    """A digest of the result of `_MADE_OF`, for these subjects and all nodes that the caller may see."""
    sql = _MADE_OF + admitted(scope) + " ORDER BY node.no"
    found = [tuple(row) for subject in subjects for row in rows.fetch_all(sql, subject, scope.org, *grant_values(scope))]
    return hashlib.sha256(repr(found).encode()).digest()


def _tally(rows: Rows, scope: Scope) -> Tally:
    tally = Tally()
    for _, _, table in _tables(rows, scope, updates.SUBJECT):
        if table is None:
            tally.silent += 1
        else:
            tally.add(table)
    return tally


def _nodes_of(rows: Rows, scope: Scope, package: str) -> list[tuple[int, NodeUpdate]]:
    held_nodes = {node for node, _, table in _tables(rows, scope, updates.HELD) if table and package in _first_cells(table)}
    return [
        (no, NodeUpdate(node, row.before, row.after, row.security, row.repository, node in held_nodes))
        for node, no, table in _tables(rows, scope, updates.SUBJECT)
        if table and (row := updates.row_of(table, package))
    ]


def _tables(rows: Rows, scope: Scope, subject: str, after: int = 0) -> Iterator[tuple[NodeId, int, SubjectTable | None]]:
    """Each node that the caller may see, with its number and its table of a subject; None: it has no readable table.

    Args: after: only nodes with higher numbers.
    """
    while True:
        found = rows.fetch_all(
            _TABLES_SQL + " AND node.no > ?" + admitted(scope) + " ORDER BY node.no LIMIT ?",
            subject,
            scope.org,
            after,
            *grant_values(scope),
            _PAGE_NODES,
        )
        for row in found:
            failed = row["taken_at"] is None or row["total"] < 0
            yield NodeId(row["id"]), row["no"], None if failed else read_table(subject, row)
        if len(found) < _PAGE_NODES:
            return
        after = found[-1]["no"]


def digest_of(packages: dict[str, str]) -> str:
    """The digest of a state of packages, as docs/wire.md defines it. `packages` must be sorted by name."""
    return hashlib.sha256("".join(f"{name}\t{version}\n" for name, version in packages.items()).encode()).hexdigest()[:32]


def _no(rows: Rows, scope: Scope, node: NodeId) -> int:
    row = rows.fetch_one(_NODE + admitted(scope), scope.org, node, *grant_values(scope))
    if row is None:
        raise NotFound(f"there is no node {node}")
    return int(row["no"])


def read_table(subject: str, row: Row) -> SubjectTable | None:
    """The table of a row; None: it is damaged."""
    try:
        return SubjectTable(subject, row["taken_at"], row["total"], texts_from_json(row["columns"]), _read_cells(row["cells"]))
    except StoreError:
        return None


def _read_cells(blob: bytes) -> tuple[TableCell, ...]:
    found = inflated(_cells, blob)
    return tuple(found)


def _first_cells(table: SubjectTable) -> tuple[TableCell, ...]:
    return table.cells[:: max(1, len(table.columns))]


def _read_packages(blob: bytes) -> dict[str, str]:
    return inflated(_packages, blob)
