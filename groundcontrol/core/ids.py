"""Types of identifiers. Each is a text of 26 characters of lower-case Crockford base32, except `BootId`."""

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
"""A user's log-in session, not an agent's session."""
TokenId = NewType("TokenId", str)
"""The id of an API token, not the secret token."""
InviteId = NewType("InviteId", str)
"""The id of an invite, not the secret invite."""
HubId = NewType("HubId", str)
"""The id of the hub process: new at every start, and never sent to agents."""
BootId = NewType("BootId", str)
"""The boot id of a node: 32 hex digits."""
