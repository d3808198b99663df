"""The hub's codec of the agent protocol: msgspec decodes and validates the classes of `spider/wire/`.

It accepts and refuses the same messages as the pure Python codec, at a tenth of its cost. `tests/fuzz/test_wire.py` compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

import msgspec

from spider.wire.codec import INT_MAX, Codec, inflate, split
from spider.wire.errors import LocalProtocolError, ProtocolError
from spider.wire.frames import CLOSE_TOO_BIG, KINDS_TO_HUB, KINDS_TO_NODE, MAX_FRAME_BYTES, MAX_ITEMS, Message
from spider.wire.sample_messages import Row

_Number = Annotated[int, msgspec.Meta(le=INT_MAX)]
_SHORT: Final = msgspec.Meta(max_length=MAX_ITEMS)
_encoder: Final = msgspec.msgpack.Encoder()
_kind_of: Final = {cls: kind for kind, cls in KINDS_TO_NODE.items()}
"""Class of a message -> its number on the wire."""


def _bounded(annotation: Any) -> Any:
    """The type of a field, with the greatest number and the longest list that a message may have."""
    if annotation is int:
        return _Number
    inner = get_args(annotation)
    if not inner:
        return annotation
    if get_origin(annotation) is list:
        return Annotated[list[_bounded(inner[0])], _SHORT]  # type: ignore[misc]  # a type that is made here
    return Union[tuple(map(_bounded, inner))]  # noqa: UP007  # as above


def _decoder(cls: type[tuple[object, ...]]) -> Callable[[memoryview | bytes], Any]:
    """A function that decodes a class, with the bounds of its fields.

    msgspec reads them from the annotations. Those of the class are Spider's, whose Python 3.8 has no `Annotated`. So they are exchanged while
    the decoder is built: a subclass would decode to another type.
    """
    own = cls.__annotations__
    cls.__annotations__ = {name: _bounded(annotation) for name, annotation in own.items()}
    try:
        return msgspec.msgpack.Decoder(cls).decode
    finally:
        cls.__annotations__ = own


class _Reader:
    """Decodes one class."""

    def __init__(self, cls: type[tuple[object, ...]]) -> None:
        self._name = cls.__name__
        self._decode = _decoder(cls)

    def read(self, body: memoryview | bytes) -> Any:
        """Raises: ProtocolError."""
        try:
            return self._decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise ProtocolError(f"not a {self._name}, or a number or list in it is too big") from error


_readers: Final = {kind: _Reader(cls) for kind, cls in KINDS_TO_HUB.items()}
_row: Final = _Reader(Row)
_rows: Final = msgspec.msgpack.Decoder(list[bytes])


def decode(payload: bytes) -> Message | None:
    """Read one message of a node.

    Returns: None: a message type that this hub does not know; its body is not decoded.
    Raises:  ProtocolError.
    """
    if len(payload) > MAX_FRAME_BYTES:
        raise ProtocolError("frame too big", CLOSE_TOO_BIG)
    kind, body = split(payload)
    reader = _readers.get(kind)
    return None if reader is None else cast("Message", reader.read(body))


def encode(message: Message) -> bytes:
    """Write one message to a node.

    Raises: LocalProtocolError: not a message of this direction.
    """
    kind = _kind_of.get(type(message))
    if kind is None:
        raise LocalProtocolError(f"{type(message).__name__} is not sent in this direction")
    return _encoder.encode((kind, message))


def decode_rows(coding: int, body: bytes) -> list[Row]:
    """Read the rows of a `Pack`; it inflates to at most MAX_FRAME_BYTES.

    Raises: ProtocolError.
    """
    try:
        packed = _rows.decode(inflate(coding, body))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ProtocolError("a pack that is no list of rows") from error
    if len(packed) > MAX_ITEMS:
        raise ProtocolError("a pack of too many rows")
    return [_row.read(row) for row in packed]


CODEC: Final = Codec(encode, decode)
"""The codec that `HubOpening` uses."""
