"""What a person gives anew for a server that is known: put into what is known, and refused where it cannot be meant."""

from __future__ import annotations

from typing import NamedTuple

from groundcontrol.core.errors import CredentialsRequired
from groundcontrol.deployments.model import DeploymentOverrides, DeploymentRequest, HostKey
from groundcontrol.deployments.requests import ANY_OF, check_request, has_credentials, merge, not_sent_there, same_server
from groundcontrol.deployments.target_policy import HubAddress, check_target


class ResolvedRequest(NamedTuple):
    """What is to be done, as far as it can be judged without going there."""

    request: DeploymentRequest
    pinned: HostKey | None
    """The host key that counts."""
    same: bool
    """It is the server that it was before."""


async def apply_overrides(
    hub: HubAddress, before: DeploymentRequest, pinned: HostKey | None, overrides: DeploymentOverrides | None, lack: str
) -> ResolvedRequest:
    """Put what is given anew into the fields of before.

    Args:   lack: why credentials are asked for where there are none.
    Raises: CredentialsRequired, BadRequest, TargetNotAllowed.
    """
    merged = merge(before, overrides, pinned)
    if overrides not in (None, DeploymentOverrides()):  # before an answer repeats any of it
        merged = check_request(merged)
    same = same_server(before, overrides, pinned)
    if not has_credentials(merged):
        if not same:
            raise not_sent_there(merged)
        raise CredentialsRequired(f"{lack}: send private_key or password again", give=list(ANY_OF))
    merged = check_request(merged)
    await check_target(hub, merged.host, merged.jump.host if merged.jump else None)
    return ResolvedRequest(merged, pinned if same else None, same)
