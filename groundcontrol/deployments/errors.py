"""What a deployment is refused for."""

from __future__ import annotations

from groundcontrol.core.errors import BadRequest, Conflict, HubError


class CredentialsRequired(HubError):
    """The hub stores no credentials for this server. Send credentials with the request; `facts` name them in `give`."""

    code = "credentials_required"
    status = 409


class JumpCredentialsRequired(HubError):
    """The jump host had, or may have had, credentials of its own, which the hub does not store. Send them in `jump` (many: `jumps`); `facts` name its address."""

    code = "deployment.jump_credentials_required"
    status = 409


class PolicyDiffers(HubError):
    """The policy file on the server says something else than the request. `facts` have both texts.

    A repeated request names the `digest` of this difference in `policy_seen`, beside credentials.
    """

    code = "policy_differs"
    status = 409


class TargetNotAllowed(BadRequest):
    """A setting, which the text names, forbids deployments to this address."""

    code = "deployment.target_not_allowed"


class HostKeyMismatch(Conflict):
    """The confirmed fingerprint differs from that of the server."""

    code = "deployment.host_key_mismatch"
