"""Messages that the product only sends or reads at one end, for tests at the other end."""

from __future__ import annotations

from typing import cast

from spider.wire.codec import Shape, inflate, unpack
from spider.wire.errors import ProtocolError
from spider.wire.orders import SignedOrder, order_body, parse_order
from spider.wire.sample_messages import Row

_ROW = Shape(Row)


def unpack_rows(coding: int, body: bytes) -> list[Row]:
    """Read a pack with the codec of the node, which itself only writes them.

    Raises: ProtocolError.
    """
    packed = unpack(inflate(coding, body))
    if not isinstance(packed, list) or not all(isinstance(row, bytes) for row in packed):
        raise ProtocolError("a pack that is no list of rows")
    return [cast("Row", _ROW.build(unpack(row))) for row in packed]


def open_order(launch_key: bytes, frame: bytes) -> SignedOrder:
    """Check length and MAC, then read the order, as the launcher does in two steps.

    Raises: OrderError: bad-magic, bad-length, bad-mac, bad-json, bad-fields.
    """
    return parse_order(order_body(launch_key, frame))
