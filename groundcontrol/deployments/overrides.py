"""Merges a user's overrides into the known fields of a server, and validates the result."""

from __future__ import annotations

from typing import NamedTuple

from groundcontrol.deployments.errors import CredentialsRequired
from groundcontrol.deployments.model import DeploymentOverrides, DeploymentRequest, HostKey
from groundcontrol.deployments.requests import ANY_OF, check_jump_login, check_request, has_credentials, merge, not_sent_there, same_server
from groundcontrol.deployments.target_policy import HubAddress, check_target


class ResolvedRequest(NamedTuple):
    """The merged request, validated as far as possible without contacting the server."""

    request: DeploymentRequest
    pinned: HostKey | None
    """The trusted host key; None: none yet."""
    same: bool
    """Whether the request goes to the same server as before."""


async def apply_overrides(
    hub: HubAddress, before: DeploymentRequest, pinned: HostKey | None, overrides: DeploymentOverrides | None, lack: str
) -> ResolvedRequest:
    """Merge overrides into the earlier fields.

    Args:   lack: the error text if there are no credentials.
    Raises: CredentialsRequired, JumpCredentialsRequired, BadRequest, TargetNotAllowed.
    """
    merged = merge(before, overrides, pinned)
    if overrides not in (None, DeploymentOverrides()):  # validate first: error messages below repeat these fields
        merged = check_request(merged)
    check_jump_login(merged)
    same = same_server(before, overrides, pinned)
    if not has_credentials(merged):
        if not same:
            raise not_sent_there(merged)
        raise CredentialsRequired(f"{lack}: give a private key or password again", give=list(ANY_OF))
    merged = check_request(merged)
    await check_target(hub, merged.host, merged.jump.host if merged.jump else None)
    return ResolvedRequest(merged, pinned if same else None, same)
