"""The commands on patch policies: reads what a decision needs, checks, stores."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from groundcontrol.access.store import UserAdminStore
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import NodeId
from groundcontrol.core.permissions import PERMISSIONS
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.core.stores import Stores
from groundcontrol.nodes.interfaces import Presence, ReceivedTables
from groundcontrol.nodes.looks import ReceivedLooks
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from groundcontrol.policies.bodies import NEAR_S, NextTimes
from groundcontrol.policies.model import PatchPolicy
from groundcontrol.policies.preview import Fleet, place_of
from groundcontrol.policies.store import PatchWindowStore, PolicyStore
from groundcontrol.policies.windows import frozen
from spider.clock import Clock

_PAGE: Final = 1000
_MACHINE_ID: Final = Path("/etc/machine-id")


def own_machine_id() -> str:
    """The machine id of the hub's own host; empty: it has none."""
    try:
        return _MACHINE_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


async def all_nodes(store: NodeStore, scope: Scope, only: Collection[NodeId] | None = None) -> list[Node]:
    """Every node that the caller may see; with `only`, those of these ids."""
    found: list[Node] = []
    cursor: str | None = None
    while True:
        page = await store.nodes(scope, _PAGE, cursor, only)
        found += page.items
        if (cursor := page.next) is None:
            return found


async def next_times(store: PolicyStore, org: int, now: float) -> NextTimes:
    """When the policies of an organisation begin next."""
    return NextTimes(now, await store.decided(org, now - NEAR_S))


class FleetReader:
    """Reads the facts of a preview."""

    def __init__(self, stores: Stores, clock: Clock, presence: Presence, looks: ReceivedLooks, tables: ReceivedTables) -> None:
        self._stores = stores
        self._clock = clock
        self._presence = presence
        self._looks = looks
        self._tables = tables
        self.own_machine = own_machine_id()

    async def read(self, scope: Scope, policy: PatchPolicy) -> Fleet:
        """The nodes that the caller may see and the policy selects."""
        store = self._stores[PolicyStore]
        nodes = [node for node in await all_nodes(self._stores[NodeStore], scope) if policy.select.selects(node.id, node.tags)]
        ids = [node.id for node in nodes]
        updates = await store.node_updates(scope, ids)
        packages = {one.package for _, ones in updates.values() for one in ones}
        return Fleet(
            nodes=nodes,
            online=frozenset(NodeId(node) for node in ids if self._presence.online(node)),
            too_old=frozenset(NodeId(node) for node in ids if self._looks.state(node) == "too_old"),
            no_units=frozenset(NodeId(node) for node in ids if self._has_no_units(node)),
            updates=updates,
            seen=await store.seen(scope.org, packages),
            times=await store.work_times(scope, ids),
            windows=await self._stores[PatchWindowStore].all(scope),
            others=[one for one in await store.all(scope) if one.id != policy.id and one.enabled],
            approvers=await self._approvers(scope, policy),
            own_machine=self.own_machine,
            decided=(await store.decided(scope.org, self._clock.now() - NEAR_S)).get(policy.id, {}),
        )

    def _has_no_units(self, node: NodeId) -> bool:
        """Whether a connected node has no systemd. A node sends its services, also none of them, long before its first list of updates."""
        tables = self._tables.tables(node)
        return "updates" in tables and "services" not in tables

    async def _approvers(self, scope: Scope, policy: PatchPolicy) -> int:
        """How many users may approve, without the last editor."""
        page = await self._stores[UserAdminStore].users(hub_scope(scope.org), 500)
        roles = PERMISSIONS["patch.manage"]
        people: Sequence[str] = [one.user.id for one in page.items if not one.user.disabled and one.user.role in roles]
        return len([one for one in people if one != policy.edited_by])


class FreezeReader:
    """`jobs.freezes.Freezes`."""

    def __init__(self, stores: Stores, clock: Clock) -> None:
        self._stores = stores
        self._clock = clock

    async def frozen(self, node: Node) -> str:
        windows = await self._stores[PatchWindowStore].all(hub_scope(node.org))
        found = frozen(windows, place_of(node), self._clock.now())
        return "" if found is None else found.name


def check_report(policy: PatchPolicy, channels: Sequence[str]) -> None:
    """Raises: BadRequest: a channel of the report does not exist."""
    for one in policy.report:
        if one not in channels:
            raise BadRequest(f"report: there is no channel {one[:40]!r}; the list of channels has the ids", field="report")
