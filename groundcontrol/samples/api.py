"""`/api/v1/nodes/{id}/history`: series over time, as JSON, MessagePack or CSV."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from aiohttp import hdrs, web

from groundcontrol.config import Config
from groundcontrol.core.errors import BadRequest, NotAcceptable, NotFound, Unavailable
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from groundcontrol.samples.interfaces import DamageReports
from groundcontrol.samples.model import Damage, Retention, Window
from groundcontrol.samples.query import WindowBuilder
from groundcontrol.samples.store import MetricStore, RetentionStore
from groundcontrol.samples.tiers import SECONDS, TIERS, Tier
from groundcontrol.samples.views import DamageView, HistoriesView, HistoryView, SeriesView
from groundcontrol.web.costs import BudgetLimiter
from groundcontrol.web.request import ApiRequest, StreamAuthorizer, whole_number
from groundcontrol.web.services import Services
from spider.wire.ids import is_id

MAX_SERIES: Final = 50
MAX_POINTS: Final = 4000
MAX_NODES: Final = 50
MAX_LINES: Final = 200
"""The most series in one answer: nodes times series."""
LEAST_VALUES: Final = 4000
"""The least size that a request counts with: even a single point may need an hour of rows."""
MAX_HISTORY_VALUES: Final = 400_000
"""Points times lines of the histories that are worked out at the same time: each takes up to 250 bytes meanwhile."""
MAX_HISTORY_VALUES_OF_A_USER: Final = 200_000
"""And of one answer: of many lines there are fewer points."""
HISTORY_PATIENCE_S: Final = 10.0
"""Less than the fifteen seconds of a page, so that it gets the reason."""
DEFAULT_POINTS: Final = 600
DEFAULT_WINDOW_S: Final = 3600.0
_KNOWN: Final = frozenset({"metric", "from", "to", "points"})

_NUMBER: Final = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,16})?([eE][+-]?[0-9]{1,2})?")
"""Numbers as programs write them. `float` would accept more: blanks, `1_0`, digits of other scripts."""

_WHAT: Final = ("avg", "min", "max")

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
CSV: Final = "text/csv"
_FORMS: Final = {JSON: JSON, MSGPACK: MSGPACK, "application/x-msgpack": MSGPACK, "application/vnd.msgpack": MSGPACK, CSV: CSV}
_WILD: Final = {"*/*": JSON, "application/*": JSON, "text/*": CSV}


class Histories(BudgetLimiter):
    """Room for the histories that are worked out."""

    def __init__(self) -> None:
        super().__init__(
            "more history is asked for than this hub works out at once: ask for fewer series or points, or for one thing after the other",
            MAX_HISTORY_VALUES,
            MAX_HISTORY_VALUES_OF_A_USER,
            HISTORY_PATIENCE_S,
        )


async def get_history(call: ApiRequest) -> web.Response:
    """Series over time: averages, lows and highs of equal steps; null where there is no sample."""
    form = choose_form(call.request.headers.get(hdrs.ACCEPT, ""), _FORMS, _WILD)
    asked = _asked(call, _KNOWN)
    node = await call.services[NodeStore].node(call.scope, call.node_id)
    async with _room(call, asked, [node]):
        window = await _window(call.services, node, asked)
        body = await asyncio.to_thread(_write, window, asked.series, form)
    return _answer(body, form, f"history-{node.id}")


async def get_histories(call: ApiRequest) -> web.Response:
    """The same of several nodes, by the same steps."""
    form = choose_form(call.request.headers.get(hdrs.ACCEPT, ""), _FORMS, _WILD)
    asked = _asked(call, _KNOWN | {"node"})
    ids = list(dict.fromkeys(call.request.query.getall("node", [])))
    if not 1 <= len(ids) <= MAX_NODES:
        raise BadRequest(f"the parameter node stands 1 to {MAX_NODES} times, once for each node")
    if len(ids) * len(asked.series) > MAX_LINES:
        raise BadRequest(f"{len(ids)} nodes with {len(asked.series)} series each are more than {MAX_LINES} lines: ask for fewer")
    if not all(map(is_id, ids)):
        raise NotFound("there is no node of this id")
    asked = asked._replace(points=min(asked.points, MAX_HISTORY_VALUES_OF_A_USER // (len(ids) * len(asked.series))))
    nodes = [await call.services[NodeStore].node(call.scope, NodeId(node)) for node in ids]
    async with _room(call, asked, nodes):
        windows = await _windows(call.services, nodes, asked)
        body = await asyncio.to_thread(_write_all, windows, asked.series, form)
    return _answer(body, form, "history")


async def _windows(services: Services, nodes: Sequence[Node], asked: HistoryQuery) -> dict[NodeId, Window]:
    windows = {node.id: await _window(services, node, asked) for node in nodes}
    # One node may keep nothing finer for that time, and all nodes share the same steps.
    while len({window.tier for window in windows.values()}) > 1:
        least = [tier for tier in TIERS if any(window.tier == tier.name for window in windows.values())][-1]
        windows = {node.id: await _window(services, node, asked, least) for node in nodes}
    return windows


class HistoryQuery(NamedTuple):
    """The parameters of a request for series."""

    series: list[str]
    start: float
    end: float
    points: int


@contextlib.asynccontextmanager
async def _room(call: ApiRequest, asked: HistoryQuery, nodes: Sequence[Node]) -> AsyncIterator[None]:
    """Wait for a slot to compute an answer in. The send budget limits how much of all finished answers waits to be sent."""

    async def find(scope: Scope) -> None:
        for node in nodes:
            await call.services[NodeStore].node(scope, node.id)

    WindowBuilder(*asked, now=call.services.clock.now(), retention=await kept(call.services))  # rejects a wrong request before it waits
    allowed = StreamAuthorizer(call, "history.read", find)
    size = max(LEAST_VALUES, len(nodes) * len(asked.series) * asked.points)
    async with call.services[Histories].take(call.user_id, size):
        if call.request.transport is None:
            raise Unavailable("whoever asked has gone")
        await allowed.check()  # the caller may have lost this right while waiting
        yield


async def _window(services: Services, node: Node, asked: HistoryQuery, least: Tier = SECONDS) -> Window:
    builder = WindowBuilder(*asked, now=services.clock.now(), retention=await kept(services))
    if least.no > builder.tier.no:
        builder.coarsen(least)
    await services[MetricStore].window(node.no, builder)
    window = await asyncio.to_thread(builder.finish)
    if window.damaged:
        await services[DamageReports].tell(node, window.damaged)
    return window


def _answer(body: bytes, form: str, name: str) -> web.Response:
    response = web.Response(body=body, content_type=form, charset="utf-8" if form == CSV else None)
    if form == CSV:
        response.headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{name}.csv"'
    return response


async def kept(services: Services) -> Retention:
    """How long samples are kept, by the setting in force."""
    return await services[RetentionStore].retention() or services[Config].retention


def choose_form(accept: str, forms: Mapping[str, str], wild: Mapping[str, str]) -> str:
    """The form of the answer that a client prefers.

    Args:   forms, wild: the form for each media type, and for each media type pattern.
    Raises: NotAcceptable.
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
        raise NotAcceptable(f"this comes as {' or '.join(dict.fromkeys(forms.values()))}")
    return best


def _asked(call: ApiRequest, known: frozenset[str]) -> HistoryQuery:
    query = call.request.query
    for name in query:
        if name not in known:
            raise BadRequest(f"this call does not know the parameter {name[:40]!r}")
        if name not in ("metric", "node") and len(query.getall(name)) > 1:
            raise BadRequest(f"the parameter {name} stands twice")
    series = list(dict.fromkeys(query.getall("metric", [])))
    if not 1 <= len(series) <= MAX_SERIES:
        raise BadRequest(f"the parameter metric stands 1 to {MAX_SERIES} times, once for each series")
    end = moment(query.get("to"), "to", call.services.clock.now())
    start = moment(query.get("from"), "from", end - DEFAULT_WINDOW_S)
    return HistoryQuery(series, start, end, whole_number(query.get("points"), "points", 1, MAX_POINTS, DEFAULT_POINTS))


def moment(text: str | None, name: str, default: float) -> float:
    """Parse a time of the query.

    Raises: BadRequest.
    """
    if text is None:
        return default
    if not _NUMBER.fullmatch(text):
        raise BadRequest(f"the parameter {name} must be a time in Unix seconds")
    return float(text)


def _write(window: Window, series: list[str], form: str) -> bytes:
    if form == CSV:
        return _write_csv(window.times, [f"{name} {what}" for name in series for what in _WHAT], [window], series)
    view = HistoryView(step=window.step_s, tier=window.tier, times=window.times, series=_lines(window), damaged=_damage(window.damaged))
    return msgspec.msgpack.encode(view) if form == MSGPACK else msgspec.json.encode(view)


def _write_all(windows: Mapping[NodeId, Window], series: list[str], form: str) -> bytes:
    one = next(iter(windows.values()))
    if form == CSV:
        heads = [f"{node} {name} {what}" for node in windows for name in series for what in _WHAT]
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

    Before them stands one line for each damaged time, with the damage named in the first column of the node.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["time", *heads])
    wide = len(series) * len(_WHAT)
    for at, window in enumerate(windows):
        for one in window.damaged:
            note = [""] * len(heads)
            note[at * wide] = f"#damaged {one.tier} until {one.end}"
            writer.writerow([one.start, *note])
    writer.writerows(zip(times, *(column for window in windows for name in series for column in window.series[name]), strict=True))
    return out.getvalue().encode()
