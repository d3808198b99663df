"""What an admin of the instance does with organisations, and an admin of an organisation with its members."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from typing import Final, Literal, NamedTuple

from groundcontrol.access.model import Organisation, OrganisationState
from groundcontrol.access.store import MembershipStore, OrganisationStore, UserStore
from groundcontrol.access.users import ALL_USERS, UserAdmin
from groundcontrol.core.bus import Bus, Changed, Revoked
from groundcontrol.core.errors import BadRequest, Conflict, HasNodes, HubError
from groundcontrol.core.ids import NodeId, UserId
from groundcontrol.core.rounds import every
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.core.stores import Stores
from groundcontrol.core.text import checked_name, is_visible
from groundcontrol.deployments.service import DeploymentService
from groundcontrol.jobs.store import JobStore
from groundcontrol.nodes.store import NodeStore
from groundcontrol.policies.service import all_nodes
from groundcontrol.policies.store import PolicyStore
from groundcontrol.rollouts.model import Stepped
from groundcontrol.rollouts.service import RolloutService
from groundcontrol.rollouts.step import pause
from groundcontrol.rollouts.store import RolloutStore
from groundcontrol.web.services import Services
from spider.clock import Clock
from spider.wire.ids import new_random_id

SLUG: Final = re.compile(r"[a-z][a-z0-9-]{0,38}[a-z0-9]\Z")
MAX_NAME_CHARS: Final = 60
MAX_QUOTA: Final = 1_000_000
LEAST_BREAK_GLASS_S: Final = 59.0
"""A minute; as a part of an hour it may be rounded."""
MAX_BREAK_GLASS_S: Final = 4 * 3600.0
MAX_REASON_CHARS: Final = 200
SWEEP_S: Final = 10.0
"""Interval at which memberships whose time is over are removed. They count no more from the moment they end."""


MOVING: Final = ("waiting", "running", "holding")
"""States of roll-outs that a suspension pauses."""
MOST_MOVES: Final = 50
"""How often roll-outs that move while they are being paused are read again."""


class FirstAdmin(NamedTuple):
    """How a new organisation got its first admin."""

    username: str
    how: Literal["joined", "offered", "created"]
    password: str | None
    """The one-time password of a created account."""


def checked_slug(slug: str) -> str:
    """Raises: BadRequest."""
    if not SLUG.match(slug):
        raise BadRequest("a short name has 2 to 40 of a-z, 0-9 and -, begins with a letter and does not end with -", field="slug")
    return slug


def checked_quota(quota: int | None) -> int | None:
    """Raises: BadRequest."""
    if quota is not None and not 0 <= quota <= MAX_QUOTA:
        raise BadRequest(f"a quota is 0 to {MAX_QUOTA} nodes, or null for no limit", field="node_quota")
    return quota


class OrganisationService:
    """The commands of organisations."""

    def __init__(self, services: Services, *, stores: Stores, bus: Bus, clock: Clock, users: UserAdmin) -> None:
        self._services = services
        self._stores = stores
        self._bus = bus
        self._clock = clock
        self._users = users

    async def run(self) -> None:
        """Remove memberships whose time is over, until cancelled."""
        await every(SWEEP_S, self._end_memberships, self._clock, "memberships")

    async def _end_memberships(self) -> None:
        for user in await self._stores[MembershipStore].end_memberships():
            self._bus.publish(Revoked("", user))

    async def create(
        self, scope: Scope, slug: str, name: str, node_quota: int | None, first_admin: str | None
    ) -> tuple[Organisation, FirstAdmin | None]:
        """Create an organisation. `first_admin`: a new account with a one-time password; a known user gets an offer; the caller joins.

        Raises: BadRequest; Conflict: the short name is taken; Unavailable.
        """
        wanted = Organisation(
            0,
            new_random_id(),
            checked_slug(slug),
            checked_name(name, MAX_NAME_CHARS),
            "active",
            False,
            "none",
            checked_quota(node_quota),
            self._clock.now(),
            0,
        )
        made = await self._stores[OrganisationStore].create(scope, wanted)
        return made, None if first_admin is None else await self._first(scope._replace(org=made.no, grants=()), first_admin)

    async def _first(self, scope: Scope, username: str) -> FirstAdmin:
        user = await self._stores[UserStore].user_by_name(username)
        if user is None:
            person, password = await self._users.create(scope, username, "admin", None)
            return FirstAdmin(person.user.username, "created", password)
        if scope.actor.kind == "user" and user.id == scope.actor.id:
            await self._stores[MembershipStore].join(scope, user.id, "admin")
            self._bus.publish(Revoked("", user.id))
            return FirstAdmin(user.username, "joined", None)
        await self._stores[MembershipStore].offer(scope, user.username, "admin", None)
        return FirstAdmin(user.username, "offered", None)

    async def save(self, scope: Scope, after: Organisation) -> Organisation:
        """Save the changed values. Its users' rights are read again at once.

        Raises: BadRequest; Conflict: it was changed meanwhile, or the short name is taken.
        """
        checked_slug(after.slug), checked_quota(after.node_quota)
        saved = await self._stores[OrganisationStore].save(scope, after)
        self._bus.publish(Revoked("", ALL_USERS, saved.no))
        return saved

    async def set_state(self, scope: Scope, organisation: Organisation, state: OrganisationState) -> Organisation:
        """Suspend or resume. Suspended: users get 403, roll-outs and policies pause, queued jobs fail, and nobody is told of anything; running jobs
        end, and samples are recorded. Resuming starts nothing by itself: its users resume what they want.

        Raises: Conflict: it was changed meanwhile.
        """
        saved = await self.save(scope, organisation._replace(state=state))
        if state == "suspended":
            await self._pause(scope, saved)
        return saved

    async def _pause(self, scope: Scope, organisation: Organisation) -> None:
        for job in await self._stores[JobStore].cancel_unauthorized(self._clock.now()):
            self._bus.publish(Changed("job", job.id, job.version, job.org))
        service = self._services[RolloutService]
        for policy in await self._stores[PolicyStore].of_every_org():
            if policy.org == organisation.no and not policy.paused:
                await self._stores[PolicyStore].pause_policy(policy.org, policy.id, "suspended")
        for _ in range(MOST_MOVES):
            moving = [one for one in await self._stores[RolloutStore].live_rollouts() if one.org == organisation.no and one.state in MOVING]
            if not moving:
                return
            for rollout in moving:
                with contextlib.suppress(Conflict):  # it has moved meanwhile: read it again
                    await service.store(hub_scope(organisation.no), rollout, Stepped(pause(rollout, scope.actor.name), ()))
        raise Conflict("its roll-outs move on all the time: suspend it once more")

    async def remove_agents(self, organisation: Organisation) -> tuple[list[NodeId], list[str]]:
        """Begin to uninstall the agents of all nodes through their live sessions, before a deletion.

        Returns: the nodes whose removal has begun, and the names of those that could not be reached.
        """
        scope = hub_scope(organisation.no)
        begun: list[NodeId] = []
        left: list[str] = []
        for node in await all_nodes(self._stores[NodeStore], scope):
            try:
                await self._services[DeploymentService].remove(scope, node.id, None, force=False)
                begun.append(node.id)
            except HubError:
                left.append(node.name)
        return begun, left

    async def delete(self, scope: Scope, organisation: Organisation, *, abandon: bool) -> None:
        """Delete an organisation with everything that it has. Backups keep it until they age out.

        Args:   abandon: also if it has nodes; their agents stay on their servers, and can no longer report.
        Raises: HasNodes; Conflict: it is the first organisation.
        """
        if organisation.is_first:
            raise Conflict("the first organisation stays: nodes come back to it when the hub is rebuilt")
        nodes = await all_nodes(self._stores[NodeStore], hub_scope(organisation.no))
        if nodes and not abandon:
            raise HasNodes(f"this organisation still has {len(nodes)} nodes: remove their agents first, or abandon them", nodes=len(nodes))
        if organisation.state == "active":
            organisation = await self.set_state(scope, organisation, "suspended")
        await self._services[DeploymentService].forget_all(organisation.no, [node.id for node in nodes])
        await self._services.end(organisation.no)
        await self._stores[OrganisationStore].delete(scope, organisation.no)
        self._bus.publish(Revoked("", ALL_USERS, organisation.no))

    async def break_glass(self, scope: Scope, organisation: Organisation, hours: float, reason: str) -> float:
        """Make the caller a viewer for a while. The organisation's own events say so.

        Returns: until when, Unix seconds. Raises: BadRequest; Conflict: the caller is a member already.
        """
        why = " ".join(reason.split())
        if not 1 <= len(why) <= MAX_REASON_CHARS or not is_visible(why):
            raise BadRequest(f"the reason has 1 to {MAX_REASON_CHARS} visible characters", field="reason")
        if not LEAST_BREAK_GLASS_S <= hours * 3600 <= MAX_BREAK_GLASS_S:
            raise BadRequest(f"hours: at most {MAX_BREAK_GLASS_S / 3600:.0f}, and at least a minute", field="hours")
        if scope.actor.kind != "user":
            raise BadRequest("log in to the page for this: it makes a membership of your account")
        until = self._clock.now() + hours * 3600.0
        there, user = scope._replace(org=organisation.no, grants=()), UserId(scope.actor.id)
        await self._stores[MembershipStore].join(there, user, "viewer", until=until, reason=why)
        self._bus.publish(Revoked("", user))
        return until

    def tell(self, users: Collection[UserId]) -> None:
        """Let the sockets of these users read their rights again."""
        for user in users:
            self._bus.publish(Revoked("", user))
