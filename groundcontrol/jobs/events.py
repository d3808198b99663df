"""Events of jobs. Pure."""

from __future__ import annotations

from groundcontrol.events.making import new_event
from groundcontrol.events.model import Event
from groundcontrol.jobs.model import TERMINAL, Job


def job_event(job: Job, name: str, at: float) -> Event | None:
    """The event of a job that has just got its present state; None: that state has none. `name`: of its node."""
    if job.state not in TERMINAL and job.state != "running":
        return None
    details: dict[str, object] = {"job": job.id, "action": job.action, "changes": len(job.changes)}
    if job.error is not None:
        details["error"] = job.error.code
    state = "started" if job.state == "running" else job.state
    return new_event(f"job_{state}", at, details, node=job.node_id, name=name, org=job.org)
