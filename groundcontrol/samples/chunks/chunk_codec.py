"""The bytes of a chunk: a head that names the columns and says where each lies, then the columns.

    chunk = version u8 | kind u8 | rhythm_s u16 | rows u32 | length of the head u32, and inflated u32 | CRC-32 of all but itself u32 | head | columns
    head  = deflate(MessagePack [names joined by newlines, shapes, relations]); a shape is that of `columns.py`, its data lie in the same
            order; a relation [a, b, -c …] says that to the values in column a those of b are to be added, and those of c taken away

In a chunk of few rows, or one that is soon merged, the columns are deflated all together instead of each by itself (kind + 128, and the
length that they inflate to before them).

A chunk stands for itself: it holds the names of its series, so that no other row has to be kept for it.
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
"""Up to so many rows the columns lie together: alone, each is too short to be worth a coding of its own."""
_TOGETHER: Final = 128
_FIXED: Final = struct.Struct("<BBHIII")
_LENGTH: Final = struct.Struct("<I")

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[str, list[list[int]], list[list[int]]]).decode


class Chunk:
    """A chunk whose columns are read when they are asked for."""

    __slots__ = ("_data", "_ends", "_relations", "_shapes", "kind", "names", "rhythm_s", "rows")

    def __init__(self, body: bytes) -> None:
        """Raises: ValueError: the bytes are no chunk."""
        if len(body) < _FIXED.size + _LENGTH.size:
            raise ValueError("a chunk is cut off")
        version, kind, self.rhythm_s, self.rows, length, inflated = _FIXED.unpack_from(body)
        self.kind = kind & ~_TOGETHER
        if version != VERSION or self.kind not in (ROWS, STATS) or inflated > MAX_BYTES:
            raise ValueError("a chunk of no version that this program knows")
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
        if kind & _TOGETHER:
            (whole,) = _LENGTH.unpack_from(self._data)
            if whole > MAX_BYTES:
                raise ValueError("a chunk of absurd size")
            self._data = memoryview(column_codec.inflate(self._data[_LENGTH.size :], whole))
        self._ends = column_codec.ends(self._shapes)
        if self._ends[-1] != len(self._data):
            raise ValueError("a chunk has not the length that its head says")

    def column(self, place: int, count: int, start: int = 0, end: int | None = None) -> Sequence[int]:
        """Read the column at `place`, which has `count` values: those from `start` to before `end`, or all.

        Raises: ValueError: it is damaged.
        """
        found = column_codec.decode(self._shapes[place], self._data[self._ends[place] : self._ends[place + 1]], count, start, end)
        for other in self._relations.get(place, ()):
            if abs(other) in self._relations or not 0 < abs(other) < len(self._shapes):
                raise ValueError("a column that rests on one that rests on another")
            found = list(map(add if other > 0 else sub, found, self.column(abs(other), count, start, end)))
        return found

    def shape(self, place: int) -> ColumnShape:
        return self._shapes[place]

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self._shapes)


class Part(NamedTuple):
    """A column as it goes into a chunk."""

    shape: ColumnShape
    data: bytes


class Layer(NamedTuple):
    """How the columns of a chunk that is being written are coded."""

    together: bool
    level: int

    def part(self, values: Sequence[int]) -> Part:
        """A column."""
        return Part(*column_codec.encode(values, bare=self.together))


def layer(rows: int, *, quick: bool) -> Layer:
    """The coding for so many rows; `quick` for what is read and written anew soon."""
    return Layer(quick or rows <= FEW, 1 if quick and rows > FEW else 6)


def build(
    kind: int, layer: Layer, rhythm_s: int, rows: int, names: Sequence[str], parts: Sequence[Part], relations: Sequence[Sequence[int]] = ()
) -> bytes:
    """Write a chunk."""
    head = _encode(("\n".join(names), [part.shape for part in parts], relations))
    packed = column_codec.deflate(head)
    data = b"".join([part.data for part in parts])
    rest = b"".join([packed, _LENGTH.pack(len(data)), column_codec.deflate(data, level=layer.level)] if layer.together else [packed, data])
    fixed = _FIXED.pack(VERSION, kind | (_TOGETHER if layer.together else 0), rhythm_s, rows, len(packed), len(head))
    return fixed + _LENGTH.pack(_check(fixed, rest)) + rest


def _check(fixed: bytes, rest: bytes | memoryview) -> int:
    return crc32(rest, crc32(fixed))
