"""The summary of a node for lists, and the positions of its values in the node's rows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, cast

import msgspec

SUMMARY_SERIES: Final = (
    "cpu.total",
    "load.1",
    "memory.total",
    "memory.used",
    "swap.total",
    "swap.used",
)
"""The series of `latest` in lists and in the topic `fleet`, besides SUMMARY_SUMS, SUMMARY_FULLEST and SUMMARY_HIGHEST."""

SUMMARY_SUMS: Final = ("disk.read", "disk.written", "network.received", "network.sent")
"""Labelled metrics that a summary contains once, under their bare name: the sum over all devices, or all interfaces but `lo`."""

SUMMARY_FULLEST: Final = ("filesystem.size", "filesystem.free", "filesystem.used")
"""A summary contains these under their full names, for the fullest mount: `filesystem.used{mount=/var}`.

The fullest mount has the greatest used / (used + free), as in `df` and in alerts. If the free space is not known, used / size counts.
If no mount could be measured, the summary contains one mount (`/`, if the node has it) with null.
"""

SUMMARY_HIGHEST: Final = ("disk.busy", "filesystem.inodes_used", "temperature")
"""A summary contains one series of each, under its full name: the one with the highest value."""

LOOPBACK_SERIES: Final = ("network.received{interface=lo}", "network.sent{interface=lo}")

_MAP_HEADS: Final = tuple(bytes((0x80 | entries,)) for entries in range(16))
"""The header bytes of MessagePack maps with 0 to 15 entries."""

SummaryValues = Sequence["int | None"]


class Shown(msgspec.Struct, gc=False):
    """A value as the API sends it; null: it could not be measured."""

    value: float | None
    at: float


_pack: Final = msgspec.msgpack.Encoder().encode
_write: Final = msgspec.json.Encoder().encode


class SummaryFragment:
    """The part of a node's summary that comes from one row, encoded once for all requests."""

    __slots__ = ("entries", "packed", "shown", "text")

    def __init__(self, shown: dict[str, Shown]) -> None:
        self.shown = shown
        self.entries = len(shown)
        self.packed = _pack(shown)[1 if self.entries < 16 else 3 :]
        """The entries as MessagePack, without the header of their map."""
        self.text = b""
        """The cached result of `write`."""

    def write(self) -> bytes:
        """The entries as JSON, without the braces around them. They are encoded once."""
        self.text = self.text or _write(self.shown)[1:-1]
        return self.text


def pack_summary(fragments: Iterable[SummaryFragment]) -> bytes:
    """The summary of a node as a MessagePack map; the families of a node have no series in common."""
    entries, parts = 0, [b""]
    for fragment in fragments:
        entries += fragment.entries
        parts.append(fragment.packed)
    parts[0] = _MAP_HEADS[entries] if entries < 16 else b"\xde" + entries.to_bytes(2)
    return b"".join(parts)


def write_summary(fragments: Iterable[SummaryFragment]) -> bytes:
    """The summary of a node as a JSON object."""
    parts = [b"{"]
    for fragment in fragments:
        if fragment.entries:
            parts += (fragment.text or fragment.write(), b",")
    if len(parts) > 1:
        parts.pop()  # drops the comma after the last entry
    parts.append(b"}")
    return b"".join(parts)


class _Slot(NamedTuple):
    """The position and scale of a series in its schema."""

    name: str
    at: int
    scale: int


class _Mount(NamedTuple):
    used: _Slot
    free: _Slot | None
    size: _Slot | None


class SummaryReader:
    """Reads the summary from rows of one series schema. It finds the positions of the values in the schema once, for all rows.

    All series of a metric are in one schema, since a metric belongs to one family. So `pack_summary` can join the summaries of several schemas.
    """

    __slots__ = ("_highest", "_mounts", "_plain", "_sums")

    def __init__(self, series: Sequence[str], scales: Sequence[int]) -> None:
        slots = {name: _Slot(name, at, scale) for at, (name, scale) in enumerate(zip(series, scales, strict=True))}
        labelled: dict[str, list[_Slot]] = {metric: [] for metric in (*SUMMARY_SUMS, *SUMMARY_FULLEST, *SUMMARY_HIGHEST)}
        for name, slot in slots.items():
            metric, brace, _ = name.partition("{")
            if brace and metric in labelled and name not in LOOPBACK_SERIES:
                labelled[metric].append(slot)
        plain = [tuple(slots[name]) for name in SUMMARY_SERIES if name in slots]
        summed = [(metric, labelled[metric]) for metric in SUMMARY_SUMS]
        alone = [(metric, found[0].at, found[0].scale) for metric, found in summed if len(found) == 1]
        self._plain = cast("tuple[tuple[str, int, int], ...]", (*plain, *alone))  # plain tuples unpack faster than named ones
        self._sums = tuple((metric, found[0].scale, tuple(slot.at for slot in found)) for metric, found in summed if len(found) > 1)
        size, free, used = SUMMARY_FULLEST
        self._mounts = tuple(
            _Mount(slot, slots.get(free + (label := slot.name.removeprefix(used))), slots.get(size + label))
            for slot in sorted(labelled[used], key=_root_first)
        )
        self._highest = tuple(tuple(found) for metric in SUMMARY_HIGHEST if (found := sorted(labelled[metric])))

    def read(self, values: SummaryValues, taken_at: float) -> SummaryFragment:
        """The part of the summary that comes from one row, in the units of the catalogue."""
        found = {name: Shown(None if (value := values[at]) is None else value / scale, taken_at) for name, at, scale in self._plain}
        for metric, scale, parts in self._sums:
            measured = [value for at in parts if (value := values[at]) is not None]
            # the sum leaves out devices that could not be measured
            found[metric] = Shown(sum(measured) / scale if measured else None, taken_at)
        if self._mounts:
            fullest = self._mounts[0] if len(self._mounts) == 1 else max(self._mounts, key=lambda mount: _used_share(mount, values))
            for slot in (fullest.size, fullest.free, fullest.used):
                if slot is not None:
                    found[slot.name] = Shown(_scaled(slot, values), taken_at)
        for slots in self._highest:
            highest = slots[0] if len(slots) == 1 else max(slots, key=lambda slot: _rank(values[slot.at]))
            found[highest.name] = Shown(_scaled(highest, values), taken_at)
        return SummaryFragment(found)


def _root_first(slot: _Slot) -> tuple[bool, _Slot]:
    """Sorts `/` first. The summary shows the first of equally full mounts, and of mounts that could not be measured."""
    return not slot.name.endswith("{mount=/}"), slot


def _scaled(slot: _Slot, values: SummaryValues) -> float | None:
    value = values[slot.at]
    return None if value is None else value / slot.scale


def _rank(value: float | None) -> float:
    """Ranks a value that could not be measured last."""
    return -1e300 if value is None else value


def _used_share(mount: _Mount, values: SummaryValues) -> float:
    used, free = values[mount.used.at], None if mount.free is None else values[mount.free.at]
    if used is None:
        return _rank(None)
    size = used + free if free is not None else None if mount.size is None else values[mount.size.at]
    return used / size if size else _rank(None)
