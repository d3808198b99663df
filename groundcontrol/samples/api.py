"""`/api/v1/history`, `metrics` and `settings`: series over time as JSON, MessagePack or CSV, their catalogue and retention."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Final, Literal, NamedTuple, cast

import msgspec
from aiohttp import hdrs, web

from groundcontrol.config import Config
from groundcontrol.core.errors import BadRequest, NotAcceptable, NotFound, Unavailable
from groundcontrol.core.ids import NodeId
from groundcontrol.core.last_backup import last_backup_at
from groundcontrol.core.permissions import allowed, authorize
from groundcontrol.core.scope import Scope
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from groundcontrol.samples.derived import DERIVED
from groundcontrol.samples.model import Damage, Retention, RetentionChange, TierName, Window
from groundcontrol.samples.query import WindowBuilder
from groundcontrol.samples.store import DamageReports, MetricStore, RetentionStore
from groundcontrol.samples.tiers import SECONDS, TIERS, Tier, retention_s
from groundcontrol.samples.views import (
    DamageView,
    HistoriesView,
    HistoryView,
    HubView,
    MetricsView,
    MetricView,
    RetentionPatch,
    SeriesView,
    SettingsPatch,
    SettingsView,
    TierView,
)
from groundcontrol.web.costs import BudgetLimiter
from groundcontrol.web.request import ApiRequest, StreamAuthorizer, unix_time, whole_number
from groundcontrol.web.services import Services
from spider.version import VERSION
from spider.wire.ids import is_id
from spider.wire.metrics import CATALOGUE, INTERVAL_S

MAX_SERIES: Final = 50
MAX_POINTS: Final = 4000
MAX_NODES: Final = 50
MAX_LINES: Final = 200
"""The most series in one answer: nodes times series."""
LEAST_VALUES: Final = 4000
"""A request counts as at least this many values, since even a single point may need an hour of rows."""
MAX_HISTORY_VALUES: Final = 400_000
"""The most values (points times lines) of all histories that are computed at the same time. Each takes up to 250 bytes meanwhile."""
MAX_HISTORY_VALUES_OF_A_USER: Final = 200_000
"""The same for one user, and the most values of one answer. An answer of many lines has fewer points."""
HISTORY_PATIENCE_S: Final = 10.0
"""How long a request waits for other requests. A page gives up after 15 s, so it still receives the error."""
DEFAULT_POINTS: Final = 600
DEFAULT_WINDOW_S: Final = 3600.0
_KNOWN: Final = frozenset({"metric", "from", "to", "points"})
_AGGREGATES: Final = ("avg", "min", "max")

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
CSV: Final = "text/csv"
_FORMS: Final = {JSON: JSON, MSGPACK: MSGPACK, "application/x-msgpack": MSGPACK, "application/vnd.msgpack": MSGPACK, CSV: CSV}
_WILD: Final = {"*/*": JSON, "application/*": JSON, "text/*": CSV}


class Histories(BudgetLimiter):
    """The budget of the histories that are computed at the same time."""

    def __init__(self) -> None:
        super().__init__(
            "the requests for history are larger than this hub serves at the same time: ask for fewer series or points, or one request after the other",
            MAX_HISTORY_VALUES,
            MAX_HISTORY_VALUES_OF_A_USER,
            HISTORY_PATIENCE_S,
        )


async def get_history(call: ApiRequest) -> Annotated[web.Response, HistoryView]:
    """Series over time: average, minimum and maximum of equal steps; null where there is no sample."""
    form = choose_form(call.request.headers.get(hdrs.ACCEPT, ""), _FORMS, _WILD)
    query = _read_query(call, _KNOWN)
    node = await call.services[NodeStore].node(call.scope, call.node_id)
    async with _budget(call, query, [node]):
        window = await _window(call.services, node, query)
        body = await asyncio.to_thread(_write, window, query.series, form)
    return _answer(body, form, f"history-{node.id}")


async def get_histories(call: ApiRequest) -> Annotated[web.Response, HistoriesView]:
    """Series over time of several nodes, with the same steps."""
    form = choose_form(call.request.headers.get(hdrs.ACCEPT, ""), _FORMS, _WILD)
    query = _read_query(call, _KNOWN | {"node"})
    ids = list(dict.fromkeys(call.request.query.getall("node", [])))
    if not 1 <= len(ids) <= MAX_NODES:
        raise BadRequest(f"the parameter node stands 1 to {MAX_NODES} times, once for each node")
    if len(ids) * len(query.series) > MAX_LINES:
        raise BadRequest(f"{len(ids)} nodes with {len(query.series)} series each are more than {MAX_LINES} lines: ask for fewer")
    if not all(map(is_id, ids)):
        raise NotFound("there is no node of this id")
    query = query._replace(points=min(query.points, MAX_HISTORY_VALUES_OF_A_USER // (len(ids) * len(query.series))))
    nodes = [await call.services[NodeStore].node(call.scope, NodeId(node)) for node in ids]
    async with _budget(call, query, nodes):
        windows = await _windows(call.services, nodes, query)
        body = await asyncio.to_thread(_write_all, windows, query.series, form)
    return _answer(body, form, "history")


async def _windows(services: Services, nodes: Sequence[Node], query: HistoryQuery) -> dict[NodeId, Window]:
    windows = {node.id: await _window(services, node, query) for node in nodes}
    # some nodes may have only a coarser tier for that time: then all are read again in that tier, to have the same steps
    while len({window.tier for window in windows.values()}) > 1:
        least = [tier for tier in TIERS if any(window.tier == tier.name for window in windows.values())][-1]
        windows = {node.id: await _window(services, node, query, least) for node in nodes}
    return windows


class HistoryQuery(NamedTuple):
    """The parameters of a request for series."""

    series: list[str]
    start: float
    end: float
    points: int


@contextlib.asynccontextmanager
async def _budget(call: ApiRequest, query: HistoryQuery, nodes: Sequence[Node]) -> AsyncIterator[None]:
    """Wait for a part of the budget, and hold it while an answer is computed. `web/connections.py` limits finished answers.

    Raises: BadRequest; Unavailable: the budget is exhausted, or the client has left; other errors: the caller has lost the right meanwhile.
    """

    async def find(scope: Scope) -> None:
        for node in nodes:
            await call.services[NodeStore].node(scope, node.id)

    WindowBuilder(
        *query, now=call.services.clock.now(), retention=await current_retention(call.services)
    )  # rejects a wrong request before it waits
    allowed = StreamAuthorizer(call, "history.read", find)
    size = max(LEAST_VALUES, len(nodes) * len(query.series) * query.points)
    async with call.services[Histories].take(call.user_id, size):
        if call.request.transport is None:
            raise Unavailable("the client has closed the connection")
        await allowed.check()  # the caller may have lost this right while waiting
        yield


async def _window(services: Services, node: Node, query: HistoryQuery, least: Tier = SECONDS) -> Window:
    builder = WindowBuilder(*query, now=services.clock.now(), retention=await current_retention(services))
    if least.no > builder.tier.no:
        builder.coarsen(least)
    await services[MetricStore].window(node.no, builder)
    window = await asyncio.to_thread(builder.finish)
    if window.damaged:
        await services[DamageReports].report(node, window.damaged)
    return window


def _answer(body: bytes, form: str, name: str) -> web.Response:
    response = web.Response(body=body, content_type=form, charset="utf-8" if form == CSV else None)
    if form == CSV:
        response.headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{name}.csv"'
    return response


async def current_retention(services: Services) -> Retention:
    """How long samples are kept: the stored setting, otherwise that of the configuration."""
    return await services[RetentionStore].retention() or services[Config].retention


def choose_form(accept: str, forms: Mapping[str, str], wild: Mapping[str, str]) -> str:
    """The form of the answer that a client prefers.

    Args:   accept: the header `Accept`; empty: the client takes anything. forms, wild: the form for each media type, and for each pattern
            of media types such as `text/*`.
    Raises: NotAcceptable: the client takes none of them.
    """
    best, best_weight = "", 0.0
    for part in accept.lower().split(",") if accept.strip() else ("*/*",):
        kind, _, rest = part.strip().partition(";")
        form = forms.get(kind.strip()) or wild.get(kind.strip())
        weight = 1.0
        for parameter in rest.split(";"):
            name, _, value = parameter.strip().partition("=")
            if name == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        if form is not None and weight > best_weight:
            best, best_weight = form, weight
    if not best:
        raise NotAcceptable(f"this call answers with {' or '.join(dict.fromkeys(forms.values()))}")
    return best


def _read_query(call: ApiRequest, known: frozenset[str]) -> HistoryQuery:
    query = call.request.query
    for name in query:
        if name not in known:
            raise BadRequest(f"this call has no parameter {name[:40]!r}")
        if name not in ("metric", "node") and len(query.getall(name)) > 1:
            raise BadRequest(f"the parameter {name} is given twice")
    series = list(dict.fromkeys(query.getall("metric", [])))
    if not 1 <= len(series) <= MAX_SERIES:
        raise BadRequest(f"the parameter metric stands 1 to {MAX_SERIES} times, once for each series")
    end = unix_time(query.get("to"), "to", call.services.clock.now())
    start = unix_time(query.get("from"), "from", end - DEFAULT_WINDOW_S)
    return HistoryQuery(series, start, end, whole_number(query.get("points"), "points", 1, MAX_POINTS, DEFAULT_POINTS))


def _write(window: Window, series: list[str], form: str) -> bytes:
    if form == CSV:
        return _write_csv(window.times, [f"{name} {aggregate}" for name in series for aggregate in _AGGREGATES], [window], series)
    view = HistoryView(step=window.step_s, tier=window.tier, times=window.times, series=_lines(window), damaged=_damage(window.damaged))
    return msgspec.msgpack.encode(view) if form == MSGPACK else msgspec.json.encode(view)


def _write_all(windows: Mapping[NodeId, Window], series: list[str], form: str) -> bytes:
    one = next(iter(windows.values()))
    if form == CSV:
        heads = [f"{node} {name} {aggregate}" for node in windows for name in series for aggregate in _AGGREGATES]
        return _write_csv(one.times, heads, list(windows.values()), series)
    nodes = {str(node): _lines(window) for node, window in windows.items()}
    damaged = {str(node): _damage(window.damaged) for node, window in windows.items() if window.damaged}
    view = HistoriesView(step=one.step_s, tier=one.tier, times=one.times, nodes=nodes, damaged=damaged)
    return msgspec.msgpack.encode(view) if form == MSGPACK else msgspec.json.encode(view)


def _damage(damaged: Sequence[Damage]) -> list[DamageView]:
    return [DamageView(one.start, one.end) for one in damaged]


def _lines(window: Window) -> dict[str, SeriesView]:
    return {name: SeriesView(avg=line.avg, min=line.min, max=line.max) for name, line in window.series.items()}


def _write_csv(times: list[float], heads: list[str], windows: list[Window], series: list[str]) -> bytes:
    """One line per step, with empty cells where there is no sample.

    Before these lines, one line for each damaged time names the damage in the first column of the node.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["time", *heads])
    wide = len(series) * len(_AGGREGATES)
    for at, window in enumerate(windows):
        for one in window.damaged:
            note = [""] * len(heads)
            note[at * wide] = f"#damaged {one.tier} until {one.end}"
            writer.writerow([one.start, *note])
    writer.writerows(zip(times, *(column for window in windows for name in series for column in window.series[name]), strict=True))
    return out.getvalue().encode()


async def list_metrics(_call: ApiRequest) -> MetricsView:
    """The catalogue of metrics."""
    return MetricsView(
        metrics=[
            MetricView(
                name=metric.name,
                unit=metric.unit,
                rhythm=INTERVAL_S[metric.family],
                kind=cast("Literal['gauge', 'counter']", metric.kind),
                labels=list(metric.labels),
                derived=metric.name in DERIVED,
            )
            for metric in (*CATALOGUE, *(row.metric for row in DERIVED.values()))
        ]
    )


GONE_S: Final = 86_400.0
"""A node that has sent no samples for this long is left out of the expected size of the history."""
TYPICAL_BYTES: Final[dict[TierName, float]] = {"1s": 0.7, "1m": 2.5, "1h": 3.5}
"""Bytes per value, used until this hub has measured its own."""


async def get_settings(call: ApiRequest) -> SettingsView:
    """The settings in force, and the size of each tier of the history."""
    rule = await call.services.auth.user_admin.rule(call.scope)
    if not allowed(call.scope, "instance.manage"):  # what the whole hub stores would tell one organisation of others
        return SettingsView(require_totp=rule.holds, require_totp_least=rule.least, retention=[], hub=None)
    hub = await asyncio.to_thread(_hub, call.services[Config])
    return SettingsView(require_totp=rule.holds, require_totp_least=rule.least, retention=await _tier_views(call), hub=hub)


async def edit_settings(call: ApiRequest, body: SettingsPatch) -> SettingsView:
    """Change who must have a second factor, or how long samples are kept. A user who lacks a required factor can only set it up."""
    if body.require_totp is msgspec.UNSET and body.retention in (msgspec.UNSET, RetentionPatch()):
        raise BadRequest("nothing to change: give require_totp, retention or both")
    if body.retention is not msgspec.UNSET:
        authorize(call.scope, "instance.manage")
    if body.require_totp is not msgspec.UNSET:
        call.services.auth.user_admin.check_rule(body.require_totp)  # checked first, so that a refused request deletes no samples
    if body.retention is not msgspec.UNSET:
        await _save_retention(call, body.retention)
    if body.require_totp is not msgspec.UNSET:
        await call.services.auth.user_admin.set_rule(call.scope, body.require_totp)
    return await get_settings(call)


def _hub(config: Config) -> HubView:
    """The view of the hub. It reads the disk, so it must not run in the event loop's thread."""
    control = config.control_db
    with os.scandir(control.parent) as found:
        files = [_size(entry) for entry in found if entry.name.startswith(control.stem) and control.suffix in entry.name]
    disk = os.statvfs(control.parent)
    return HubView(
        version=VERSION,
        origins=sorted(config.origins),
        node_url=config.node_url,
        secure=config.secure,
        tls_pin=config.tls_pin,
        data_dir=str(config.data_dir),
        database_bytes=sum(files),
        free_bytes=disk.f_bavail * disk.f_frsize,
        backup_at=last_backup_at(config.data_dir),
    )


def _size(entry: os.DirEntry[str]) -> int:
    """The bytes of a listed file; 0: it was deleted meanwhile, as SQLite deletes its journals."""
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return 0


async def _save_retention(call: ApiRequest, patch: RetentionPatch) -> None:
    wanted = (patch.seconds_s, patch.minutes_s, patch.hours_s)
    change = RetentionChange(*(None if one is msgspec.UNSET else one for one in wanted))
    await call.services[RetentionStore].save_retention(call.scope, change, call.services[Config].retention)


async def _tier_views(call: ApiRequest) -> list[TierView]:
    retention = await current_retention(call.services)
    found = []
    since = call.services.clock.now() - GONE_S
    for tier, size in zip(TIERS, await call.services[MetricStore].sizes(since), strict=True):
        per_value = size.bytes / size.samples if size.samples else TYPICAL_BYTES[tier.name]
        found.append(
            TierView(
                tier=tier.name,
                kept_s=retention_s(tier, retention),
                bytes_per_value=round(per_value, 3),
                measured=size.samples > 0,
                values_per_day=size.per_day,
                bytes=round(per_value * size.per_day * retention_s(tier, retention) / 86_400),
            )
        )
    return found
