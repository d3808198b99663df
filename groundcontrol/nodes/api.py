"""`/api/v1/nodes` and `updates`: the nodes of the fleet, their tables, packages, updates and log lines."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from groundcontrol.access.users import ALL_USERS
from groundcontrol.core.bus import Changed, Revoked
from groundcontrol.core.errors import BadRequest, Forbidden
from groundcontrol.core.ids import NodeId
from groundcontrol.core.permissions import check_granting_tags
from groundcontrol.core.scope import Scope
from groundcontrol.core.secrets import SecretStore
from groundcontrol.nodes.checks import checked_location, checked_name, checked_new_tags, checked_note
from groundcontrol.nodes.interfaces import AgentBundle, NewestValues, NodeHealth, Presence, ReceivedTables, UnsavedReadings
from groundcontrol.nodes.locations import Locations
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.processes import by_cpu, by_memory
from groundcontrol.nodes.store import NodeLogStore, NodeStore, NodeTableStore, ProcessHistoryStore
from groundcontrol.nodes.views import (
    CandidateView,
    InstalledPackageView,
    LogLineView,
    LogsView,
    NodePatch,
    NodesView,
    NodeUpdatesView,
    NodeUpdateView,
    NodeView,
    PackagesView,
    PackageUpdatesView,
    PackageUpdateView,
    PastProcessesView,
    ProcessReadingView,
    Sample,
    TablesView,
    chosen_series,
    is_in_catalogue,
    node_view,
    process_views,
    sample_views,
    summary_json,
    summary_msgpack,
    table_view,
)
from groundcontrol.web.answer import view_of
from groundcontrol.web.request import ApiRequest, whole_number
from groundcontrol.web.services import Services
from spider.wire.metrics import METRICS, parse_series
from spider.wire.tables import BY_NAME

MAX_METRICS: Final = 50
MAX_TIME_S: Final = 4_102_444_800
"""2100-01-01."""
_SERIES: Final = re.compile(r"(?:[^,{]|\{[^}]*\}?)+")
"""One name in a list with commas between. A comma inside braces belongs to the name."""


async def list_nodes(call: ApiRequest) -> NodesView:
    """A page of nodes. `latest` holds the summary, or the series that `?metrics=` names."""
    limit, cursor = call.page("metrics")
    text = call.request.query.get("metrics")
    wanted = None if text is None else wanted_series(text)
    services = call.services
    page = await services[NodeStore].nodes(call.scope, limit, cursor)
    holders = await credential_holders(services)
    return NodesView(
        nodes=[
            node_list_view(services, node, holders)
            if wanted is None
            else node_view_with(
                services, node, chosen_series(services[NewestValues].latest(node.id), wanted), credentials_kept=node.id in holders
            )
            for node in page.items
        ],
        next=page.next,
    )


async def get_node(call: ApiRequest) -> NodeView:
    """One node with all of its newest values."""
    call.query()
    return await node_detail_view(call.services, call.scope, call.node_id)


async def edit_node(call: ApiRequest, body: NodePatch) -> NodeView:
    """Change a node's name, tags, note, location or its mark *never by a schedule*."""
    services = call.services
    before = await services[NodeStore].node(call.scope, call.node_id)
    call.authorize("node.edit", before)
    if (body.name, body.tags, body.note, body.never_by_schedule, body.location) == (None, None, None, None, None):
        raise BadRequest("nothing to change: give name, tags, note, never_by_schedule or location")
    if body.tags is not None and call.scope.grants:
        raise Forbidden("rights depend on tags: a user who is limited to some nodes may not change them")
    tags = None if body.tags is None else checked_new_tags(body.tags, before=before.tags)
    granting = frozenset[str]() if tags is None else await services[NodeStore].tags_in_grants(call.scope, {*before.tags} ^ {*tags})
    if granting:  # grants name these tags, so the change is a change of rights
        check_granting_tags(call.scope, granting)
        services.auth.require_step_up(call.caller, strict=True)
    node = await services[NodeStore].edit_node(
        call.scope,
        call.node_id,
        name=checked_name(body.name, before=before.name) if body.name is not None else None,
        tags=tags,
        note=checked_note(body.note) if body.note is not None else None,
        never=checked_note(body.never_by_schedule, "never_by_schedule") if body.never_by_schedule is not None else None,
        location=checked_location(body.location) if body.location is not None else None,
    )
    services.bus.publish(Changed("node", node.id, node.version, node.org))
    if node.tags != before.tags:
        services.bus.publish(Revoked("", ALL_USERS, node.org))
    return await node_detail_view(services, call.scope, node.id)


async def node_detail_view(services: Services, scope: Scope, node_id: NodeId) -> NodeView:
    """A node as `GET nodes/{id}` and the topic `node:<id>` show it."""
    node = await services[NodeStore].node(scope, node_id)
    kept = bool(await services[SecretStore].credentials(node.id))
    return node_view_with(services, node, sample_views(services[NewestValues].latest(node.id)), credentials_kept=kept)


def node_list_view(services: Services, node: Node, holders: Collection[str], *, packed: bool = False) -> NodeView:
    """A node with its summary, for JSON or, if `packed`, for MessagePack; `holders` are the nodes with stored credentials."""
    shown = services[NewestValues].summary(node.id, as_json=not packed)
    return node_view_with(services, node, summary_msgpack(shown) if packed else summary_json(shown), credentials_kept=node.id in holders)


def node_view_with(services: Services, node: Node, latest: dict[str, Sample], *, credentials_kept: bool) -> NodeView:
    """A node with its present state: its connection, its health, and when the hub last received a message from it."""
    presence = services[Presence]
    return node_view(
        node,
        latest,
        shipped=services[AgentBundle].version,
        online=presence.online(node.id),
        reconnecting=presence.reconnecting(node.id),
        last_seen_at=presence.last_seen(node),
        credentials_kept=credentials_kept,
        skew_s=presence.skew(node.id),
        health=services[NodeHealth].of(node),
        located=services[Locations].of(node),
    )


async def credential_holders(services: Services) -> frozenset[str]:
    """The nodes with stored credentials."""
    return frozenset(record.id for record in await services[SecretStore].secrets() if record.table == "credential")


def wanted_series(text: str) -> frozenset[str]:
    """Parse a list of series and metrics with commas between.

    Raises: BadRequest: an unknown name, no name, or too many.
    """
    names = frozenset(_SERIES.findall(text))
    if not names or len(names) > MAX_METRICS:
        raise BadRequest(f"the parameter metrics names 1 to {MAX_METRICS} series, separated by commas")
    for name in names:
        if name not in METRICS:
            try:
                parse_series(name)
            except ValueError as exc:
                raise BadRequest(f"the parameter metrics: {exc}") from exc
    return names


MAX_SEARCH_CHARS: Final = 100


async def get_tables(call: ApiRequest) -> TablesView:
    """The newest table of each subject, or of the given subject."""
    subject = call.query("subject").get("subject")
    if subject is not None and subject not in BY_NAME:
        raise BadRequest(f"there is no table {subject[:40]!r}: the subjects are {', '.join(BY_NAME)}")
    services = call.services
    tables = {table.subject: table for table in await services[NodeTableStore].tables(call.scope, call.node_id)}
    found = {**tables, **services[ReceivedTables].tables(call.node_id)}
    # A newer version of the hub that ran on this database may have stored other tables. They are left out until the node sends them again.
    return TablesView(
        tables=[table_view(found[name]) for name in sorted(found) if subject in (None, name) and is_in_catalogue(found[name])]
    )


async def get_processes(call: ApiRequest) -> PastProcessesView:
    """The last reading of the top processes at or before a time (now, if none is given). The hub keeps readings of one day."""
    at = whole_number(call.query("at").get("at"), "at", 0, MAX_TIME_S, int(call.services.clock.now()))
    node = await call.services[NodeStore].node(call.scope, call.node_id)
    unsaved = call.services[UnsavedReadings].reading(node.no, at)  # read before the store: a reading that is saved meanwhile is in both
    stored = await call.services[ProcessHistoryStore].reading(node.no, at)
    readings = [reading for reading in (unsaved, stored) if reading is not None]
    if not readings:
        return PastProcessesView(at=at, reading=None)
    found = max(readings, key=lambda reading: reading.at_ms)
    reading = ProcessReadingView(
        taken_at=found.at_ms / 1000, by_cpu=process_views(by_cpu(found)), by_memory=process_views(by_memory(found))
    )
    return PastProcessesView(at=at, reading=reading)


async def list_packages(call: ApiRequest) -> PackagesView:
    """A page of installed packages, by name; `?search=`: only names that contain this text."""
    limit, cursor = call.page("search")
    search = call.request.query.get("search", "")
    if len(search) > MAX_SEARCH_CHARS:
        raise BadRequest(f"the parameter search has at most {MAX_SEARCH_CHARS} characters")
    page = await call.services[NodeTableStore].packages(call.scope, call.node_id, limit, cursor, search)
    return PackagesView(
        packages=[InstalledPackageView(name, version) for name, version in page.items],
        total=page.total,
        taken_at=page.taken_at,
        next=page.next,
    )


MAX_PACKAGE_CHARS: Final = 200


async def list_updates(call: ApiRequest) -> PackageUpdatesView:
    """A page of packages with newer versions: security updates first, then by the number of nodes."""
    limit, cursor = call.page("search", "security")
    search, security = call.request.query.get("search", ""), call.request.query.get("security", "false")
    if len(search) > MAX_PACKAGE_CHARS:
        raise BadRequest(f"the parameter search has at most {MAX_PACKAGE_CHARS} characters")
    if security not in ("true", "false"):
        raise BadRequest("the parameter security must be true or false")
    found = await call.services[NodeTableStore].updates(call.scope, limit, cursor, search, security_only=security == "true")
    packages = [view_of(PackageUpdateView, one, candidates=[CandidateView(*each) for each in one.candidates]) for one in found.items]
    return view_of(PackageUpdatesView, found, packages=packages)


async def list_nodes_of_update(call: ApiRequest) -> NodeUpdatesView:
    """The nodes that could have a newer version of one package."""
    limit, cursor = call.page("package")
    package = call.request.query.get("package", "")
    if not 0 < len(package) <= MAX_PACKAGE_CHARS:
        raise BadRequest(f"the parameter package is a name of 1 to {MAX_PACKAGE_CHARS} characters")
    found = await call.services[NodeTableStore].updates_of(call.scope, package, limit, cursor)
    return NodeUpdatesView(nodes=[NodeUpdateView(*one) for one in found.items], total=found.total, next=found.next)


async def list_logs(call: ApiRequest) -> LogsView:
    """A page of log lines, the newest first."""
    limit, cursor = call.page()
    node = await call.services[NodeStore].node(call.scope, call.node_id)
    page = await call.services[NodeLogStore].lines(node.no, limit, cursor)
    lines = [LogLineView(line.at_ms / 1000, line.priority, line.source, line.text, line.left_out) for line in page.items]
    return LogsView(lines=lines, next=page.next)
