"""Looks that the hub orders of agents: sent once a session, received only if ordered, bounded, and plain whatever a hostile node says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from groundcontrol.agents.node_looks import MAX_BYTES, MAX_RUNS, RENEW_S, NodeLooks
from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import AgentSession
from groundcontrol.core.ids import NodeId
from groundcontrol.nodes.looks import LookWish
from spider.wire.errors import ProtocolError
from spider.wire.frames import LOOKS, Message
from spider.wire.report_messages import Looked, LookedOn, LookOrder
from tests.support.clock import ManualClock

NODE = NodeId("n")
RUN = Looked(
    "one", 1_000_000, 1_000_000, 1, [], [], [], [], ["shop.service"], [], [], ["tcp 80 shop.service"], ["/"], [40], [], 0, ["tcp 80"], ["ok"]
)  # fmt: skip


class Agents:
    """A registry of one node, whose agent notes what is sent to it."""

    def __init__(self, *features: str) -> None:
        self.sent: list[Message] = []
        self.hello = SimpleNamespace(features=list(features))
        self.session = SimpleNamespace(epoch=1)
        self.node = SimpleNamespace(id=NODE)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def agent(self, node: NodeId) -> Any:
        return self if node == NODE else None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def agents() -> Agents:
    return Agents(LOOKS)


@pytest.fixture
def looks(agents: Agents, clock: ManualClock) -> NodeLooks:
    return NodeLooks(cast("Registry", agents), clock)


def heard(looks: NodeLooks, agents: Agents, *messages: Message) -> None:
    for message in messages:
        (looks.looked if isinstance(message, Looked) else looks.looked_on)(cast("AgentSession", agents), message)  # type: ignore[arg-type]


async def test_an_order_is_sent_once_a_session_and_renewed_and_ended(looks: NodeLooks, agents: Agents, clock: ManualClock) -> None:
    wanted = {NODE: LookWish("one", ("tcp 80",)), NodeId("offline"): LookWish("one")}
    await looks.keep(wanted)
    await looks.keep(wanted)
    assert [one.order for one in agents.sent if isinstance(one, LookOrder)] == ["one"]
    agents.session = SimpleNamespace(epoch=2)
    await looks.keep(wanted)
    clock.advance(RENEW_S)
    await looks.keep(wanted)
    assert len(agents.sent) == 3
    await looks.keep({})
    assert cast("LookOrder", agents.sent[-1]).lease_s == 0
    assert (looks.state(NODE), looks.state(NodeId("offline"))) == ("asked", "offline")


async def test_an_agent_of_an_older_release_gets_no_order(clock: ManualClock) -> None:
    old = Agents("journal")
    looks = NodeLooks(cast("Registry", old), clock)
    await looks.keep({NODE: LookWish("one")})
    assert (old.sent, looks.state(NODE)) == ([], "too_old")


async def test_runs_are_kept_in_the_order_of_their_times_and_only_if_ordered(looks: NodeLooks, agents: Agents) -> None:
    heard(looks, agents, RUN)
    assert looks.runs(NODE, "one") == []
    await looks.keep({NODE: LookWish("one")})
    later = RUN._replace(from_ms=2_000_000, to_ms=2_000_000)
    heard(looks, agents, later, RUN, RUN._replace(order="another"), LookedOn("one", 2_000_000, 2_010_000, 3))
    assert [(run.from_at, run.to_at, run.looks) for run in looks.runs(NODE, "one")] == [(1000.0, 1000.0, 1), (2000.0, 2010.0, 3)]
    assert [run.since(2005.0) for run in looks.runs(NODE, "one")] == [0, 2]
    heard(looks, agents, *(RUN._replace(from_ms=number, to_ms=number) for number in range(3_000_000, 3_000_000 + MAX_RUNS)))
    assert len(looks.runs(NODE, "one")) == MAX_RUNS


@pytest.mark.parametrize(
    "many",
    [
        {"failed": True}, {"restarting": True}, {"active": True}, {"ports": True}, {"read_only": True},
        {"restarted": True, "restarts": 1}, {"mounts": True, "full_percent": 40},
    ],
    ids=lambda many: next(iter(many)),
)  # fmt: skip
async def test_whatever_list_a_hostile_node_fills_its_runs_take_bounded_memory(
    looks: NodeLooks, agents: Agents, many: dict[str, Any]
) -> None:
    await looks.keep({NODE: LookWish("one")})
    held = 20_000
    for number in range(1, 9):
        lists: dict[str, Any] = {
            name: [f"{number}-{item}" if fill is True else fill for item in range(held)] for name, fill in many.items()
        }
        heard(looks, agents, RUN._replace(from_ms=number, to_ms=number, **lists))
    kept = looks.runs(NODE, "one")
    assert len(kept) * held * 80 <= MAX_BYTES, f"{len(kept)} runs of {held} names"
    assert kept[-1].from_at == 0.008, "the newest stays"


async def test_names_become_plain_and_a_part_that_is_missing_is_not_empty(looks: NodeLooks, agents: Agents) -> None:
    await looks.keep({NODE: LookWish("one")})
    heard(looks, agents, RUN._replace(active=["a\x1b[2J\u202e<b>.service"], unreadable=["ports"], absent=["mounts", "x"], oom_kills=-1))
    [run] = looks.runs(NODE, "one")
    assert (run.active, run.ports, run.mounts, run.oom_kills, run.absent) == (("a[2J<b>.service",), None, None, None, frozenset({"mounts"}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"from_ms": 0},
        {"to_ms": 1},
        {"looks": 0},
        {"looks": 1 << 40},
        {"restarts": [1]},
        {"full_percent": []},
        {"full_percent": [101]},
        {"answers": []},
        {"probes": ["tcp 1"] * 21, "answers": ["ok"] * 21},
    ],
)
async def test_an_impossible_run_ends_the_session(looks: NodeLooks, agents: Agents, wrong: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        heard(looks, agents, RUN._replace(**wrong))
