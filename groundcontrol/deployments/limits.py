"""Concurrency limits and timeouts of the deployment service."""

from __future__ import annotations

from typing import NamedTuple

from groundcontrol.deployments.bounded_lock import PATIENCE_S
from majortom.ssh.connect import Limits


class ServiceLimits(NamedTuple):
    """Counts, and times in seconds."""

    ssh: Limits = Limits()
    open: int = 256
    """Open deployments at most. Of them, `at_once` are active; the others wait for a slot or for a user."""
    at_once: int = 16
    """Active deployments at most (login, upload, installation). More would share the hub's one core, and slow each other down."""
    patience_s: float = PATIENCE_S
    remember_s: float = 900.0
    """How long the fields of a deployment that failed stay in memory for a retry."""
    remembered: int = 256
    """Deployments whose fields stay in memory: as many as may be open."""
    leave_s: float = 300.0
    """How long root on a node has to uninstall the agent, from the accepted order to its `Farewell`."""
    forget_wait_s: float = 5.0
    """How long a request to delete a node waits for the end. Deleting the samples of a year may take longer."""
    stop_s: float = 6.0
    """Time for the rollback of a cancelled task. The whole shutdown of the hub has ten seconds."""
