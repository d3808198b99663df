"""Encodes and decodes messages in pure Python, with strict limits. Invalid bytes raise `ProtocolError` and nothing else.

A payload is MessagePack `[kind, body]`. The body of an unknown kind is never parsed, so that a newer peer may send more kinds. Node and hub
(`groundcontrol/agents/codec.py`) accept and refuse the same bytes.
"""

import zlib
from typing import Any, Callable, Collection, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type, Union, cast

from msgpack.exceptions import UnpackException
from msgpack.fallback import Packer, unpackb

from spider.wire.errors import LocalProtocolError, ProtocolError
from spider.wire.frames import CLOSE_TOO_BIG, GROWN, KINDS_TO_HUB, KINDS_TO_NODE, MAX_FRAME_BYTES, MAX_ITEMS, Message
from spider.wire.sample_messages import CODING_PLAIN, CODING_ZLIB, Row

INT_MIN = -(1 << 63)
INT_MAX = (1 << 63) - 1

_MAX_LISTS = 16
"""More lists than any message has. It bounds the memory for a body that consists of empty lists."""
_COMPRESS_FROM = 400
"""Below this size deflate costs more than it saves."""

Kinds = Dict[int, Type[Tuple[object, ...]]]
Check = Callable[[Any], bool]
"""Whether a value has the type of a field."""


class Codec(NamedTuple):
    """Encodes the messages of one end and decodes those of its peer."""

    encode: Callable[[Message], bytes]
    """Raises LocalProtocolError: a message of the other direction, a text that is not UTF-8, or a number beyond 64 bits."""
    decode: Callable[[bytes], Optional[Message]]
    """None: a kind that this end does not know. Raises ProtocolError."""


# -- field types -----------------------------------------------------------------------------------


def _is_int(value: Any) -> bool:
    return type(value) is int and INT_MIN <= value <= INT_MAX


def _is_str(value: Any) -> bool:
    return type(value) is str


def _is_bytes(value: Any) -> bool:
    return type(value) is bytes


def _is_optional_int(value: Any) -> bool:
    return value is None or _is_int(value)


def _is_cell(value: Any) -> bool:
    return value is None or type(value) is str or _is_int(value)


def _list_of(check: Check) -> Check:
    def is_list(value: Any) -> bool:
        return type(value) is list and len(value) <= MAX_ITEMS and all(map(check, value))

    return is_list


_CHECKS: Dict[Any, Check] = {
    int: _is_int,
    str: _is_str,
    bytes: _is_bytes,
    Optional[int]: _is_optional_int,
    List[int]: _list_of(_is_int),
    List[str]: _list_of(_is_str),
    List[bytes]: _list_of(_is_bytes),
    List[Optional[int]]: _list_of(_is_optional_int),
    List[Optional[Union[str, int]]]: _list_of(_is_cell),
}


class Shape:
    """Checks the fields of one NamedTuple; built once from its annotations."""

    def __init__(self, cls: Type[Tuple[object, ...]]) -> None:
        fields: Tuple[str, ...] = cls._fields  # type: ignore[attr-defined]  # every class here is a NamedTuple
        defaults: Dict[str, object] = cls._field_defaults  # type: ignore[attr-defined]
        self.cls = cls
        self.checks: List[Check] = [_CHECKS[cls.__annotations__[field]] for field in fields]
        self.least = len(fields) - len(defaults)

    def build(self, values: Any) -> Any:
        """Make the tuple. Missing trailing fields get their defaults; an extra field is refused.

        Raises: ProtocolError.
        """
        if type(values) is not list or not self.least <= len(values) <= len(self.checks):
            raise ProtocolError(f"not a {self.cls.__name__}")
        for check, value in zip(self.checks, values):
            if not check(value):
                raise ProtocolError(f"a field of {self.cls.__name__} is wrong")
        return self.cls(*values)


# -- MessagePack -----------------------------------------------------------------------------------


def pack(value: object) -> bytes:
    """Encode a value of lists, tuples, ints, texts, bytes and None as MessagePack."""
    return cast("bytes", Packer(use_bin_type=True, autoreset=True).pack(value))


def unpack(data: bytes) -> Any:
    """Decode one flat MessagePack value: no maps, no extension types, bounded lists.

    Raises: ProtocolError: not exactly one such value.
    """
    seen = 0

    def count(items: List[object]) -> List[object]:
        nonlocal seen
        seen += 1
        if seen > _MAX_LISTS:
            raise ProtocolError("too many lists")
        return items

    try:
        return unpackb(
            data, raw=False, use_list=True, strict_map_key=True, list_hook=count, max_array_len=MAX_ITEMS, max_map_len=0, max_ext_len=0
        )
    except (ValueError, UnpackException) as error:
        raise ProtocolError("not MessagePack of the agreed form") from error


def split(payload: bytes) -> Tuple[int, memoryview]:
    """Split `[kind, body]` without parsing the body.

    The kind is an unsigned integer below 65536 in its shortest form.
    Raises: ProtocolError.
    """
    view = memoryview(payload)
    if len(view) > 2 and view[0] == 0x92:
        first = view[1]
        if first < 0x80:
            return first, view[2:]
        if first == 0xCC and len(view) > 3 and view[2] >= 0x80:
            return view[2], view[3:]
        if first == 0xCD and len(view) > 4 and view[2]:
            return view[2] << 8 | view[3], view[4:]
    raise ProtocolError("not [kind, body]")


def decoder(kinds: Kinds) -> Callable[[bytes], Optional[Message]]:
    """Make `Codec.decode` for these kinds."""
    shapes = {kind: Shape(cls) for kind, cls in kinds.items()}

    def decode(payload: bytes) -> Optional[Message]:
        if len(payload) > MAX_FRAME_BYTES:
            raise ProtocolError("frame too big", CLOSE_TOO_BIG)
        kind, body = split(payload)
        shape = shapes.get(kind)
        return None if shape is None else cast("Message", shape.build(unpack(bytes(body))))

    return decode


def encoder(kinds: Kinds, fields: Optional[Mapping[Type[Tuple[object, ...]], int]] = None) -> Callable[[Message], bytes]:
    """Make `Codec.encode` for these kinds. Args: fields: messages of which the peer takes only so many fields; None: it takes all."""
    by_type = {cls: kind for kind, cls in kinds.items()}
    cut = fields or {}

    def encode(message: Message) -> bytes:
        kind = by_type.get(type(message))
        if kind is None:
            raise LocalProtocolError(f"{type(message).__name__} is not sent in this direction")
        try:
            return pack((kind, message[: cut[type(message)]] if type(message) in cut else message))
        except (ValueError, OverflowError) as error:
            raise LocalProtocolError(f"{type(message).__name__} cannot be sent: {error}") from error

    return encode


NODE_CODEC = Codec(encoder(KINDS_TO_HUB), decoder(KINDS_TO_NODE))
"""The node's codec: encodes messages to the hub and decodes messages from the hub."""


def node_codec(features: Collection[str]) -> Codec:
    """The node's codec for a hub with these features. Fields that such a hub would refuse are left out."""
    cut: Dict[Type[Tuple[object, ...]], int] = {}
    for feature, fields in GROWN.items():
        if feature not in features:
            cut.update({cls: min(most, cut.get(cls, most)) for cls, most in fields.items()})
    return NODE_CODEC._replace(encode=encoder(KINDS_TO_HUB, cut)) if cut else NODE_CODEC


HUB_CODEC = Codec(encoder(KINDS_TO_NODE), decoder(KINDS_TO_HUB))
"""The other direction of `NODE_CODEC`, in pure Python (the hub's own codec is faster)."""


# -- packs -----------------------------------------------------------------------------------------


def pack_row(row: Row) -> bytes:
    """Encode one row for the body of a `Pack`.

    Raises: LocalProtocolError: a value that does not fit 64 bits, or too many of them.
    """
    numbers = [value for value in row.values if value is not None]
    if len(row.values) > MAX_ITEMS or (numbers and not (min(numbers) >= INT_MIN and max(numbers) <= INT_MAX)):
        raise LocalProtocolError("a row that cannot be sent")
    return pack(row)


def join_rows(rows: Sequence[bytes]) -> Tuple[int, bytes]:
    """Make the body of a `Pack` from rows of `pack_row`.

    Returns: coding and body. The body is compressed if that makes it smaller.
    Raises:  LocalProtocolError: the rows do not fit into one pack.
    """
    body = pack(rows)
    if len(rows) > MAX_ITEMS or len(body) > MAX_FRAME_BYTES:
        raise LocalProtocolError("too many rows for one pack")
    if len(body) >= _COMPRESS_FROM:
        small = zlib.compress(body, 6)
        if len(small) < len(body):
            return CODING_ZLIB, small
    return CODING_PLAIN, body


def pack_rows(rows: Sequence[Row]) -> Tuple[int, bytes]:
    """Make `Pack.coding` and `Pack.body`.

    Raises: LocalProtocolError: the rows cannot be sent in one pack.
    """
    return join_rows([pack_row(row) for row in rows])


def inflate(coding: int, body: bytes) -> bytes:
    """Decompress the body of a `Pack`, up to MAX_FRAME_BYTES.

    Raises: ProtocolError: an unknown coding, damaged or truncated data, data after its end, or too much of it.
    """
    if coding == CODING_PLAIN:
        plain = body
    elif coding == CODING_ZLIB:
        stream = zlib.decompressobj()
        try:
            plain = stream.decompress(body, MAX_FRAME_BYTES + 1)
        except zlib.error as error:
            raise ProtocolError("a pack that does not inflate") from error
        if len(plain) <= MAX_FRAME_BYTES and (not stream.eof or stream.unused_data):
            raise ProtocolError("a pack that does not inflate")
    else:
        raise ProtocolError("a pack of unknown coding")
    if len(plain) > MAX_FRAME_BYTES:
        raise ProtocolError("a pack that is too big when inflated", CLOSE_TOO_BIG)
    return plain
