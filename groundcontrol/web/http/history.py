"""`/api/v1/nodes/{id}/history`: series over time, as JSON, MessagePack or CSV."""

from __future__ import annotations

import asyncio
import csv
import io
import math
from typing import Final, Literal, cast

import msgspec
from aiohttp import hdrs, web

from groundcontrol.domain.history import Window
from groundcontrol.errors import BadRequest, NotAcceptable
from groundcontrol.history.window import WindowBuilder
from groundcontrol.web import schema
from groundcontrol.web.call import Call, whole_number

MAX_SERIES: Final = 50
MAX_POINTS: Final = 4000
DEFAULT_POINTS: Final = 600
DEFAULT_WINDOW_S: Final = 3600.0
_KNOWN: Final = frozenset({"metric", "from", "to", "points"})

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
CSV: Final = "text/csv"
_FORMS: Final = {JSON: JSON, MSGPACK: MSGPACK, "application/x-msgpack": MSGPACK, "application/vnd.msgpack": MSGPACK, CSV: CSV}
_WILD: Final = {"*/*": JSON, "application/*": JSON, "text/*": CSV}


async def get_history(call: Call) -> web.Response:
    """Series over time: averages, lows and highs of equal steps; null where there is no sample."""
    form = choose_form(call.request.headers.get(hdrs.ACCEPT, ""))
    series, start, end, points = _asked(call)
    node = await call.services.store.nodes.node(call.scope, call.node_id)
    builder = await asyncio.to_thread(WindowBuilder, series, start, end, points)
    async for layout, rows in call.services.store.metrics.read(node.no, start, end, builder.families):
        await asyncio.to_thread(builder.add, layout, rows)
    body = await asyncio.to_thread(lambda: _write(builder.finish(), series, form))
    response = web.Response(body=body, content_type=form, charset="utf-8" if form == CSV else None)
    if form == CSV:
        response.headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="history-{node.id}.csv"'
    return response


def choose_form(accept: str) -> str:
    """The form of the answer that a client likes best.

    Raises: NotAcceptable.
    """
    best, best_weight = "", 0.0
    for part in accept.lower().split(",") if accept.strip() else ("*/*",):
        kind, _, rest = part.strip().partition(";")
        form = _FORMS.get(kind.strip()) or _WILD.get(kind.strip())
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
        raise NotAcceptable(f"history comes as {JSON}, {MSGPACK} or {CSV}")
    return best


def _asked(call: Call) -> tuple[list[str], float, float, int]:
    query = call.request.query
    for name in query:
        if name not in _KNOWN:
            raise BadRequest(f"this call does not know the parameter {name[:40]!r}")
        if name != "metric" and len(query.getall(name)) > 1:
            raise BadRequest(f"the parameter {name} stands twice")
    series = list(dict.fromkeys(query.getall("metric", [])))
    if not 1 <= len(series) <= MAX_SERIES:
        raise BadRequest(f"the parameter metric stands 1 to {MAX_SERIES} times, once for each series")
    end = _moment(query.get("to"), "to", call.services.clock.now())
    start = _moment(query.get("from"), "from", end - DEFAULT_WINDOW_S)
    return series, start, end, whole_number(query.get("points"), "points", 1, MAX_POINTS, DEFAULT_POINTS)


def _moment(text: str | None, name: str, default: float) -> float:
    if text is None:
        return default
    try:
        moment = float(text) if len(text) <= 32 else math.nan
    except ValueError:
        moment = math.nan
    if not math.isfinite(moment):
        raise BadRequest(f"the parameter {name} must be a time in Unix seconds")
    return moment


def _write(window: Window, series: list[str], form: str) -> bytes:
    if form == CSV:
        return _write_csv(window, series)
    view = schema.HistoryView(
        step=window.step_s,
        tier=cast("Literal['1s', '1m', '1h']", window.tier),
        times=window.times,
        series={name: schema.SeriesView(avg=line.avg, min=line.min, max=line.max) for name, line in window.series.items()},
    )
    return msgspec.msgpack.encode(view) if form == MSGPACK else msgspec.json.encode(view)


def _write_csv(window: Window, series: list[str]) -> bytes:
    """One line a step; empty where there is no sample."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["time", *(f"{name} {what}" for name in series for what in ("avg", "min", "max"))])
    columns = [column for name in series for column in window.series[name]]
    for index, time in enumerate(window.times):
        writer.writerow([time, *(column[index] for column in columns)])
    return out.getvalue().encode()
