"""What names what. All ids are 26 characters of lower-case Crockford base32 as text."""

from __future__ import annotations

from typing import NewType

NodeId = NewType("NodeId", str)
JobId = NewType("JobId", str)
BatchId = NewType("BatchId", str)
DeploymentId = NewType("DeploymentId", str)
EventId = NewType("EventId", str)
RefusalId = NewType("RefusalId", str)
UserId = NewType("UserId", str)
SessionId = NewType("SessionId", str)
"""A person's log-in session, not an agent's."""
TokenId = NewType("TokenId", str)
"""An API token's name, not the token."""
InviteId = NewType("InviteId", str)
"""An invite's name, not the invite."""
HubId = NewType("HubId", str)
"""New for every process start; never stands on the agents' wire."""
BootId = NewType("BootId", str)
"""32 hex digits."""
