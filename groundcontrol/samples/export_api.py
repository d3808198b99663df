"""`/api/v1/nodes/{id}/export`: all stored samples of a node, streamed as they are read."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final

import msgspec
from aiohttp import hdrs, web

from groundcontrol.core.errors import BadRequest, HubError
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from groundcontrol.samples.api import CSV, choose_form, current_retention
from groundcontrol.samples.backfill import GapRow
from groundcontrol.samples.chunks.counter_rates import scale_of
from groundcontrol.samples.chunks.rollup import StatTable
from groundcontrol.samples.model import Damage, SeriesSchema, StoredRow
from groundcontrol.samples.store import DamageReports, MetricStore
from groundcontrol.samples.tiers import AHEAD_S, GRACE_S, SECONDS, TIERS, Tier, retention_s
from groundcontrol.web.costs import SlotLimiter
from groundcontrol.web.request import ApiRequest, StreamAuthorizer, unix_time
from spider.logs import event
from spider.wire.metrics import INTERVAL_S, Metric, parse_series

log = logging.getLogger(__name__)

NDJSON: Final = "application/x-ndjson"
MAX_EXPORTS: Final = 8
"""The most exports at the same time. Each holds some 10 MB of rows until its client has read them."""
MAX_EXPORTS_OF_A_USER: Final = 4
PIECE_VALUES: Final = 20_000
"""The number of values written in one piece. A row with more values is one piece."""
WRITE_LIMIT_S: Final = 60.0
"""A client that reads nothing for this long is disconnected."""
_FORMS: Final = {NDJSON: NDJSON, "application/jsonl": NDJSON, "application/json": NDJSON, CSV: CSV}
_WILD: Final = {"*/*": NDJSON, "application/*": NDJSON, "text/*": CSV}


class Exports(SlotLimiter):
    """The places for exports in progress."""

    def __init__(self) -> None:
        super().__init__("exports", MAX_EXPORTS, MAX_EXPORTS_OF_A_USER)


async def export_node(call: ApiRequest) -> web.StreamResponse:
    """All stored samples of a node in a tier, a line for each row (NDJSON) or value (CSV). Ordered by hour (1m: day, 1h: 32 days), not within it."""
    form = choose_form(call.request.headers.get(hdrs.ACCEPT, ""), _FORMS, _WILD)
    query = call.query("from", "to", "tier")
    tier = next((known for known in TIERS if known.name == query.get("tier", SECONDS.name)), None)
    if tier is None:
        raise BadRequest("the parameter tier must be 1s, 1m or 1h")
    now = call.services.clock.now()
    end = unix_time(query.get("to"), "to", now + AHEAD_S)  # clocks of nodes may be ahead by this much: no later sample is stored
    start = unix_time(query.get("from"), "from", now - retention_s(tier, await current_retention(call.services)) - GRACE_S)
    if not 0.0 <= start < end <= 253_402_300_800.0:
        raise BadRequest("the time range is empty or out of bounds", field="from")
    node = await call.services[NodeStore].node(call.scope, call.node_id)
    with call.services[Exports].take(call.user_id):
        return await _stream(call, node, tier, start, end, form)


async def _stream(call: ApiRequest, node: Node, tier: Tier, start: float, end: float, form: str) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = form
    ending = "csv" if form == CSV else "ndjson"
    response.headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="export-{node.id}-{tier.name}.{ending}"'
    await response.prepare(call.request)
    allowed = StreamAuthorizer(call, "history.read", lambda scope: call.services[NodeStore].node(scope, node.id))
    try:
        async with contextlib.aclosing(_pieces(call, node, tier, start, end, form)) as pieces:
            async for piece in pieces:
                if not piece:
                    continue
                await allowed.check()
                async with asyncio.timeout(WRITE_LIMIT_S):
                    await response.write(piece)
        # If the node was deleted meanwhile, its samples just stop: the client must not take that for a complete export.
        await allowed.check_now()
    except (HubError, TimeoutError) as exc:
        event(log, "export_cut", logging.WARNING, node=node.id, tier=tier.name, why=getattr(exc, "code", "slow"))
        if call.request.transport is not None:
            call.request.transport.abort()  # a cut answer must not look complete
    return response


async def _pieces(call: ApiRequest, node: Node, tier: Tier, start: float, end: float, form: str) -> AsyncGenerator[bytes]:
    metrics, families = call.services[MetricStore], sorted(INTERVAL_S)
    notes = _Notes(form, tier)
    if form == CSV:
        yield b"time,series,value\r\n" if tier is SECONDS else b"time,series,avg,min,max,count\r\n"
    yield notes.write_lost(await metrics.gaps(node.no, start, end))
    if tier is SECONDS:
        async with contextlib.aclosing(metrics.read(node.no, start, end, families, notes.miss)) as groups:
            async for schema, rows in groups:
                yield await _notes_before(call, node, notes, schema.series, rows[0].taken_at_ms / 1000)
                at_once = max(1, PIECE_VALUES // max(1, len(schema.series)))
                for first in range(0, len(rows), at_once):
                    yield await asyncio.to_thread(_rows, schema, rows[first : first + at_once], form)
    else:
        async with contextlib.aclosing(metrics.read_rollups(node.no, tier.name, start, end, families, notes.miss)) as tables:
            async for family, table in tables:
                steps = [at for at, step in enumerate(table.step_numbers) if start <= step * tier.step_s < end]
                if steps:
                    yield await _notes_before(call, node, notes, list(table.lines), float(table.step_numbers[steps[0]] * tier.step_s))
                at_once = max(1, PIECE_VALUES // max(1, len(table.lines)))
                for first in range(0, len(steps), at_once):
                    yield await asyncio.to_thread(_aggregates, family, tier, table, steps[first : first + at_once], form)
    yield await _notes_before(call, node, notes, (), 0.0)


async def _notes_before(call: ApiRequest, node: Node, notes: _Notes, series: Sequence[str], at: float) -> bytes:
    """The notes before the next rows: damage since the last notes, and unknown series. New damage is reported too.

    Args: series: those of the next rows. at: the time of the first of these rows, in Unix seconds.
    """
    damaged = notes.take_damaged()
    if damaged:
        await call.services[DamageReports].report(node, damaged)
    return b"".join([*map(notes.write_damaged, damaged), notes.write_unknown(series, at)])


class _Notes:
    """The notes of an export. Each note is written once, in a separate line."""

    def __init__(self, form: str, tier: Tier) -> None:
        self._form = form
        self._blank = [""] * (1 if tier is SECONDS else 4)
        self._met: dict[Damage, None] = {}
        self._written: set[Damage] = set()
        self._unknown: set[str] = set()

    def miss(self, damage: Damage) -> None:
        """Record a damaged time, which the export leaves out."""
        self._met[damage] = None

    def take_damaged(self) -> list[Damage]:
        """The damage found since the last call."""
        new = [one for one in self._met if one not in self._written]
        self._met.clear()
        self._written.update(new)
        return new

    def write_damaged(self, one: Damage) -> bytes:
        if self._form == CSV:
            return _csv(iter([(one.start, f"#damaged {one.tier} until {one.end}", *self._blank)]))
        return msgspec.json.Encoder().encode_lines([{"damaged": {"tier": one.tier, "from": one.start, "to": one.end}}])

    def write_lost(self, gaps: Sequence[GapRow]) -> bytes:
        """The notes on rows that the node measured and lost."""
        if self._form == CSV:
            return _csv(
                (gap.first_ms / 1000, f"#lost {gap.rows or '?'} rows of {gap.family} until {gap.last_ms / 1000}", *self._blank)
                for gap in gaps
            )
        return msgspec.json.Encoder().encode_lines(
            [
                {"lost": {"family": gap.family, "from": gap.first_ms / 1000, "to": gap.last_ms / 1000, "rows": gap.rows or None}}
                for gap in gaps
            ]
        )

    def write_unknown(self, series: Sequence[str], at: float) -> bytes:
        """The notes on series that the catalogue does not contain. Their scale is not known, so their values are exported as stored."""
        new = [name for name in series if name not in self._unknown and _metric(name) is None]
        self._unknown.update(new)
        if not new:
            return b""
        if self._form == CSV:
            return _csv((at, f"#unknown {name}", *self._blank) for name in new)
        return msgspec.json.Encoder().encode_lines([{"unknown": {"series": new}}])


def _metric(series: str) -> Metric | None:
    """The metric of a series; None: it is not in this catalogue. Another version of the hub stored it."""
    try:
        return parse_series(series)[0]
    except ValueError:
        return None


def _rows(schema: SeriesSchema, rows: Sequence[StoredRow], form: str) -> bytes:
    scales = [1 if (metric := _metric(name)) is None else metric.scale for name in schema.series]
    lines = (
        (row.taken_at_ms / 1000, [None if value is None else value / scale for value, scale in zip(row.values, scales, strict=True)])
        for row in rows
    )
    if form == CSV:
        return _csv((time, name, value) for time, values in lines for name, value in zip(schema.series, values, strict=True))
    return msgspec.json.Encoder().encode_lines(
        [{"at": time, "family": schema.family, "values": dict(zip(schema.series, values, strict=True))} for time, values in lines]
    )


def _aggregates(family: str, tier: Tier, table: StatTable, steps: Sequence[int], form: str) -> bytes:
    scales = {name: 1 if (metric := _metric(name)) is None else scale_of(metric) for name in table.lines}
    found = [
        (
            float(table.step_numbers[at] * tier.step_s),
            {
                name: (line.sums[at] / line.counts[at] / scale, line.least[at] / scale, line.greatest[at] / scale, line.counts[at])
                for name, line in table.lines.items()
                for scale in (scales[name],)
                if line.counts[at]
            },
        )
        for at in steps
    ]
    if form == CSV:
        return _csv((time, name, *aggregates) for time, series in found for name, aggregates in series.items())
    return msgspec.json.Encoder().encode_lines(
        [
            {
                "at": time,
                "family": family,
                "step": tier.step_s,
                "values": {name: dict(zip(("avg", "min", "max", "count"), aggregates, strict=True)) for name, aggregates in series.items()},
            }
            for time, series in found
        ]
    )


def _csv(lines: Iterator[Sequence[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(lines)
    return out.getvalue().encode()
