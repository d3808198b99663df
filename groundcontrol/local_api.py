"""Calls that exist only on the local socket, for commands on the hub's own machine."""

from __future__ import annotations

from collections.abc import Callable

from groundcontrol.access import api as access_api
from groundcontrol.access.model import Person
from groundcontrol.access.oidc.store import OidcStore
from groundcontrol.access.store import UserAdminStore, UserStore
from groundcontrol.access.users import one_time_password
from groundcontrol.access.views import AccountView, NewTokenView, account_view
from groundcontrol.agents.registry import Registry
from groundcontrol.config import Config
from groundcontrol.core.errors import Conflict, NotFound
from groundcontrol.local_views import (
    ClockView,
    DialledListView,
    DialledView,
    EnrolledListView,
    EnrolledView,
    LocalEnrolBody,
    LocalTokenBody,
    PageView,
    RecoveryBody,
    RecoveryView,
    ResetUserBody,
    ResetUserView,
)
from groundcontrol.nodes.enrolment import enrol
from groundcontrol.nodes.store import NodeStore, RecoveryStore
from groundcontrol.vault import recovery_text
from groundcontrol.web.request import ApiRequest
from groundcontrol.web.routes import Route
from spider.wire.frames import HUB_ADDRESS


def routes(fleet_id: str, fleet_key: bytes, stop_adopting: Callable[[], None] = lambda: None) -> tuple[Route, ...]:
    """The routes that `build_app` adds to those of the slices.

    Args: stop_adopting: makes the agents' handshake refuse unknown nodes from now on.
    """

    async def enrol_local(call: ApiRequest, body: LocalEnrolBody) -> EnrolledListView:
        """Create nodes and return their keys."""
        services = call.services
        made = await enrol(
            services[NodeStore], services.bus, fleet_key, call.scope, body.names, address=body.address, simulated=body.simulated
        )
        views = [
            EnrolledView(
                node_id=enrolled.node.id,
                name=enrolled.node.name,
                generation=enrolled.node.generation,
                fleet_id=fleet_id,
                session_key=enrolled.session_key.hex(),
                launch_key=enrolled.launch_key.hex(),
            )
            for enrolled in made
        ]
        return EnrolledListView(nodes=views, server_url=services[Config].node_url)

    async def list_dialled(call: ApiRequest) -> DialledListView:
        """The address at which each connected node has reached the hub."""
        config, hellos = call.services[Config], {agent.node.id: agent.hello for agent in call.services[Registry].agents()}
        views = [
            DialledView(
                node_id=node, address=hello.host, is_other=config.node_url_at(hello.host) != config.node_url,
                follows=HUB_ADDRESS in hello.features,
            )
            for node, hello in hellos.items()
        ]  # fmt: skip
        return DialledListView(nodes=views)

    async def show_page(call: ApiRequest) -> PageView:
        """The address of the page."""
        config = call.services[Config]
        return PageView(address=config.origin, port=config.port, only_here=config.server_url is None)

    async def reset_user(call: ApiRequest, body: ResetUserBody) -> ResetUserView:
        """Set a new password for a user, and end all sessions and tokens of the user."""
        password = one_time_password()
        user = await call.services.auth.reset_password(call.scope, body.username, password)
        await call.services[OidcStore].keep_local_admin(call.scope, user.id)
        return ResetUserView(username=user.username, password=password)

    async def create_token(call: ApiRequest, body: LocalTokenBody) -> NewTokenView:
        """Create an API token of the named user."""
        owner = await call.services[UserAdminStore].person(call.scope, body.username)
        return await access_api.new_token(call, owner.user, body)

    async def reset_totp(call: ApiRequest) -> AccountView:
        """Remove the second factor of a user who lost the authenticator and the recovery codes, and end the user's sessions."""
        user = await call.services[UserStore].user_by_name(call.username)
        if user is None:
            raise NotFound("there is no user of this name")
        return account_view(Person(await call.services.auth.factors.stop(call.scope, user, None), None))

    async def accept_clock(call: ApiRequest) -> ClockView:
        """Accept this machine's clock although it is behind the audit log, so that users may log in again."""
        return ClockView(behind_seconds=await call.services.auth.clock_guard.accept(call.scope))

    async def print_recovery(call: ApiRequest, body: RecoveryBody) -> RecoveryView:
        """Return the recovery key once; with `again`, once more. The hub records each time."""
        before = await call.services[RecoveryStore].note_recovery_print(call.scope, again=body.again)
        if before is not None:
            raise Conflict("the recovery key was printed before; to print it again, use --again", printed_at=before)
        return RecoveryView(recovery=recovery_text(fleet_key, fleet_id))

    async def end_recovery(call: ApiRequest) -> None:
        """Refuse nodes that this hub does not know from now on."""
        await call.services[RecoveryStore].end_adoption(call.scope)
        stop_adopting()

    return (
        Route("POST", "/local/recovery", "instance.manage", print_recovery, local=True),
        Route("DELETE", "/local/recovery", "instance.manage", end_recovery, status=204, local=True),
        Route("POST", "/local/enrol", "node.enrol", enrol_local, status=201, local=True),
        Route("GET", "/local/dialled", "node.read", list_dialled, local=True),
        Route("GET", "/local/page", "instance.manage", show_page, local=True),
        Route("POST", "/local/reset-user", "instance.manage", reset_user, local=True),
        Route("POST", "/local/tokens", "user.reset", create_token, status=201, local=True),
        Route("POST", "/local/clock", "instance.manage", accept_clock, local=True),
        Route("POST", "/users/{username}/totp-reset", "instance.manage", reset_totp, local=True),
    )
