"""The store interface of patch policies, their occurrences, windows, and versions that the fleet has shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from groundcontrol.core.ids import NodeId
from groundcontrol.core.records import Records
from groundcontrol.core.scope import Scope
from groundcontrol.policies.choosing import Update
from groundcontrol.policies.model import Occurrence, PatchPolicy, PolicyId
from groundcontrol.policies.windows import PatchWindow

MOST_POLICIES: Final = 200


class PolicyStore(Protocol):
    async def create_policy(self, scope: Scope, policy: PatchPolicy) -> PatchPolicy:
        """Raises: Conflict: the name is taken, there are `MOST_POLICIES`, or the id was used before."""
        ...

    async def save_policy(self, scope: Scope, policy: PatchPolicy) -> PatchPolicy:
        """Replace the version that `policy.version` names. Planned occurrences lose their approvals.

        Raises: Conflict: another version is stored, or the name is taken; NotFound.
        """
        ...

    async def apply_policies(self, scope: Scope, made: Sequence[PatchPolicy], changed: Sequence[PatchPolicy]) -> None:
        """Create and save all of them or none. Raises: as above."""
        ...

    async def delete_policy(self, scope: Scope, policy: PolicyId) -> None:
        """Delete a policy with its occurrences. Its roll-outs stay. A repeated call changes nothing."""
        ...

    async def policy(self, scope: Scope, policy: PolicyId) -> PatchPolicy:
        """Raises: NotFound."""
        ...

    async def policies(self, scope: Scope) -> Sequence[PatchPolicy]:
        """By name. Damaged ones are left out; the doctor reports them."""
        ...

    async def every_policy(self) -> Sequence[PatchPolicy]:
        """Those of all organisations."""
        ...

    async def pause_policy(self, org: int, policy: PolicyId, why: str) -> None:
        """Set why a policy makes no roll-outs; empty: it does again, from now on."""
        ...

    async def resume_policies(self, scope: Scope) -> int:
        """Resume the policies that a restore paused. Returns: how many."""
        ...

    async def occurrences(self, org: int, policy: PolicyId, since: float) -> Sequence[Occurrence]:
        """The stored ones from a time on, oldest first. An occurrence that nothing was decided about is not stored."""
        ...

    async def save_occurrence(
        self, scope: Scope, before: Occurrence | None, after: Occurrence, considered_at: float | None = None
    ) -> Occurrence:
        """Store a decision about an occurrence once.

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

    async def last_patched(self, scope: Scope) -> Mapping[NodeId, tuple[float, str]]:
        """Node -> when its last upgrade succeeded, and by which patch policy (empty: by none)."""
        ...


class PatchWindowStore(Records[PatchWindow], Protocol):
    """Windows and freezes."""
