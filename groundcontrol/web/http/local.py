"""Calls that only the hub's own machine may make, by the local socket. By network they do not exist."""

from __future__ import annotations

from groundcontrol.auth.people import one_time_password
from groundcontrol.errors import NotFound
from groundcontrol.fleet.enrol import enrol
from groundcontrol.web import schema, views
from groundcontrol.web.call import Call
from groundcontrol.web.control import local_actor
from groundcontrol.web.http import tokens
from groundcontrol.web.routes import Route


def routes(fleet_id: str, fleet_key: bytes) -> tuple[Route, ...]:
    """The rows that `build_app` adds to its table."""

    async def enrol_local(call: Call, body: schema.LocalEnrolBody) -> schema.EnrolledListView:
        """Create nodes and hand out their keys."""
        _only_local(call)
        services = call.services
        made = await enrol(
            services.store.nodes, services.bus, fleet_key, call.scope, body.names, address=body.address, simulated=body.simulated
        )
        views = [
            schema.EnrolledView(
                node_id=one.node.id,
                name=one.node.name,
                generation=one.node.generation,
                fleet_id=fleet_id,
                session_key=one.session_key.hex(),
                launch_key=one.launch_key.hex(),
            )
            for one in made
        ]
        return schema.EnrolledListView(nodes=views, server_url=services.config.node_url)

    async def reset_user(call: Call, body: schema.ResetUserBody) -> schema.ResetUserView:
        """Give a user a new password, and end all their sessions."""
        _only_local(call)
        password = one_time_password()
        user = await call.services.auth.reset_password(call.scope, body.username, password)
        return schema.ResetUserView(username=user.username, password=password)

    async def create_token(call: Call, body: schema.LocalTokenBody) -> schema.NewTokenView:
        """Make a token of a user who is named."""
        _only_local(call)
        owner = await call.services.store.people.person(call.scope, body.username)
        return await tokens.new_token(call, owner.user, body)

    async def reset_totp(call: Call) -> schema.AccountView:
        """Take somebody's second factor away, whose authenticator and recovery codes are lost, and end their sessions."""
        _only_local(call)
        people = call.services.store.people
        user = (await people.person(call.scope, call.username)).user
        await call.services.auth.factors.stop(call.scope, user, None)
        return views.account_view(await people.person(call.scope, user.username))

    return (
        Route("POST", "/local/enrol", "node.enrol", enrol_local, schema.EnrolledListView, schema.LocalEnrolBody, status=201),
        Route("POST", "/local/reset-user", "user.reset", reset_user, schema.ResetUserView, schema.ResetUserBody),
        Route("POST", "/local/tokens", "user.reset", create_token, schema.NewTokenView, schema.LocalTokenBody, status=201),
        Route("POST", "/users/{username}/totp-reset", "user.reset", reset_totp, schema.AccountView),
    )


def _only_local(call: Call) -> None:
    if local_actor(call.request) is None:
        raise NotFound("there is nothing at this address")
