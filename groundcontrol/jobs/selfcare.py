"""Payload of the orders that maintain the agent: the new bundle in parts, and masked new keys. Neither is stored anywhere."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterator
from typing import Final

from groundcontrol.agents.session import AgentSession
from groundcontrol.core.errors import Conflict
from groundcontrol.jobs.model import Job
from spider.wire.frames import MAX_BUNDLE_PART_BYTES, Bundle
from spider.wire.proof import node_keys, rekey_mask
from spider.wire.verbs import UPDATE

MAX_GENERATION: Final = (1 << 32) - 1


class SelfcareOrders:
    """The bundle that this hub ships, and the sessions to which it was sent."""

    def __init__(self, fleet_key: bytes, bundle: bytes) -> None:
        self._fleet_key = fleet_key
        self._bundle = bundle
        self._digest = hashlib.sha256(bundle).digest()
        self._given: weakref.WeakSet[AgentSession] = weakref.WeakSet()

    def parts(self, agent: AgentSession, job: Job) -> Iterator[Bundle]:
        """The parts of the bundle, to send before an `update` order. Empty: this session has them, or the job orders another version."""
        if job.action != UPDATE or job.plan != self._digest.hex() or agent in self._given:
            return
        self._given.add(agent)
        for at in range(0, len(self._bundle), MAX_BUNDLE_PART_BYTES):
            yield Bundle(self._digest, at, len(self._bundle), self._bundle[at : at + MAX_BUNDLE_PART_BYTES])

    def forget(self, agent: AgentSession) -> None:
        """Send the bundle again with the next `update`: the job that ended may have consumed it."""
        self._given.discard(agent)

    def new_keys(self, job: Job, generation: int) -> dict[str, object]:
        """The arguments of a `rekey` for a node whose keys have this generation.

        Raises: Conflict: there is no next generation.
        """
        if generation >= MAX_GENERATION:
            raise Conflict("this node has the last generation of keys that there is: remove it and add it again for new ones")
        new = node_keys(self._fleet_key, job.node_id, generation + 1)
        clear = new.session + new.launch
        mask = rekey_mask(node_keys(self._fleet_key, job.node_id, generation).launch, job.id)
        masked = bytes(left ^ right for left, right in zip(clear, mask, strict=True))
        return {"generation": generation + 1, "keys": masked.hex(), "digest": hashlib.sha256(clear).hexdigest()}
