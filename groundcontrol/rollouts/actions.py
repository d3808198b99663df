"""The job of a named action."""

from __future__ import annotations

from typing import Final

from groundcontrol.jobs.model import JobRequest
from groundcontrol.policies.model import ActionStep

ACTION_VERB: Final = "action-run"


def action_request(action: ActionStep) -> JobRequest:
    """The request that runs an action of the node by its name."""
    return JobRequest(ACTION_VERB, (action.name,), timeout_s=action.timeout_s)
