"""The rows inside a pack, as `spider.wire.frames.Pack` has them."""

from __future__ import annotations

import zlib
from typing import Final

import msgspec

from groundcontrol.domain.history import StoredRow
from spider.wire.frames import CODING_PLAIN, CODING_ZLIB, MAX_FRAME_BYTES

_decode_pack: Final = msgspec.msgpack.Decoder(list[bytes]).decode
_decode_row: Final = msgspec.msgpack.Decoder(StoredRow).decode


def unpack(coding: int, body: bytes) -> list[StoredRow]:
    """Read the rows of a pack.

    Raises: ValueError: the body is not what its coding says, or inflates to more than `MAX_FRAME_BYTES`.
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
