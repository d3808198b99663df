"""What a node says, held against what it may say. Pure: messages in, domain values out, `ProtocolError` for the rest.

The codec has checked the types and the sizes of frames; here stand counts, names, ranges and texts.
Every text is cleaned of control characters and capped before it goes anywhere: the node is hostile to the admin's browser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from groundcontrol.domain.history import LayoutRow
from groundcontrol.domain.nodes import NodeIdentity, NodePolicy, NodeUpdates
from groundcontrol.fleet.codec import decode_rows
from spider.wire.errors import ProtocolError
from spider.wire.frames import MAX_ITEMS, STREAM_BACKFILL, STREAM_LIVE, Identity, Layout, Pack, Row, Updates
from spider.wire.metrics import RHYTHM_S, parse_series

MAX_TEXT: Final = 256
MAX_SERIES: Final = MAX_ITEMS
MAX_ROWS: Final = 600
MAX_ADDRESSES: Final = 64
MAX_VERBS: Final = 64
LATEST_MS: Final = 4_102_444_800_000
"""2100-01-01. Clocks of nodes lie (1970, ten years ahead) and jump, so nothing more is asked of a time."""
POLICY_MODES: Final = frozenset({"monitor", "readonly", "managed", "invalid"})

_UNWANTED: Final[dict[int, None]] = dict.fromkeys(
    (
        *range(0x20), *range(0x7F, 0xA0),  # C0, DEL, C1
        0x061C, 0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFC),  # bidi, invisible
        *range(0xD800, 0xE000), 0xFFFE, 0xFFFF, *range(0xE0000, 0xE0080),
    )
)  # fmt: skip


class KnownLayout(NamedTuple):
    """A layout of this session, with what is needed to read its rows."""

    row: LayoutRow
    scales: tuple[int, ...]


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """One line of plain text, at most `limit` characters: nothing that moves a cursor, hides or turns round."""
    return text[: limit * 4].translate(_UNWANTED).strip()[:limit]


def layout_id(family: str, series: Sequence[str]) -> bytes:
    """The name that a layout must have: the first 8 bytes of SHA-256 over family and series, each followed by a newline."""
    return hashlib.sha256("".join(text + "\n" for text in (family, *series)).encode()).digest()[:8]


def check_layout(message: Layout) -> KnownLayout:
    """Hold a layout against the catalogue.

    Raises: ProtocolError.
    """
    if message.family not in RHYTHM_S or not 1 <= message.rhythm_s <= 3600:
        raise ProtocolError("not a layout of this protocol")
    if not 0 < len(message.series) <= MAX_SERIES or len(set(message.series)) != len(message.series):
        raise ProtocolError("a layout without series, with too many, or with one twice")
    scales = []
    for name in message.series:
        try:
            metric, _label = parse_series(name)
        except ValueError as exc:
            raise ProtocolError("a series that is not in the catalogue") from exc
        if metric.family != message.family:
            raise ProtocolError("a series that does not belong into this layout")
        scales.append(metric.scale)
    if message.layout != layout_id(message.family, message.series):
        raise ProtocolError("a layout that is not named for its content")
    return KnownLayout(LayoutRow(message.layout, message.family, message.rhythm_s, tuple(message.series)), tuple(scales))


def check_pack(message: Pack, layout: KnownLayout | None) -> list[Row]:
    """Hold a pack against its layout.

    Returns: its rows in the order in which they were taken.
    Raises:  ProtocolError.
    """
    if layout is None:
        raise ProtocolError("a pack of a layout that was not named")
    if message.stream not in (STREAM_LIVE, STREAM_BACKFILL) or message.seq < 0:
        raise ProtocolError("a pack of no stream")
    rows = decode_rows(message.coding, message.body)
    width = len(layout.scales)
    if not 0 < len(rows) <= MAX_ROWS:
        raise ProtocolError("a pack without rows, or with too many")
    for taken_at_ms, values in rows:
        if len(values) != width:
            raise ProtocolError("a row that is not as wide as its layout")
        if not 0 <= taken_at_ms <= LATEST_MS:
            raise ProtocolError("a row from an impossible time")
    return rows


def scaled(layout: KnownLayout, row: Row) -> dict[str, float | None]:
    """The values of a row by series, in the units of the catalogue."""
    return {
        name: None if value is None else value / scale if scale != 1 else float(value)
        for name, value, scale in zip(layout.row.series, row.values, layout.scales, strict=True)
    }


def read_identity(message: Identity) -> tuple[NodeIdentity, str, NodePolicy, str]:
    """What a server is.

    Returns: identity, agent version, policy, whether a reboot is required.
    Raises:  ProtocolError: numbers or lists that no server has.
    """
    if not (0 <= message.cpu_cores <= 1 << 16 and 0 <= message.memory_bytes < 1 << 56 and 0 <= message.booted_at_ms <= LATEST_MS):
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
    )
    mode = message.policy_mode if message.policy_mode in POLICY_MODES else "invalid"
    reboot = message.reboot_required if message.reboot_required in ("yes", "no") else "unknown"
    policy = NodePolicy(mode, tuple(clean(verb, 32) for verb in message.policy_verbs))
    return identity, clean(message.agent_version, 64), policy, reboot


def read_updates(message: Updates) -> NodeUpdates:
    """How many packages could be upgraded; -1 stands for unknown.

    Raises: ProtocolError.
    """
    if not (-1 <= message.security <= 1_000_000 and -1 <= message.total <= 1_000_000 and 0 <= message.checked_at_ms <= LATEST_MS):
        raise ProtocolError("updates with impossible numbers")
    return NodeUpdates(
        total=None if message.total < 0 else message.total,
        security=None if message.security < 0 else message.security,
        checked_at=message.checked_at_ms / 1000 if message.checked_at_ms else None,
    )
