"""hub.handshake: CPU of each end for opening a session, with the derivation of keys and both proofs."""

from __future__ import annotations

import itertools
import os
import statistics
import time

from groundcontrol.agents.codec import CODEC
from spider.wire.ids import new_random_id
from spider.wire.proof import node_keys
from spider.wire.session import HubOpening, NodeOpening

OPENINGS = 2000
WARM_UP = 300


def handshake() -> list[dict[str, object]]:
    """Median CPU of one opening, at the hub and at the node."""
    fleet_key, fleet, node = os.urandom(32), new_random_id(), new_random_id()
    session_key = node_keys(fleet_key, node, 1).session
    spent: dict[str, list[int]] = {"hub": [], "node": []}
    clock = time.process_time_ns
    for _ in range(WARM_UP + OPENINGS):
        marks = [clock()]
        ours = NodeOpening(node, 1, session_key, "a" * 32, "hub.example", "0.1.0", [], [], os.urandom(32))
        hello = ours.hello()
        marks.append(clock())
        theirs = HubOpening(hello, os.urandom(32), 1, fleet, CODEC)
        challenge = theirs.challenge(node_keys(fleet_key, node, 1).session)
        marks.append(clock())
        answer, _ = ours.challenge(challenge)
        marks.append(clock())
        theirs.auth(answer)
        marks.append(clock())
        steps = [after - before for before, after in itertools.pairwise(marks)]
        spent["node"].append(steps[0] + steps[2])
        spent["hub"].append(steps[1] + steps[3])
    return [
        {"name": f"hub.handshake.{end}", "value": round(statistics.median(times[WARM_UP:]) / 1e6, 3), "unit": "ms of CPU"}
        for end, times in spent.items()
    ]
