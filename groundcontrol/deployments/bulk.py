"""Validates a request for many servers, before any deployment begins."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from groundcontrol.core.errors import BadRequest
from groundcontrol.deployments.errors import TargetNotAllowed
from groundcontrol.deployments.hostlists.model import Listed, ListProblem
from groundcontrol.deployments.model import DeploymentRequest
from groundcontrol.deployments.requests import check_request, one_spelling
from groundcontrol.deployments.target_policy import HubAddress, check_target, refused_unresolved

ServerKey = tuple[str, int, str | None]
"""Host, port, jump host. Two deployments with the same key conflict."""


class Fault(NamedTuple):
    """Why one server of a request is refused."""

    code: str
    field: str
    message: str


def server_key(request: DeploymentRequest) -> ServerKey:
    """The key by which two requests to the same server conflict."""
    return (one_spelling(request.host), request.port, None if request.jump is None else one_spelling(request.jump.host))


def with_known_problems(hub: HubAddress, names: Set[str], one: Listed) -> Listed:
    """Add the problems that the hub knows to a valid row of a host list. No name is resolved.

    Args: names: names of the existing nodes, case-folded.
    """
    name = one.name or one.host
    if one.problems:
        return one
    if name.casefold() in names:
        return one._replace(problems=(ListProblem("name_taken", "name", f"a node named {name} exists already: give another name"),))
    refused = refused_unresolved(hub, one_spelling(one.host), one.jump and one_spelling(one.jump.host))
    return one if refused is None else one._replace(problems=(ListProblem("target_not_allowed", *refused),))


async def check_many(hub: HubAddress, requests: Sequence[DeploymentRequest]) -> tuple[Sequence[DeploymentRequest], dict[int, Fault]]:
    """Validate each request, and compare it with the earlier requests of the list.

    Returns: the requests, trimmed if they are valid, and the faults by position in the list.
    """
    checked = list(requests)
    faults: dict[int, Fault] = {}
    for at, request in enumerate(requests):
        try:
            checked[at] = check_request(request)
        except BadRequest as exc:
            faults[at] = Fault(exc.code, str(exc.detail.get("field", "")), exc.message)
    servers: dict[ServerKey, int] = {}
    names: dict[str, int] = {}
    for at, request in enumerate(checked):
        if at in faults:
            continue
        first = servers.setdefault(server_key(request), at)
        named = names.setdefault((request.name or request.host).casefold(), at)
        if first != at:
            faults[at] = Fault("duplicate", "host", f"{request.host} port {request.port} is in the list already, as number {first + 1}")
        elif named != at:
            faults[at] = Fault("duplicate", "name", f"number {named + 1} has the name {request.name} already: give another name")
    refusals = await asyncio.gather(*(_refusal(hub, request) for request in checked))
    for at, why in enumerate(refusals):
        if why is not None and at not in faults:
            faults[at] = Fault(why.code, "host", why.message)
    return checked, faults


async def _refusal(hub: HubAddress, request: DeploymentRequest) -> TargetNotAllowed | None:
    try:
        await check_target(hub, request.host, request.jump.host if request.jump else None)
    except TargetNotAllowed as exc:
        return exc
    return None


def refused_many(faults: Mapping[int, Fault], total: int) -> BadRequest:
    """One error for all faults; its detail `servers` lists each."""
    named = [{"index": at, **faults[at]._asdict()} for at in sorted(faults)]
    few = "1 server" if len(named) == 1 else f"{len(named)} servers"
    return BadRequest(f"{few} of {total} cannot be deployed to, and nothing was begun: {named[0]['message']}", servers=named)
