"""Validates the messages of agents. Pure: messages in, domain values out. An invalid message raises `ProtocolError`.

The codec has checked types and frame sizes. This module checks counts, names, ranges and texts.
Every text is stripped of control characters and truncated here: a hostile node must not attack the admin's browser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from groundcontrol.agents.codec import decode_rows
from groundcontrol.core.text import clean, visible
from groundcontrol.nodes.locations import MAX_LOCATION_CHARS
from groundcontrol.nodes.model import LogBatch, LogLine, NodeIdentity, NodePolicy, NodeUpdates
from groundcontrol.nodes.summary import SummaryReader
from groundcontrol.samples.backfill import PreviousSend
from groundcontrol.samples.model import SeriesSchema
from spider.wire.arg_kinds import MAX_NAME
from spider.wire.errors import ProtocolError
from spider.wire.frames import MAX_ITEMS
from spider.wire.metrics import INTERVAL_S, parse_series
from spider.wire.report_messages import Identity, LogLines, Updates, policy_line
from spider.wire.sample_messages import STREAM_BACKFILL, STREAM_LIVE, Gap, Late, Layout, Pack, Row
from spider.wire.verbs import POLICY_LINES

MAX_SERIES: Final = MAX_ITEMS
MOST_SHARED: Final = 128
"""Number of layouts that nodes share."""
MOST_SHARED_SERIES: Final = 256
"""A layout of more series is not shared."""
MAX_ROWS: Final = 600
MAX_ADDRESSES: Final = 64
MAX_VERBS: Final = 64
MAX_UNITS: Final = 999_999
MAX_GENERATION: Final = 999_999_999
LATEST_MS: Final = 4_102_444_800_000
"""2100-01-01. Clocks of nodes are wrong (1970, ten years ahead) and jump, so a time has no other limit."""
AHEAD_LIMIT_S: Final = 86_400.0
"""How far a node's clock may be ahead of the hub's. Later samples would stay in the history until that date has passed."""
SANE_FROM_S: Final = 1_767_225_600.0
"""2026-01-01. A hub whose own clock is earlier does not judge the clocks of nodes."""
MAX_LOG_LINES: Final = 200
MAX_LOG_TEXT: Final = 2000
MAX_LOG_CURSOR: Final = 512
MAX_LOST_ROWS: Final = 1 << 40
JOURNAL_BYTES: Final = 16
MAX_POLICY_NAMES: Final = 64
JOURNAL_LEVELS: Final = frozenset({"off", "warning", "all"})
POLICY_MODES: Final = frozenset({"monitor", "readonly", "managed", "invalid"})


class KnownSchema(NamedTuple):
    """A layout (the series of a pack, in the order of its columns), with the data needed to read its rows."""

    row: SeriesSchema
    scales: tuple[int, ...]
    summary: SummaryReader
    """Positions in a row of the values that lists show."""

    @classmethod
    def of(cls, row: SeriesSchema, scales: Sequence[int]) -> KnownSchema:
        """Build it for a layout whose series have these scales."""
        return cls(row, tuple(scales), SummaryReader(row.series, scales))


def schema_id_of(family: str, series: Sequence[str]) -> bytes:
    """The id of a layout: the first 8 bytes of SHA-256 over family and series, each followed by a newline."""
    return hashlib.sha256("".join(text + "\n" for text in (family, *series)).encode()).digest()[:8]


def validate_schema(message: Layout) -> KnownSchema:
    """Validate a layout by the catalogue.

    Returns: the layout, as one object shared by all nodes that have it, since most nodes of a fleet are alike.
    Raises:  ProtocolError.
    """
    known = _shared_schema if len(message.series) <= MOST_SHARED_SERIES else _known_schema
    return known(message.layout, message.family, message.rhythm_s, tuple(message.series))


def _known_schema(schema: bytes, family: str, interval_s: int, series: tuple[str, ...]) -> KnownSchema:
    if family not in INTERVAL_S or not 1 <= interval_s <= 3600:
        raise ProtocolError("not a layout of this protocol")
    if not 0 < len(series) <= MAX_SERIES or len(set(series)) != len(series):
        raise ProtocolError("a layout without series, with too many, or with one twice")
    scales = []
    for name in series:
        try:
            metric, _label = parse_series(name)
        except ValueError as exc:
            raise ProtocolError("a series that is not in the catalogue") from exc
        if metric.family != family:
            raise ProtocolError("a series of another family than the layout")
        scales.append(metric.scale)
    if schema != schema_id_of(family, series):
        raise ProtocolError("a layout whose name does not match its content")
    return KnownSchema.of(SeriesSchema(schema, family, interval_s, series), scales)


_shared_schema: Final = lru_cache(MOST_SHARED)(_known_schema)


def check_pack(message: Pack, schema: KnownSchema | None) -> list[Row]:
    """Validate a pack by its layout.

    Returns: its rows in the order in which they were taken.
    Raises:  ProtocolError.
    """
    if schema is None:
        raise ProtocolError("a pack of an unknown layout")
    if message.stream not in (STREAM_LIVE, STREAM_BACKFILL) or message.seq < 0:
        raise ProtocolError("a pack of an unknown stream")
    return _check_rows(message.coding, message.body, schema)


def _check_rows(coding: int, body: bytes, schema: KnownSchema) -> list[Row]:
    rows = decode_rows(coding, body)
    width = len(schema.scales)
    if not 0 < len(rows) <= MAX_ROWS:
        raise ProtocolError("a pack without rows, or with too many")
    for taken_at_ms, values in rows:
        if len(values) != width:
            raise ProtocolError("a row that is not as wide as its layout")
        if not 0 <= taken_at_ms <= LATEST_MS:
            raise ProtocolError("a row from an impossible time")
    return rows


def check_late(message: Late, schema: KnownSchema | None) -> tuple[list[Row], PreviousSend | None]:
    """Validate a pack from the node's disk by its layout.

    Returns: its rows, and the number under which they were sent before; None: they were not.
    Raises:  ProtocolError.
    """
    if schema is None:
        raise ProtocolError("a pack of an unknown layout")
    sent = _check_record(message)
    return _check_rows(message.coding, message.body, schema), sent


def check_gap(message: Gap) -> PreviousSend | None:
    """Validate a loss report.

    Returns: the number under which the rows were sent before; None: they were not.
    Raises:  ProtocolError.
    """
    sent = _check_record(message)
    if message.family not in INTERVAL_S:
        raise ProtocolError("a gap in an unknown family")
    if not 0 <= message.first_ms <= message.last_ms <= LATEST_MS or not 0 <= message.rows <= MAX_LOST_ROWS:
        raise ProtocolError("a gap with impossible numbers")
    return sent


def _check_record(message: Late | Gap) -> PreviousSend | None:
    if len(message.journal) != JOURNAL_BYTES or message.number < 0 or message.seq < 0:
        raise ProtocolError("a record of an unknown journal")
    sent = PreviousSend(message.sent_epoch, message.sent_stream, message.sent_seq) if message.sent_epoch else None
    if sent is not None and (sent.epoch < 0 or sent.seq < 0 or sent.stream not in (STREAM_LIVE, STREAM_BACKFILL)):
        raise ProtocolError("a record with an impossible earlier session")
    return sent


def is_ahead(taken_at_ms: int, now: float) -> bool:
    """Whether a row is dated too far in the future to be stored."""
    return now >= SANE_FROM_S and taken_at_ms / 1000 > now + AHEAD_LIMIT_S


def scaled(schema: KnownSchema, row: Row) -> dict[str, float | None]:
    """The values of a row by series, in the units of the catalogue."""
    return {
        name: None if value is None else value / scale if scale != 1 else float(value)
        for name, value, scale in zip(schema.row.series, row.values, schema.scales, strict=True)
    }


def read_log_lines(message: LogLines, now: float) -> LogBatch:
    """Decode lines of a node's system log.

    Raises: ProtocolError.
    """
    count = len(message.at_ms)
    if count > MAX_LOG_LINES or not len(message.priorities) == len(message.sources) == len(message.texts) == count:
        raise ProtocolError("log lines that do not match")
    if not 0 <= message.left_out <= MAX_LOST_ROWS or not all(_is_cursor(text) for text in (message.after, message.cursor)):
        raise ProtocolError("log lines with an impossible cursor")
    if not all(0 <= at_ms <= LATEST_MS for at_ms in message.at_ms) or not all(0 <= priority <= 7 for priority in message.priorities):
        raise ProtocolError("log lines with impossible numbers")
    parts = zip(message.at_ms, message.priorities, message.sources, message.texts, strict=True)
    lines = [LogLine(at_ms, priority, clean(source), visible(text, MAX_LOG_TEXT)) for at_ms, priority, source, text in parts]
    if message.left_out:
        last = lines.pop() if lines else LogLine(int(now * 1000), 4, "stardust-spider", "")
        lines.append(last._replace(left_out=message.left_out))
    return LogBatch(message.after, message.cursor, lines)


def _is_cursor(text: str) -> bool:
    return len(text) <= MAX_LOG_CURSOR and text.isascii() and (not text or text.isprintable())


def _day(text: str) -> str:
    """A date such as 2027-05-12; empty: it is none."""
    try:
        return text if len(text) == 10 and date.fromisoformat(text).isoformat() == text else ""
    except ValueError:
        return ""


def read_identity(message: Identity) -> tuple[NodeIdentity, str, NodePolicy, str]:
    """Decode the identity of a server.

    Returns: identity, agent version, policy, whether a reboot is required.
    Raises:  ProtocolError: impossible numbers or lists.
    """
    if not (
        0 <= message.cpu_cores <= 1 << 16
        and 0 <= message.memory_bytes < 1 << 56
        and 0 <= message.booted_at_ms <= LATEST_MS
        and 0 <= message.units <= MAX_UNITS
        and 0 <= message.generation <= MAX_GENERATION
    ):
        raise ProtocolError("an identity with impossible numbers")
    if len(message.addresses) > MAX_ADDRESSES or len(message.policy_verbs) > MAX_VERBS:
        raise ProtocolError("an identity with too many addresses or verbs")
    identity = NodeIdentity(
        hostname=clean(message.hostname),
        machine_id=clean(message.machine_id, 64),
        os_id=clean(message.os_id, 64),
        os_name=clean(message.os_name),
        os_version=clean(message.os_version, 64),
        kernel=clean(message.kernel),
        architecture=clean(message.architecture, 64),
        virtualization=clean(message.virtualization, 64),
        cpu_model=clean(message.cpu_model),
        cpu_cores=message.cpu_cores,
        memory_bytes=message.memory_bytes,
        package_manager=clean(message.package_manager, 64),
        timezone=clean(message.timezone, 64),
        booted_at=message.booted_at_ms / 1000,
        addresses=tuple(clean(address, 64) for address in message.addresses),
        units=message.units,
        revision=clean(message.revision, 72),
        generation=message.generation,
        location=clean(message.location, MAX_LOCATION_CHARS),
        other_patchers=clean(message.other_patchers, 200),
        support_end=_day(message.support_end),
    )
    mode = message.policy_mode if message.policy_mode in POLICY_MODES else "invalid"
    reboot = message.reboot_required if message.reboot_required in ("yes", "no") else "unknown"
    journal = message.policy_journal if message.policy_journal in JOURNAL_LEVELS else "off"
    policy = NodePolicy(
        mode,
        tuple(clean(verb, 32) for verb in message.policy_verbs),
        journal,
        {line: _policy_names(policy_line(message, line)) for line in POLICY_LINES},
    )
    return identity, clean(message.agent_version, 64), policy, reboot


def _policy_names(line: str) -> tuple[str, ...]:
    """Split a line of the policy into names."""
    names = [clean(name.strip(), MAX_NAME) for name in line.split(",", MAX_POLICY_NAMES)[:MAX_POLICY_NAMES]]
    return tuple(filter(None, names))


def read_updates(message: Updates) -> NodeUpdates:
    """Decode how many packages could be upgraded; -1 means unknown.

    Raises: ProtocolError.
    """
    if not (-1 <= message.security <= 1_000_000 and -1 <= message.total <= 1_000_000 and 0 <= message.checked_at_ms <= LATEST_MS):
        raise ProtocolError("updates with impossible numbers")
    return NodeUpdates(
        total=None if message.total < 0 else message.total,
        security=None if message.security < 0 else message.security,
        checked_at=message.checked_at_ms / 1000 if message.checked_at_ms else None,
    )


MAX_SCHEMAS: Final = 32
"""Layouts of one session in use. A further one replaces the least recently used."""


class SchemaCache:
    """The layouts of one session, by name."""

    __slots__ = ("_known", "_saved", "_saves")

    def __init__(self) -> None:
        self._known: dict[bytes, KnownSchema] = {}
        """Name -> layout, least recently used first."""
        self._saves = 0
        """Number of layouts sent to the store so far."""
        self._saved: dict[bytes, int] = {}
        """Name -> the value of `_saves` when the layout was last sent to the store."""

    def __len__(self) -> int:
        return len(self._known)

    def get(self, name: bytes) -> KnownSchema | None:
        return self._known.get(name)

    def touch(self, name: bytes, known: KnownSchema) -> bool:
        """Mark a layout as just used.

        Returns: whether the layout is cached unchanged and surely in the store. After MAX_SCHEMAS other saves it must be saved
                 again, since the store keeps only recent layouts.
        """
        if self._known.get(name) != known or self._saves - self._saved[name] >= MAX_SCHEMAS:
            return False
        self._known[name] = self._known.pop(name)
        return True

    def put(self, name: bytes, known: KnownSchema) -> None:
        """Add a layout that was just saved to the store."""
        self._known.pop(name, None)
        if len(self._known) >= MAX_SCHEMAS:
            oldest = next(iter(self._known))
            del self._known[oldest], self._saved[oldest]
        self._known[name] = known
        self._saves += 1
        self._saved[name] = self._saves
