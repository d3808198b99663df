"""Confirmation of host keys by a user, who compares each fingerprint with the one shown on the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.errors import Conflict, NotFound
from groundcontrol.core.ids import DeploymentId
from groundcontrol.core.scope import Scope
from groundcontrol.deployments.errors import HostKeyMismatch
from groundcontrol.deployments.model import Confirmation, Deployment, Unconfirmed
from groundcontrol.deployments.progress import ProgressReporter
from majortom.ssh.connect import same_fingerprint


async def confirm_host_key(scope: Scope, row: Deployment, fingerprint: str, progress: ProgressReporter | None) -> Deployment:
    """Confirm the host key of a deployment.

    Args:   progress: the reporter of the deployment; None: the deployment does not run.
    Raises: Conflict: the deployment does not wait for a confirmation; HostKeyMismatch, StoreError.
    """
    if row.state != "awaiting_host_key" or row.host_key is None:
        raise Conflict(f"this deployment is {row.state}: no host key waits for confirmation", state=row.state)
    if not same_fingerprint(fingerprint, row.host_key.fingerprint):
        raise HostKeyMismatch(f"the server showed {row.host_key.fingerprint}, not {fingerprint[:80]}", shown=row.host_key.fingerprint)
    of = {"host": row.host_key.host or row.host, "fingerprint": row.host_key.fingerprint}
    audit = AuditEntry(scope.actor, "deployment.host_key", row.id, "done", of)
    confirmed = None if progress is None else await progress.confirm(row.host_key, audit)
    if confirmed is None:
        raise Conflict("the deployment no longer waits for the host key: press Retry")
    return confirmed


async def confirm_each(
    confirmed: Sequence[Confirmation], confirm: Callable[[DeploymentId, str], Awaitable[Deployment]]
) -> tuple[Sequence[Deployment], Sequence[Unconfirmed]]:
    """Confirm each key independently. Returns: the deployments with a confirmed key, and the others with the reason.

    Raises: Forbidden, StoreError.
    """
    done: list[Deployment] = []
    refused: list[Unconfirmed] = []
    for deployment, fingerprint in dict.fromkeys(confirmed):
        try:
            done.append(await confirm(deployment, fingerprint))
        except (NotFound, Conflict, HostKeyMismatch) as exc:
            refused.append(Unconfirmed(deployment, exc.code, exc.message))
    return done, refused
