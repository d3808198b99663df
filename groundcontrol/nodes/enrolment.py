"""Enrolment of nodes: a new id, a row, and the two keys that derive from the fleet key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from groundcontrol.core.bus import Bus, Changed
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM, Scope
from groundcontrol.core.stores import Stores
from groundcontrol.core.text import clean
from groundcontrol.events.making import new_event
from groundcontrol.nodes.checks import checked_name
from groundcontrol.nodes.model import NewNode, Node, adopted_name
from groundcontrol.nodes.store import NodeStore
from spider.wire.ids import new_random_id
from spider.wire.proof import node_keys

MAX_NAMES: Final = 5000


class Enrolled(NamedTuple):
    """A new node and its keys. The caller hands the keys to the node; the hub stores none of them."""

    node: Node
    session_key: bytes
    launch_key: bytes


async def enrol(
    nodes: NodeStore, bus: Bus, fleet_key: bytes, scope: Scope, names: Sequence[str], *, address: str, simulated: bool
) -> list[Enrolled]:
    """Create a node for each name, or none at all.

    Raises: BadRequest: there are no names or too many, or a name is not valid or given twice; Conflict: a name is taken.
    """
    if not 0 < len(names) <= MAX_NAMES:
        raise BadRequest(f"give 1 to {MAX_NAMES} names", field="names")
    for name in names:
        if checked_name(name) != name:
            raise BadRequest("names: no spaces at the ends, and single ones within", field="names")
    if len(set(names)) != len(names):
        raise BadRequest("a name is in the list twice", field="names")
    if clean(address) != address or not address:
        raise BadRequest("the address is not valid", field="address")
    wanted = [NewNode(NodeId(new_random_id()), name, address, simulated=simulated) for name in names]
    made = []
    for node in await nodes.create_nodes(scope, wanted):
        keys = node_keys(fleet_key, node.id, node.generation)
        made.append(Enrolled(node, keys.session, keys.launch))
        bus.publish(Changed("node", node.id, node.version, node.org))
    return made


async def re_adopt(store: Stores, bus: Bus, node: NodeId, address: str, at: float) -> Node:
    """Enrol a node that has proven that it belongs to this fleet. It takes its host's name when it first reports that name.

    Raises: Conflict: the node was removed from this hub. StoreError.
    """
    name = adopted_name(node)
    adopted = new_event("node_adopted", at, {"address": address}, node=node, name=name, org=SYSTEM.org)
    made = await store[NodeStore].create_node(SYSTEM, NewNode(node, name, address), adopted)
    bus.publish(Changed("node", made.id, made.version, made.org))
    return made
