"""The hub's codec of the agent protocol: msgspec decodes and validates the classes of `spider/wire/`.

It accepts and refuses the same messages as the pure Python codec, at a tenth of its cost. `tests/fuzz/test_wire.py` compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final, cast, get_args, get_origin

import msgspec

from spider.wire.codec import INT_MAX, Codec, inflate, split
from spider.wire.errors import LocalProtocolError, ProtocolError
from spider.wire.frames import CLOSE_TOO_BIG, KINDS_TO_HUB, KINDS_TO_NODE, MAX_FRAME_BYTES, MAX_ITEMS, Message
from spider.wire.sample_messages import Row

_UINT64: Final = b"\xcf"
"""The only MessagePack type byte whose integers can exceed signed 64 bits."""

_TIMED: Final = b"\x92" + _UINT64
"""The first bytes of nearly every row: an array of two fields, the first a time."""
_TIME_BYTES: Final = len(_TIMED) + 8
"""Length of that prefix. Its type byte is skipped, since it would trigger the check of all values."""

_encoder: Final = msgspec.msgpack.Encoder()
_kind_of: Final = {cls: kind for kind, cls in KINDS_TO_NODE.items()}
"""Class of a message -> its number on the wire."""


def _is_list(annotation: object) -> bool:
    return get_origin(annotation) is list


def _holds_numbers(annotation: object) -> bool:
    return annotation is int or int in get_args(annotation) or any(map(_holds_numbers, get_args(annotation)))


def _is_row_of_numbers(annotation: object) -> bool:
    """`List[int]` or `List[Optional[int]]`."""
    return _is_list(annotation) and all(item is int or set(get_args(item)) == {int, type(None)} for item in get_args(annotation))


def _picker(indexes: list[int]) -> Callable[[Any], Sequence[int]]:
    """A function that returns these fields of a message."""
    if len(indexes) > 1:
        return itemgetter(*indexes)
    return itemgetter(slice(indexes[0], indexes[0] + 1) if indexes else slice(0))


class _Reader:
    """Decodes one class, then checks the rules that its types do not express."""

    def __init__(self, cls: type[tuple[object, ...]]) -> None:
        fields = list(cls.__annotations__.values())
        self._name = cls.__name__
        self._decode: Callable[[memoryview | bytes], Any] = msgspec.msgpack.Decoder(cls).decode
        self._lists = [index for index, field in enumerate(fields) if _is_list(field)]
        numbers = [index for index, field in enumerate(fields) if field is int]
        self._numbers = _picker(numbers)
        self._rows_of_numbers = [index for index, field in enumerate(fields) if _is_row_of_numbers(field)]
        known = (*numbers, *self._rows_of_numbers)
        self._mixed = [index for index, field in enumerate(fields) if index not in known and _holds_numbers(field)]

    def read(self, body: memoryview | bytes, whole: bytes) -> Any:
        """Decode `body`, a part of `whole`. Raises: ProtocolError."""
        try:
            message = self._decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise ProtocolError(f"not a {self._name}") from error
        for index in self._lists:
            if len(message[index]) > MAX_ITEMS:
                raise ProtocolError(f"a list of {self._name} is too long")
        if _UINT64 in whole and self._greatest(message) > INT_MAX:
            raise ProtocolError(f"a number of {self._name} is too big")
        return message

    def _greatest(self, message: Any) -> int:
        """The greatest number in a message. Speed matters: by chance or in their rows, most frames contain the byte that triggers this."""
        greatest = max(self._numbers(message), default=0)
        for index in self._rows_of_numbers:
            greatest = max(greatest, max(filter(None, message[index]), default=0))
        for index in self._mixed:
            value = message[index]
            found = [item for item in (value if type(value) is list else (value,)) if type(item) is int]
            greatest = max((greatest, *found))
        return greatest


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
    return None if reader is None else cast("Message", reader.read(body, payload))


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
    rows = []
    for one in packed:
        row: Row = _row.read(one, one[_TIME_BYTES:] if one.startswith(_TIMED) else one)
        if row.taken_at_ms > INT_MAX:
            raise ProtocolError("a number of Row is too big")
        rows.append(row)
    return rows


CODEC: Final = Codec(encode, decode)
"""The codec that `HubOpening` uses."""
