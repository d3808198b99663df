"""Where a node is, and who says so."""

from __future__ import annotations

from groundcontrol.core.ids import NodeId
from groundcontrol.nodes.locations import Located, Locations
from groundcontrol.nodes.model import Node, NodeIdentity, NodeUpdates

PATTERNS = (("hsb*", "home"), ("hsb9", "work"), ("csb[0-9]", "cloud"))


def node(name: str, *, reported: str = "", chosen: str = "") -> Node:
    identity = NodeIdentity(location=reported)
    return Node(NodeId(name), 1, 1, name, "", (), 1, True, identity, "", None, NodeUpdates(), "unknown", 1.0, None, 1, location=chosen)


def test_a_user_goes_before_the_node_and_the_node_before_its_name() -> None:
    of = Locations(PATTERNS).of
    assert of(node("hsb1", reported="garage", chosen="cellar")) == Located("cellar", "user")
    assert of(node("hsb1", reported="garage")) == Located("garage", "node")
    assert of(node("HSB1")) == Located("home", "name")
    assert of(node("hsb9")) == Located("home", "name"), "the first pattern counts"
    assert of(node("csb3")) == Located("cloud", "name")
    assert of(node("csbx")) is None
