"""The store interface of patch policies, their occurrences, windows, and versions that the fleet has shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from groundcontrol.core.ids import NodeId
from groundcontrol.core.records import Records
from groundcontrol.core.scope import Scope
from groundcontrol.events.model import Severity
from groundcontrol.policies.choosing import Update
from groundcontrol.policies.model import Occurrence, OccurrenceState, PatchPolicy, PolicyId
from groundcontrol.policies.waves import WorkTimes
from groundcontrol.policies.windows import PatchWindow


class Told(NamedTuple):
    """An event that a decision about an occurrence also records, and sends to the channels of the report."""

    kind: str
    details: dict[str, object]
    severity: Severity | None = None


class PolicyStore(Records[PatchPolicy], Protocol):
    """Policies and their occurrences. A changed policy loses its planned occurrences with their approvals, a deleted one all of them."""

    async def pause_policy(self, org: int, policy: PolicyId, why: str, told: dict[str, object] | None = None) -> None:
        """Set why a policy makes no roll-outs; empty: it does again, from now on.

        Args: told: the details of the event `patch_paused`, which the change also records and sends to the channels of the report.
        """
        ...

    async def resume_policies(self, scope: Scope) -> int:
        """Resume the policies that a restore paused. Returns: how many."""
        ...

    async def rewind_policy(self, org: int, policy: PolicyId) -> None:
        """Judge the times ahead once more that were missed while the clock was ahead, so that no policy rests until then."""
        ...

    async def occurrences(self, org: int, policy: PolicyId, since: float) -> Sequence[Occurrence]:
        """The stored ones from a time on, oldest first. An occurrence that nothing was decided about is not stored."""
        ...

    async def decided(self, org: int, since: float) -> Mapping[PolicyId, Mapping[float, OccurrenceState]]:
        """Policy -> time of an occurrence from a time on -> its state, as far as one is stored."""
        ...

    async def save_occurrence(
        self, scope: Scope, before: Occurrence | None, after: Occurrence, considered_at: float | None = None, told: Told | None = None
    ) -> Occurrence:
        """Store a decision about an occurrence once, with the event that tells it.

        Args:   before: as it was read; None: it was not stored.
                considered_at: also move the time up to which occurrences of the policy were judged.
        Raises: Conflict: somebody else has decided meanwhile; NotFound: the policy is deleted.
        """
        ...

    async def may_act(self, org: int, actor_id: str, action: str, node: NodeId, tags: Collection[str], ordered_at: float) -> bool:
        """Whether a user may do this now (`permissions.still_authorized`); for no node in particular, `node` is empty."""
        ...

    async def node_updates(
        self, scope: Scope, nodes: Collection[NodeId] | None = None
    ) -> Mapping[NodeId, tuple[float, tuple[Update, ...]]]:
        """Node -> when its list was read, and its updates. A node whose list is not known is left out."""
        ...

    async def seen(self, org: int, packages: Collection[str]) -> Mapping[tuple[str, str, str], float]:
        """(repository, package, version) -> when the fleet first saw it."""
        ...

    async def last_event(self, org: int, node: NodeId, kind: str) -> float | None:
        """When a node last reported an event of this type or custom name; None: never."""
        ...

    async def last_patched(self, scope: Scope) -> Mapping[NodeId, float]:
        """Node -> when its last upgrade succeeded."""
        ...

    async def work_times(self, scope: Scope, nodes: Collection[NodeId]) -> Mapping[NodeId, WorkTimes]:
        """Node -> verb -> how long its last ten upgrades or reboots took. What never succeeded is missing."""
        ...


class PatchWindowStore(Records[PatchWindow], Protocol):
    """Windows and freezes."""
