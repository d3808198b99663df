"""How much the deployments service does at the same time, and how long it waits."""

from __future__ import annotations

from typing import NamedTuple

from groundcontrol.deployments.bounded_lock import PATIENCE_S
from majortom.ssh.connect import Limits


class ServiceLimits(NamedTuple):
    """Counts, and times in seconds."""

    ssh: Limits = Limits()
    open: int = 256
    """Deployments that are open: of them `at_once` are at work, the others wait for their turn or for a person."""
    at_once: int = 16
    """Log-ins, uploads and installations at the same time: more only share the hub's one core, and make each of them slower."""
    patience_s: float = PATIENCE_S
    remember_s: float = 900.0
    """How long the fields of a deployment that failed stay in memory for a retry."""
    remembered: int = 256
    """Deployments whose fields stay in memory: as many as can be open."""
    leave_s: float = 300.0
    """How long root on a node has to remove Spider, from its taking of the order to its farewell."""
    forget_wait_s: float = 5.0
    """How long a request to forget a node waits for the end; the samples of a node with a year of history may take longer."""
    stop_s: float = 6.0
    """For what a task does when it is cancelled. The hub has ten seconds for all of its end."""
