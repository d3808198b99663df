"""Events of changes that a node reports about itself: another policy, more updates, a reboot that is due or was done.

Each event is written in the transaction that stores the report. The row of the node stores the content of the last event, so that a
reconnect or an incomplete report does not repeat it.
"""

from __future__ import annotations

import contextlib
from typing import Final

from groundcontrol.adapters.sqlite.engine.json_codec import record_from_json
from groundcontrol.adapters.sqlite.engine.tx import Row, Tx
from groundcontrol.adapters.sqlite.events import record_event
from groundcontrol.core.errors import StoreError
from groundcontrol.core.ids import NodeId
from groundcontrol.events.making import new_event
from groundcontrol.nodes.model import NodePolicy, NodeUpdates, Session

_KNOWN: Final = "SELECT org, id, name, policy, known_updates, known_security, reboot_boot FROM node WHERE no = ?"


def note_policy(tx: Tx, session: Session, policy: NodePolicy) -> None:
    """Record an event if a policy differs from the stored one. Call this before the policy is stored.

    The first policy of a node is no event, and neither is a policy that replaces a damaged one.
    """
    row = _known(tx, session)
    if row["policy"] is None:
        return
    with contextlib.suppress(StoreError):
        if record_from_json(NodePolicy, row["policy"]) != policy:
            _record(tx, row, "policy_changed", {"mode": policy.mode, "verbs": list(policy.verbs)})


def note_updates(tx: Tx, session: Session, updates: NodeUpdates) -> None:
    """Record an event if a node has more updates than before. An unknown number changes nothing, and the first number is no event."""
    row = _known(tx, session)
    for column, kind, field, count in (
        ("known_updates", "updates_found", "total", updates.total),
        ("known_security", "security_updates_found", "security", updates.security),
    ):
        if count is None or count == row[column]:
            continue
        tx.execute(f"UPDATE node SET {column} = ? WHERE no = ?", count, session.no)  # noqa: S608  one of the two names above
        if row[column] is not None and count > row[column]:
            _record(tx, row, kind, {field: count, "before": row[column]})


def note_reboot(tx: Tx, session: Session, required: str) -> None:
    """Record an event if a reboot is newly due, or was done: it is no longer due, and the node has booted since.

    Call this before the identity is stored. A reboot that was already due when the node joined is no event.
    """
    row = _known(tx, session)
    if required == "yes" and row["reboot_boot"] is None:
        tx.execute("UPDATE node SET reboot_boot = ? WHERE no = ?", session.boot, session.no)
        if row["policy"] is not None:
            _record(tx, row, "reboot_required", {})
    elif required == "no" and row["reboot_boot"] is not None:
        tx.execute("UPDATE node SET reboot_boot = NULL WHERE no = ?", session.no)
        if row["reboot_boot"] != session.boot:
            _record(tx, row, "reboot_done", {})


def _known(tx: Tx, session: Session) -> Row:
    return tx.fetch_all(_KNOWN, session.no)[0]


def _record(tx: Tx, row: Row, kind: str, details: dict[str, object]) -> None:
    record_event(tx, new_event(kind, tx.now, details, node=NodeId(row["id"]), name=row["name"], org=row["org"]))
