"""Views of events and of the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from groundcontrol.core.audit import AuditRow
from groundcontrol.events.model import Event, Order, Subject
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


class OrderView(Answer):
    """One order for many nodes, as far as the caller may see it."""

    id: str
    kind: Literal["jobs", "deployments"]
    action: str
    """The verb of its jobs, or the kind of its deployments."""
    for_action: str | None
    """The verb that its jobs plan; null: they are no plans."""
    by: str
    states: dict[str, int]
    """State -> number of its jobs or deployments. `incomplete`: succeeded, but not everything came back."""


class EventsView(Answer):
    events: list[EventView]
    orders: list[OrderView]
    """The orders for many nodes that these events belong to, each as a whole."""
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
    by: str
    """Who ordered the job or deployment that the row is about; empty: it is about none, or the hub has removed it."""
    order: str | None
    """The order for many nodes that the row belongs to."""


class SubjectView(Answer):
    """What an id in a row stands for."""

    name: str
    """Its name; of a job that of its node. Empty: it has none."""
    action: str
    """The verb of a job; empty: it is none."""


class AuditPageView(Answer):
    audit: list[AuditView]
    orders: list[OrderView]
    """The orders for many nodes that these rows belong to, each as a whole."""
    subjects: dict[str, SubjectView]
    """What the ids in the targets and details of these rows stand for. An unknown id is missing."""
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


def audit_view(row: AuditRow, subject: Subject | None = None) -> AuditView:
    """Args: subject: what its target stands for; None: unknown."""
    return view_of(AuditView, row, by="" if subject is None else subject.by, order=None if subject is None else subject.order)


def order_views(orders: Sequence[Order]) -> list[OrderView]:
    return [view_of(OrderView, order) for order in orders]
