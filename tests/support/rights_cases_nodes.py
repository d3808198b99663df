"""Bodies of the calls that name a node."""

from __future__ import annotations

from tests.support.rights_cases import BODIES

BODIES.update(
    {
        "PATCH /nodes/{id}": {"name": "renamed"},
        "POST /nodes/{id}/events": {"type": "health_ok", "message": "fine"},
        "POST /nodes/{id}/jobs": {"action": "check"},
        "POST /nodes/{id}/journal": {"unit": "ssh.service"},
    }
)
