"""The encoding of a chunk: a head with the names and positions of the columns, then the columns.

chunk = version u8 | kind u8 | interval_s u16 | rows u32 | length of the head u32, and inflated u32 | CRC-32 of all but itself u32 | head | columns
head  = deflate(MessagePack [names joined by newlines, shapes, relations])

`column_codec.py` defines the shapes. The columns are in the order of their shapes. A relation [a, b, -c …] means: add the values of
column b to those of column a, and subtract those of column c.

A chunk with few rows, or one that is merged soon, deflates all columns together. Its kind is 128 higher, and the inflated length of the
columns precedes them.

A chunk holds the names of its series, so the store reads it without any other row.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from operator import add, sub
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from groundcontrol.samples.chunks import column_codec
from groundcontrol.samples.chunks.column_codec import ColumnShape

VERSION: Final = 1
ROWS: Final = 1
STATS: Final = 2
MAX_ROWS: Final = 1 << 22
MAX_BYTES: Final = 256 * 1024 * 1024
FEW: Final = 256
"""Chunks of up to this many rows deflate all columns together: a single column is too short to compress well."""
_GROUP_ROWS: Final = 128
_FIXED: Final = struct.Struct("<BBHIII")
_LENGTH: Final = struct.Struct("<I")

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[str, list[list[int]], list[list[int]]]).decode


class Chunk:
    """A chunk that reads each column on demand."""

    __slots__ = ("_data", "_ends", "_relations", "_shapes", "interval_s", "kind", "names", "rows")

    def __init__(self, body: bytes) -> None:
        """Raises: ValueError: the bytes are not a chunk."""
        if len(body) < _FIXED.size + _LENGTH.size:
            raise ValueError("a chunk is cut off")
        version, kind, self.interval_s, self.rows, length, inflated = _FIXED.unpack_from(body)
        self.kind = kind & ~_GROUP_ROWS
        if version != VERSION or self.kind not in (ROWS, STATS) or inflated > MAX_BYTES:
            raise ValueError("a chunk of an unknown version")
        start = _FIXED.size + _LENGTH.size
        if self.rows > MAX_ROWS or _LENGTH.pack(_check(body[: _FIXED.size], memoryview(body)[start:])) != body[_FIXED.size : start]:
            raise ValueError("a chunk is damaged")
        try:
            names, self._shapes, relations = _decode(column_codec.inflate(memoryview(body)[start : start + length], inflated))
        except msgspec.MsgspecError as exc:
            raise ValueError("the head of a chunk is damaged") from exc
        self.names: list[str] = names.split("\n") if names else []
        self._relations = {relation[0]: relation[1:] for relation in relations if relation}
        self._data = memoryview(body)[start + length :]
        if kind & _GROUP_ROWS:
            (whole,) = _LENGTH.unpack_from(self._data)
            if whole > MAX_BYTES:
                raise ValueError("a chunk of absurd size")
            self._data = memoryview(column_codec.inflate(self._data[_LENGTH.size :], whole))
        self._ends = column_codec.ends(self._shapes)
        if self._ends[-1] != len(self._data):
            raise ValueError("the length of a chunk does not match its head")

    def column(self, index: int, count: int, start: int = 0, end: int | None = None) -> Sequence[int]:
        """Read the column at position `index`, which has `count` values: those from `start` to before `end`, or all.

        Raises: ValueError: the column is damaged.
        """
        found = column_codec.decode(self._shapes[index], self._data[self._ends[index] : self._ends[index + 1]], count, start, end)
        for other in self._relations.get(index, ()):
            if abs(other) in self._relations or not 0 < abs(other) < len(self._shapes):
                raise ValueError("an impossible relation between columns")
            found = list(map(add if other > 0 else sub, found, self.column(abs(other), count, start, end)))
        return found

    def shape(self, index: int) -> ColumnShape:
        """The shape of the column at position `index`."""
        return self._shapes[index]

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self._shapes)


class Part(NamedTuple):
    """An encoded column of a chunk."""

    shape: ColumnShape
    data: bytes


class Layer(NamedTuple):
    """How the columns of a new chunk are encoded."""

    grouped: bool
    """Whether all columns are deflated together."""
    level: int
    """The level of that compression."""

    def part(self, values: Sequence[int]) -> Part:
        """Encode a column."""
        return Part(*column_codec.encode(values, bare=self.grouped))


def layer(rows: int, *, quick: bool) -> Layer:
    """The encoding of a chunk with this many rows. Args: quick: compress fast rather than well, since the chunk is rewritten soon."""
    return Layer(quick or rows <= FEW, 1 if quick and rows > FEW else 6)


def build(
    kind: int,
    layer: Layer,
    interval_s: int,
    rows: int,
    names: Sequence[str],
    parts: Sequence[Part],
    relations: Sequence[Sequence[int]] = (),
) -> bytes:
    """Encode a chunk. Args: kind: `ROWS` or `STATS`. parts: the columns in order. relations: as in the head of a chunk."""
    head = _encode(("\n".join(names), [part.shape for part in parts], relations))
    packed = column_codec.deflate(head)
    data = b"".join([part.data for part in parts])
    rest = b"".join([packed, _LENGTH.pack(len(data)), column_codec.deflate(data, level=layer.level)] if layer.grouped else [packed, data])
    fixed = _FIXED.pack(VERSION, kind | (_GROUP_ROWS if layer.grouped else 0), interval_s, rows, len(packed), len(head))
    return fixed + _LENGTH.pack(_check(fixed, rest)) + rest


def _check(fixed: bytes, rest: bytes | memoryview) -> int:
    return crc32(rest, crc32(fixed))
