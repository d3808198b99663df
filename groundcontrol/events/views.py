"""Views of events and of the audit log."""

from __future__ import annotations

from typing import Literal

from groundcontrol.core.audit import AuditRow
from groundcontrol.events.model import Event
from groundcontrol.web.answer import Answer, view_of

Details = dict[str, object]
"""`EventView` needs this alias, since its field `object` hides the type of this name."""


class EventView(Answer):
    id: str
    type: str
    severity: Literal["info", "warning", "error"]
    source: Literal["agent", "hub", "api"]
    at: float
    node_id: str | None
    message: str
    details: Details
    object: str
    received_at: float
    count: int
    last_at: float
    retro: bool


class SummaryView(Answer):
    since_at: float
    info: int
    warning: int
    error: int


class EventsView(Answer):
    events: list[EventView]
    next: str | None


class AuditView(Answer):
    chain: str
    """The hash chain; empty: a refusal, which belongs to none. `n` is then the number of the refusal."""
    n: int
    at: float
    actor: str
    address: str
    action: str
    target: str
    result: str
    detail: dict[str, object]


class AuditPageView(Answer):
    audit: list[AuditView]
    next: str | None


class AuditHeadView(Answer):
    """The last row of a chain. A copy that is kept elsewhere shows later whether the log was cut or rewritten (`stardust audit verify --expect`)."""

    chain: str
    n: int
    hash: str


class AuditCheckView(Answer):
    holds: bool
    fault: str | None
    """The first row that was changed, moved or removed; null: none was."""
    heads: list[AuditHeadView]
    """The heads that no later chain has recorded; empty if the log does not hold."""
    at: float


class EventsData(Answer):
    events: list[EventView]


def event_view(event: Event) -> EventView:
    return view_of(EventView, event, count=event.times)


def audit_view(row: AuditRow) -> AuditView:
    return view_of(AuditView, row)
