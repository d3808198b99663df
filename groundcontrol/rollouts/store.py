"""The store interface of roll-outs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from groundcontrol.core.errors import Conflict
from groundcontrol.core.ids import JobId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.jobs.model import Job
from groundcontrol.policies.model import Occurrence
from groundcontrol.rollouts.model import JobKey, Rollout, RolloutId, Stepped


class Moved(Conflict):
    """The hub has moved the roll-out since it was read."""


class Saved(NamedTuple):
    """What a save has stored."""

    rollout: Rollout
    jobs: tuple[JobId, ...]
    """New jobs, and those with a new stop request."""
    nodes: tuple[tuple[NodeId, int], ...] = ()
    """Nodes whose count of misses has changed, with their new version."""


class Begin(NamedTuple):
    """The occurrence that a new roll-out is for."""

    before: Occurrence | None
    after: Occurrence
    considered_at: float


class Keyed(NamedTuple):
    """A request with an Idempotency-Key."""

    key: str
    asked: object
    """What was asked, as JSON knows it: a key stands for one request."""


class RolloutStore(Protocol):
    async def create_rollout(self, scope: Scope, rollout: Rollout, begin: Begin | None = None, keyed: Keyed | None = None) -> Rollout:
        """Create a roll-out; for an occurrence, in the transaction that marks it as started, so it runs once.

        Returns: the one that an earlier request of this caller with the same key has made, if there is one.
        Raises: Conflict: the occurrence was decided meanwhile, or the id was used before; IdempotencyMismatch.
        """
        ...

    async def rollout_of_key(self, scope: Scope, keyed: Keyed) -> Rollout | None:
        """The roll-out that an earlier request of this caller with this key has made. Raises: IdempotencyMismatch."""
        ...

    async def save_rollout(self, scope: Scope, before: Rollout, after: Stepped) -> Saved:
        """Store a move with its jobs, stops and events, if the stored version is that of `before`.

        Raises: Conflict: somebody else has moved it, or taken the slot of a reboot, meanwhile; NotFound.
        """
        ...

    async def live_rollouts(self) -> Sequence[Rollout]:
        """Those of all organisations that have not ended, oldest first. Damaged ones are left out."""
        ...

    async def rollout(self, scope: Scope, rollout: RolloutId) -> Rollout:
        """Raises: NotFound: it does not exist, or none of its targets is a node that the caller may see."""
        ...

    async def targeting(self, scope: Scope, node: NodeId, rollouts: Collection[RolloutId]) -> frozenset[RolloutId]:
        """Those of these roll-outs that this node is a target of."""
        ...

    async def rollouts(self, scope: Scope, limit: int, cursor: str | None = None, policy: str | None = None) -> Page[Rollout]:
        """Newest first, of those that `rollout` would give."""
        ...

    async def jobs_of(self, rollout: Rollout) -> Mapping[JobKey, Job]:
        """The jobs of its targets. A job that was deleted is missing."""
        ...

    async def busy_elsewhere(self, rollout: Rollout) -> Mapping[NodeId, str]:
        """Node -> name of an older live roll-out that has not finished it."""
        ...

    async def role_reboots(self, rollout: Rollout) -> Mapping[str, int]:
        """Role -> reboots under way: of other live roll-outs, and those that people have ordered."""
        ...

    async def reboots_by_policy(self, org: int, nodes: Sequence[NodeId]) -> Mapping[NodeId, float]:
        """Node -> when a roll-out of a policy last rebooted it."""
        ...

    async def patched_by(self, scope: Scope) -> Mapping[NodeId, str]:
        """Node -> name of the roll-out that last patched it."""
        ...

    async def expire_rollouts(self, before: float) -> int:
        """Remove some ended ones from before a time in Unix seconds. Returns: how many; 0: none is left."""
        ...
