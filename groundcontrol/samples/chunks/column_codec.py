"""The encoding of one column of integers. What all values have in common is stored once. The rest becomes byte planes: plane k holds byte k
of each number. Each plane is deflated by itself.

values = base + factor * u            (PLAIN)     u: unsigned integers, with as few planes as the greatest needs
values = first + running sum of that  (DELTA)     for values that drift rather than jump

High planes hardly change and low ones are noise, so each gets the coding that suits it. Each column can be read alone. Pure. All loops run
inside the standard library.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate
from math import gcd
from operator import sub
from typing import Final

PLAIN: Final = 0
DELTA: Final = 1
TEXT: Final = 2
"""Numbers beyond 64 bits, as decimal digits: absurd values can have such sums."""

_RAW: Final = 0
_FILLED: Final = 1
_DEFLATED: Final = 2
_INT_LOW, _INT_HIGH = -(1 << 63), (1 << 63) - 1
_LEVEL: Final = 6
_SHORT: Final = 4096
_WORTH: Final = 2
"""Differences are stored if values are this many times closer to their neighbours than to the mean."""
_LOOKS: Final = 200
"""About this many values are compared, to decide whether differences are stored."""
_LITTLE: Final = sys.byteorder == "little"

ColumnShape = list[int]
"""The shape of a column: mode, base, factor, first, then length << 2 | coding of each plane."""


def deflate(data: bytes, strategy: int = zlib.Z_DEFAULT_STRATEGY, level: int = _LEVEL) -> bytes:
    """Compress without header or checksum. Short data gets a small window: setting up a large one takes longer than filling it."""
    window, memory = (-12, 6) if len(data) <= _SHORT else (-15, 8)
    packer = zlib.compressobj(level, zlib.DEFLATED, window, memory, strategy)
    return packer.compress(data) + packer.flush()


def inflate(data: bytes | memoryview, length: int) -> bytes:
    """Decompress the output of `deflate`.

    Raises: ValueError: the data is damaged, or does not inflate to `length` bytes.
    """
    reader = zlib.decompressobj(-15)
    try:
        found = reader.decompress(data, length + 1)
    except zlib.error as exc:
        raise ValueError("a column does not inflate") from exc
    if len(found) != length or not reader.eof:
        raise ValueError("a column has a wrong length")
    return found


def encode(values: Sequence[int], *, bare: bool = False) -> tuple[ColumnShape, bytes]:
    """Encode a column: any integers, any number of them.

    Args:    bare: do not deflate, and store no differences: the caller deflates all columns together.
    Returns: the shape that `decode` needs, and the bytes.
    """
    if not values:
        return [PLAIN, 0, 1, 0], b""
    low, high = min(values), max(values)
    if low < _INT_LOW or high > _INT_HIGH:
        text = deflate(",".join(map(str, values)).encode())
        return [TEXT, len(",".join(map(str, values))), 1, 0, len(text) << 2 | _DEFLATED], text
    if low == high:
        return [PLAIN, low, 1, 0], b""
    if not bare and _drifts(values):
        steps = list(map(sub, values[1:], values))
        low, high = min(steps), max(steps)
        if low == high and _INT_LOW <= low <= _INT_HIGH:
            return [DELTA, low, 1, values[0]], b""
        if low >= _INT_LOW and high - low < 1 << 64:
            base, factor, planes, data = _planes(steps, low, high, bare)
            return [DELTA, base, factor, values[0], *planes], data
        low, high = min(values), max(values)
    base, factor, planes, data = _planes(values, low, high, bare)
    return [PLAIN, base, factor, 0, *planes], data


def _drifts(values: Sequence[int]) -> bool:
    """Whether values are much closer to their neighbours than to the mean, estimated from some of them."""
    stride = max(1, len(values) // _LOOKS)
    looked = values[:-1:stride]
    mean = sum(looked) // len(looked)
    near: int = sum(map(abs, map(sub, values[1::stride], looked)))
    far: int = sum([abs(value - mean) for value in looked])
    return near * _WORTH < far


def _planes(values: Sequence[int], low: int, high: int, bare: bool) -> tuple[int, int, list[int], bytes]:
    """Returns: base, factor, the planes' shapes and their bytes."""
    factor = gcd(*values)
    base = low if low < 0 or factor > 1 or _width(high) > _width(high - low) else 0
    if factor > 1:
        values = [(value - base) // factor for value in values]
    elif base:
        values = [value - base for value in values]
    width = _width((high - base) // factor)
    items = array("B" if width == 1 else "H" if width == 2 else "I" if width <= 4 else "Q", values)
    if not _LITTLE:
        items.byteswap()
    data = items.tobytes()
    shapes, parts = [], []
    for plane in range(width):
        coding, part = _plane(data[plane :: items.itemsize], bare)
        shapes.append(len(part) << 2 | coding)
        parts.append(part)
    return base, factor, shapes, b"".join(parts)


def _width(value: int) -> int:
    return max(1, (value.bit_length() + 7) // 8)


def _plane(data: bytes, bare: bool) -> tuple[int, bytes]:
    if data.count(data[:1]) == len(data):
        return _FILLED, data[:1]
    if bare:
        return _RAW, data
    best = deflate(data)
    if len(best) * 4 > len(data):  # without long repeats, matches cost more than they save
        best = min(best, deflate(data, zlib.Z_HUFFMAN_ONLY), key=len)
    return (_DEFLATED, best) if len(best) < len(data) else (_RAW, data)


def ends(shapes: Sequence[ColumnShape]) -> list[int]:
    """The positions at which the data of consecutive columns end; the first entry is 0."""
    found, at = [0], 0
    for shape in shapes:
        for plane in shape[4:]:
            at += plane >> 2
        found.append(at)
    return found


def decode(shape: Sequence[int], data: memoryview, count: int, start: int = 0, end: int | None = None) -> Sequence[int]:
    """Decode a column of `count` values: those from `start` to before `end`, or all.

    Raises: ValueError: the data is not a column of that length.
    """
    end = count if end is None else end
    if len(shape) < 4 or len(shape) > 12:
        raise ValueError("a column of an impossible shape")
    mode, base, factor, first = shape[:4]
    planes = shape[4:]
    if mode == TEXT and len(planes) == 1:
        found = [int(word) for word in inflate(data[: planes[0] >> 2], base).split(b",")]
        if len(found) != count:
            raise ValueError("a column has a wrong number of values")
        return found[start:end]
    if mode == PLAIN:
        return _values(planes, data, count, base, factor, start, end) if planes else [base] * (end - start)
    if mode != DELTA or not count:
        raise ValueError("a column of an unknown mode")
    if not planes:
        return range(first, first + base * count, base)[start:end] if base else [first] * (end - start)
    return list(accumulate(_values(planes, data, count - 1, base, factor, 0, end - 1), initial=first))[start:] if end else []


def _values(planes: Sequence[int], data: memoryview, count: int, base: int, factor: int, start: int, end: int) -> Sequence[int]:
    width = len(planes)
    kind = "B" if width == 1 else "H" if width == 2 else "I" if width <= 4 else "Q"
    items = array(kind)
    item = items.itemsize
    whole = bytearray(count * item)
    at = 0
    for plane, shape in enumerate(planes):
        length, coding = shape >> 2, shape & 3
        part = data[at : at + length]
        at += length
        if coding == _FILLED and length == 1:
            whole[plane::item] = bytes(part) * count
        elif coding == _DEFLATED:
            whole[plane::item] = inflate(part, count)
        elif coding == _RAW and length == count:
            whole[plane::item] = part
        else:
            raise ValueError("a plane of an unknown coding")
    items.frombytes(whole)
    if not _LITTLE:
        items.byteswap()
    if end - start < count:
        items = items[start:end]
    if factor != 1:
        return [base + factor * value for value in items]
    return [base + value for value in items] if base else items.tolist()
