"""The encoding of the rows in a pack, as `spider.wire.sample_messages.Pack` defines it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from groundcontrol.samples.backfill import LatePack
from groundcontrol.samples.model import StoredPack, StoredRow
from spider.wire.frames import MAX_FRAME_BYTES
from spider.wire.sample_messages import CODING_PLAIN, CODING_ZLIB

P = TypeVar("P", StoredPack, LatePack)

_decode_pack: Final = msgspec.msgpack.Decoder(list[bytes]).decode
_decode_row: Final = msgspec.msgpack.Decoder(StoredRow).decode
_encode: Final = msgspec.msgpack.Encoder().encode


def unpack(coding: int, body: bytes) -> list[StoredRow]:
    """Decode the rows of a pack.

    Raises: ValueError: the body does not match its coding, or inflates to more than `MAX_FRAME_BYTES`.
    """
    if coding == CODING_ZLIB:
        inflater = zlib.decompressobj()
        try:
            body = inflater.decompress(body, MAX_FRAME_BYTES)
        except zlib.error as exc:
            raise ValueError("the pack does not inflate") from exc
        if not inflater.eof:
            raise ValueError("the pack is cut off or too large")
    elif coding != CODING_PLAIN:
        raise ValueError(f"unknown coding {coding}")
    try:
        return [_decode_row(row) for row in _decode_pack(body)]
    except msgspec.MsgspecError as exc:
        raise ValueError("the pack does not hold rows") from exc


def split(pack: P, span_ms: int) -> Iterator[P]:
    """Split a pack at the ends of spans. Only a pack that crosses such an end is unpacked, which is rare.

    Raises: ValueError: as for `unpack`.
    """
    if pack.first_ms // span_ms == pack.last_ms // span_ms:
        yield pack
        return
    spans: dict[int, list[StoredRow]] = {}
    for row in unpack(pack.coding, pack.body):
        spans.setdefault(row.taken_at_ms // span_ms, []).append(row)
    for rows in spans.values():
        times = [row.taken_at_ms for row in rows]
        body = zlib.compress(_encode([_encode(row) for row in rows]), 6)
        yield pack._replace(first_ms=min(times), last_ms=max(times), coding=CODING_ZLIB, body=body)
