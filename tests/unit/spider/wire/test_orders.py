"""Orders: nothing is parsed before the MAC is verified, and only the exact form is an order."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.wire import ids, orders
from spider.wire.orders import OrderError, SignedOrder
from spider.wire.proof import mac
from tests.support.wire import open_order

KEY = b"l" * 32
NODE = ids.new_random_id()
ORDER = SignedOrder(NODE, 1, ids.new_time_id(), "upgrade", {"packages": ["curl", "bash"], "reboot": False}, 1_000, 1_600)


def sealed(body: bytes, key: bytes = KEY) -> bytes:
    head = b"SDL1" + struct.pack(">I", len(body))
    return head + body + mac(key, b"stardust-launch-v1\0" + head + body)


def why(frame: bytes) -> str:
    with pytest.raises(OrderError) as caught:
        open_order(KEY, frame)
    return caught.value.why


def body_with(**changes: object) -> bytes:
    return json.dumps({**ORDER._asdict(), "v": 1, **changes}).encode()


def test_a_sealed_order_opens_unchanged() -> None:
    assert open_order(KEY, orders.seal_order(KEY, ORDER)) == ORDER


@given(st.data())
def test_no_changed_byte_is_accepted(data: st.DataObject) -> None:
    frame = bytearray(orders.seal_order(KEY, ORDER))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert why(bytes(frame)) in {"bad-magic", "bad-length", "bad-mac"}


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_ordererror(junk: bytes) -> None:
    assert why(junk) in {"bad-magic", "bad-length", "bad-mac"}
    assert why(sealed(junk)) in {"bad-length", "bad-json", "bad-fields"}


def test_another_key_is_refused_before_anything_is_parsed() -> None:
    assert why(orders.seal_order(b"x" * 32, ORDER)) == "bad-mac"
    assert why(sealed(b"{not json", key=b"x" * 32)) == "bad-mac"


@pytest.mark.parametrize("length", [0, 1, 16385, 0xFFFFFFFF])
def test_a_length_outside_its_bounds_is_refused(length: int) -> None:
    assert why(b"SDL1" + struct.pack(">I", length) + bytes(64)) == "bad-length"


def test_a_frame_that_goes_on_or_stops_early_is_refused() -> None:
    frame = orders.seal_order(KEY, ORDER)
    assert why(frame + b"x") == "bad-length"
    assert why(frame[:-1]) == "bad-length"
    assert why(b"") == "bad-magic"


@pytest.mark.parametrize("body", [b"{}x", b"[1", b"\xff\xff", b'{"a":NaN}', b"[" * 16000])
def test_malformed_json_is_refused(body: bytes) -> None:
    assert why(sealed(body)) == "bad-json"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"12",
        b"null",
        b"{}",
        body_with(v=True),
        body_with(v=2),
        body_with(gen=1.0),
        body_with(gen=True),
        body_with(iat="1"),
        body_with(exp=None),
        body_with(args=[]),
        body_with(node=1),
        body_with(extra=1),
        body_with().replace(b'"gen": 1', b'"gen": 1, "gen": 1'),
        json.dumps(ORDER._asdict()).encode(),
    ],
)
def test_other_fields_than_the_agreed_ones_are_refused(body: bytes) -> None:
    assert why(sealed(body)) == "bad-fields"


@pytest.mark.parametrize(
    ("changes", "now", "expected"),
    [
        ({}, 1_000, None),
        ({}, 940, None),
        ({}, 1_599.9, None),
        ({}, 1_600, "expired"),
        ({}, 939, "too-early"),
        ({"exp": 1_601}, 1_000, "too-long"),
        ({"node": ids.new_random_id()}, 1_000, "wrong-node"),
        ({"gen": 2}, 1_000, "wrong-generation"),
        ({"job": "../../../../etc/cron.daily"}, 1_000, "bad-job"),
    ],
)
def test_an_order_is_for_one_node_one_key_and_ten_minutes(changes: dict[str, Any], now: float, expected: str | None) -> None:
    order = ORDER._replace(**changes)
    if expected is None:
        orders.check_order(order, NODE, 1, now)
        return
    with pytest.raises(OrderError) as caught:
        orders.check_order(order, NODE, 1, now)
    assert caught.value.why == expected


def test_an_order_that_is_too_long_cannot_be_sealed() -> None:
    with pytest.raises(ValueError, match="long"):
        orders.seal_order(KEY, ORDER._replace(args={"packages": ["x" * 100] * 200}))
