"""Node data that is not a time series: tables and installed packages. They are validated, stored and published."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

from groundcontrol.agents.process_history import ProcessHistoryWriter
from groundcontrol.agents.session import AgentSession
from groundcontrol.core.bus import Bus, Changed, NodeTable
from groundcontrol.core.ids import NodeId
from groundcontrol.core.stores import Stores
from groundcontrol.core.tables import PackageChanges, SubjectTable
from groundcontrol.core.text import clean
from groundcontrol.nodes import processes
from groundcontrol.nodes.store import NodeTableStore
from spider.clock import Clock
from spider.wire import table_rows
from spider.wire.errors import ProtocolError
from spider.wire.report_messages import InstalledPackages, PackagesHeld, Table
from spider.wire.tables import Subject

log = logging.getLogger(__name__)

FLEETING: Final = frozenset({processes.SUBJECT})
"""Subjects whose table is useless once the node disconnects, so it is not stored. Processes have a history instead."""
MAX_NAME: Final = 200
MAX_PACKAGES: Final = 32_768
DIGEST_CHARS: Final = 32


class _Latest(NamedTuple):
    """The newest table of a subject."""

    epoch: int
    """Epoch of the session that sent it."""
    wire: Table
    table: SubjectTable


class NodeTables:
    """The newest tables of each node of this hub."""

    def __init__(self, store: Stores, bus: Bus, clock: Clock, history: ProcessHistoryWriter) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._history = history
        self._latest: dict[NodeId, dict[str, _Latest]] = {}
        self._received_parts: dict[AgentSession, PackageChanges] = {}
        """Session -> the received parts of a package list that is not complete."""

    def tables(self, node: NodeId) -> Mapping[str, SubjectTable]:
        """Subject -> the table that the node sent in its present session. Stored tables are not newer."""
        return {subject: latest.table for subject, latest in self._latest.get(node, {}).items()}

    async def joined(self, agent: AgentSession) -> None:
        """Send the digest of the stored packages, so that the node sends only changes."""
        await agent.send(PackagesHeld(await self._store[NodeTableStore].packages_digest(agent.session)))

    def left(self, agent: AgentSession) -> None:
        """Drop the data of an ended session from memory. The tables of a newer session of the node stay."""
        self._received_parts.pop(agent, None)
        newer = {name: one for name, one in self._latest.pop(agent.node.id, {}).items() if one.epoch > agent.session.epoch}
        if newer:
            self._latest[agent.node.id] = newer

    async def table(self, agent: AgentSession, message: Table) -> None:
        """Receive a table.

        Raises: ProtocolError; StoreError.
        """
        subject = table_rows.check(message)
        if subject is None:
            return  # a subject of a newer agent
        before = self._latest.get(agent.node.id, {}).get(subject.name)
        full = table_rows.fill(message, before.wire if before is not None and before.epoch == agent.session.epoch else None)
        stored = _to_subject_table(subject, full)
        if subject.name not in FLEETING:
            await agent.save(f"table {subject.name}", partial(self._store[NodeTableStore].save_table, agent.session, stored))
        if agent.over:
            return  # a newer session of the node may have sent its own table meanwhile
        if subject.name == processes.SUBJECT:
            self._keep_processes(agent, stored)
        self._latest.setdefault(agent.node.id, {})[subject.name] = _Latest(agent.session.epoch, full, stored)
        self._bus.publish(NodeTable(agent.node.id, stored))

    def _keep_processes(self, agent: AgentSession, table: SubjectTable) -> None:
        reading = processes.top_processes(table)
        if reading is not None and processes.is_kept(reading, self._clock.now()):
            self._history.add(agent.session, reading)

    async def packages(self, agent: AgentSession, message: InstalledPackages) -> None:
        """Receive a part of the package list; the last part is acknowledged.

        Raises: ProtocolError; StoreError.
        """
        so_far = self._received_parts.pop(agent, None)
        if message.part == 0:
            so_far = PackageChanges(message.since[:DIGEST_CHARS], message.digest, {})
        if so_far is None or not _follows(so_far, message):
            raise ProtocolError("a part of a package list that does not follow the part before")
        so_far.versions.update((_plain(name), _plain(version)) for name, version in zip(message.names, message.versions, strict=True))
        if len(so_far.versions) > MAX_PACKAGES:
            raise ProtocolError("more packages than a server has")
        if message.part < message.parts - 1:
            self._received_parts[agent] = so_far
            return
        await agent.save("packages", partial(self._save_packages, agent, so_far))

    async def _save_packages(self, agent: AgentSession, changes: PackageChanges) -> None:
        state = await self._store[NodeTableStore].save_packages(agent.session, changes, self._clock.now())
        if not state.digest and not changes.since:
            raise ProtocolError("a package list that does not match its digest")
        await agent.send(PackagesHeld(state.digest))
        self._bus.publish(Changed("node", agent.node.id, agent.node.version, agent.node.org))


def _follows(so_far: PackageChanges, message: InstalledPackages) -> bool:
    return (
        len(message.names) == len(message.versions)
        and 0 <= message.part < message.parts <= MAX_PACKAGES
        and message.digest == so_far.digest
        and message.since == so_far.since
        and len(message.digest) == DIGEST_CHARS
        and message.digest.isascii()
        and message.digest.isalnum()
    )


def _plain(text: str) -> str:
    """Check that a name or version is sanitized. The node sanitizes them, so that both compute one digest.

    Raises: ProtocolError.
    """
    if len(text) > MAX_NAME or clean(text, MAX_NAME) != text:
        raise ProtocolError("a package with an impossible name")
    return text


def _to_subject_table(subject: Subject, table: Table) -> SubjectTable:
    """A table with the columns that this hub knows, in the catalogue's order, with sanitized texts."""
    known = [column for column in subject.columns if column.name in table.columns]
    indices = [table.columns.index(column.name) for column in known]
    cells = tuple(
        clean(cell, column.most) if isinstance(cell, str) else cell
        for row in table_rows.rows_of(table)
        for column, cell in zip(known, (row[index] for index in indices), strict=True)
    )
    return SubjectTable(subject.name, table.taken_at_ms / 1000, table.total, tuple(column.name for column in known), cells)
