"""`POST nodes/{id}/journal`: the last lines of a unit's journal, read on the node and stored nowhere."""

from __future__ import annotations

from typing import Final, Literal

from groundcontrol.core.errors import BadRequest, JournalUnreadable, PolicyRefuses, Unavailable
from groundcontrol.core.permissions import authorize
from groundcontrol.nodes.interfaces import UnitJournals
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from groundcontrol.nodes.views import JournalBody, UnitJournalView, UnitLineView
from groundcontrol.web.costs import SlotLimiter
from groundcontrol.web.request import ApiRequest
from spider.wire.arg_kinds import UNITS
from spider.wire.report_messages import MAX_JOURNAL_LINES

MAX_READS: Final = 32
"""Journals that are read at the same time: each holds up to 100 kB."""
MAX_READS_OF_A_USER: Final = 4


class JournalReads(SlotLimiter):
    """Journals that are being read."""

    def __init__(self) -> None:
        super().__init__("journals", MAX_READS, MAX_READS_OF_A_USER)


async def read_journal(call: ApiRequest, body: JournalBody) -> UnitJournalView:
    """The last lines of a unit's journal, as far as the node's owner lets the hub read them."""
    if not UNITS.is_name(body.unit):
        raise BadRequest("unit is the full name of a service, socket or timer of systemd, such as nginx.service", field="unit")
    if not 0 < body.lines <= MAX_JOURNAL_LINES:
        raise BadRequest(f"lines is 1 to {MAX_JOURNAL_LINES}", field="lines")
    node = await call.services[NodeStore].node(call.scope, call.node_id)
    authorize(call.scope, "journal.read", node)
    await call.services[NodeStore].audit_journal(call.scope, node.id, body.unit)
    with call.services[JournalReads].take(call.user_id):
        found = await call.services[UnitJournals].read_journal(node.id, body.unit, body.lines, body.level)
    if found.refused == "policy":
        raise PolicyRefuses(_refusal_text(node, found.why), mode=node.policy.mode if node.policy else "")
    if found.refused == "busy":
        raise Unavailable("the node reads its journal for other requests: try again in some seconds", retry_after_s=5)
    if found.refused:
        raise JournalUnreadable(f"the journal of {node.name} cannot be read: {found.why or found.refused}")
    level: Literal["warning", "all"] = (
        "all" if body.level == "all" and node.policy is not None and node.policy.journal == "all" else "warning"
    )
    lines = [UnitLineView(line.at_ms / 1000, line.priority, line.text) for line in found.lines]
    return UnitJournalView(body.unit, level, found.left_out, lines)


def _refusal_text(node: Node, why: str) -> str:
    if why:
        return f"{node.name} shows no lines of its journal, because its policy file is not valid: {why}"
    return (
        f"{node.name} shows no lines of its journal; its owner decides that on the node, in policy.conf (in /etc/stardust where the agent was"
        " installed): `journal = warning` or `journal = all` there, with `version = 2`"
    )
