"""The pure codec: what it accepts, what it refuses, and its bounded memory use on junk."""

import contextlib
import tracemalloc
import zlib
from typing import NamedTuple

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.wire import codec
from spider.wire.codec import HUB_CODEC, INT_MAX, INT_MIN, NODE_CODEC
from spider.wire.errors import LocalProtocolError, ProtocolError
from spider.wire.frames import CLOSE_TOO_BIG, MAX_FRAME_BYTES, MAX_ITEMS, Heartbeat, Message, Welcome
from spider.wire.report_messages import LogAck
from spider.wire.sample_messages import CODING_PLAIN, CODING_ZLIB, Ack, Layout, Row, Watch
from tests.support import message_strategies
from tests.support.wire import unpack_rows


@given(message_strategies.to_hub)
def test_messages_of_a_node_decode_unchanged(message: Message) -> None:
    assert HUB_CODEC.decode(NODE_CODEC.encode(message)) == message


@given(message_strategies.to_node)
def test_messages_of_the_hub_decode_unchanged(message: Message) -> None:
    decoded = NODE_CODEC.decode(HUB_CODEC.encode(message))
    assert decoded == message
    assert type(decoded) is type(message)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_raise_only_protocolerror(data: bytes) -> None:
    for decode in (NODE_CODEC.decode, HUB_CODEC.decode):
        with contextlib.suppress(ProtocolError):
            decode(data)


def node_reads(kind: int, *body: object) -> Message | None:
    return NODE_CODEC.decode(msgpack.packb([kind, body]))


def test_an_unknown_kind_is_skipped_without_decoding_its_body() -> None:
    assert node_reads(99, {"anything": [1.5]}) is None
    assert NODE_CODEC.decode(b"\x92\x63\xc1 is not MessagePack") is None
    assert NODE_CODEC.decode(b"\x92\xcc\x80\x90") is None
    assert NODE_CODEC.decode(b"\x92\xcd\x01\x00\x90") is None


@pytest.mark.parametrize(
    "data",
    [b"", b"\x92", b"\x92\x07", b"\x91\x07", b"\x93\x07\x90\x90", b"\x92\xff\x90", b"\x92\xcc\x07\x90", b"\x92\xcd\x00\x07\x90", b"\xc0"],
)
def test_a_malformed_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        NODE_CODEC.decode(data)


@pytest.mark.parametrize(
    "body",
    [
        [True, 1],
        [0, 1.0],
        [0, "1"],
        [0, None],
        [0],
        [0, 1, 2],
        [0, INT_MAX + 1],
        [0, [1]],
    ],
)
def test_an_acknowledgement_with_a_wrong_field_is_refused(body: list[object]) -> None:
    with pytest.raises(ProtocolError):
        node_reads(7, *body)


def test_integers_reach_to_both_ends_of_64_bits() -> None:
    assert node_reads(7, INT_MIN, INT_MAX) == Ack(INT_MIN, INT_MAX)


def test_a_text_must_be_utf8() -> None:
    with pytest.raises(ProtocolError):
        NODE_CODEC.decode(b"\x92\x08\x93\x91\xa1\xff\x01\x01")


def test_missing_trailing_fields_take_their_defaults() -> None:
    shape = codec.Shape(_Newer)
    assert shape.build([1]) == _Newer(1, "new")
    assert shape.build([1, "x"]) == _Newer(1, "x")
    for wrong in ([], [1, "x", 2], [1, 2], None, {"a": 1}):
        with pytest.raises(ProtocolError):
            shape.build(wrong)


class _Newer(NamedTuple):
    a: int
    b: str = "new"


def test_lists_end_at_the_item_limit() -> None:
    watch = Watch(["a"] * MAX_ITEMS, 1, 15)
    assert NODE_CODEC.decode(HUB_CODEC.encode(watch)) == watch
    with pytest.raises(ProtocolError):
        NODE_CODEC.decode(HUB_CODEC.encode(watch._replace(families=["a"] * (MAX_ITEMS + 1))))


def test_a_frame_ends_at_the_size_limit() -> None:
    with pytest.raises(ProtocolError) as caught:
        NODE_CODEC.decode(b"\x92\x63" + bytes(MAX_FRAME_BYTES))
    assert caught.value.close_code == CLOSE_TOO_BIG


def test_messages_go_in_their_own_direction_only() -> None:
    with pytest.raises(LocalProtocolError):
        NODE_CODEC.encode(Welcome(1, 1, 10, -1, -1, [], [], []))
    with pytest.raises(LocalProtocolError):
        HUB_CODEC.encode(Layout(b"12345678", "pulse", 1, []))
    assert NODE_CODEC.decode(HUB_CODEC.encode(Heartbeat(1))) == Heartbeat(1)


def test_an_unencodable_message_is_refused_by_name() -> None:
    for wrong in (LogAck("\udcff"), Heartbeat(1 << 64)):
        with pytest.raises(LocalProtocolError, match=type(wrong).__name__):
            HUB_CODEC.encode(wrong)


@pytest.mark.parametrize(
    "junk",
    [
        b"\x90" * (1 << 20),
        b"\x91" * (1 << 20),
        b"\xdc\x10\x00" + b"\x90" * 4096,
        b"\x92\x07" + b"\x91" * (MAX_FRAME_BYTES - 2),
        b"\x92\x07\xdc\x10\x00" + (b"\xdc\x10\x00" + b"\x90" * 4096) * 60,
        b"\x92\x07\xdd\xff\xff\xff\xff",
        b"\x92\x07\x92\xdb\xff\xff\xff\xff",
        b"\x92\x07\xdc\x0f\x00" + b"\x81\x01" * 4000,
    ],
)
def test_hostile_bytes_cost_little_memory(junk: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            NODE_CODEC.decode(junk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MAX_FRAME_BYTES


@given(message_strategies.rows)
def test_rows_of_a_pack_decode_unchanged(rows: list[Row]) -> None:
    coding, body = codec.pack_rows(rows)
    assert unpack_rows(coding, body) == rows


def test_a_pack_of_ten_rows_is_compressed() -> None:
    rows = [Row(1_700_000_000_000 + i * 1000, [i, None, 4096 * i] * 20) for i in range(10)]
    coding, body = codec.pack_rows(rows)
    assert coding == CODING_ZLIB
    assert len(body) < len(codec.inflate(coding, body)) / 2
    assert codec.pack_rows(rows[:1])[0] == CODING_PLAIN


def test_a_pack_inflates_to_one_frame_at_most() -> None:
    most = zlib.compress(bytes(MAX_FRAME_BYTES))
    assert len(codec.inflate(CODING_ZLIB, most)) == MAX_FRAME_BYTES
    bomb = zlib.compress(bytes(64 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError) as caught:
            codec.inflate(CODING_ZLIB, bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.close_code == CLOSE_TOO_BIG
    assert peak < 4 * MAX_FRAME_BYTES


def test_damaged_packs_are_refused() -> None:
    coding, body = codec.pack_rows([Row(i, [i] * 50) for i in range(20)])
    assert coding == CODING_ZLIB
    for wrong in (body[:-1], body[:-5], body + b"x", b"", b"x" + body, body[:20] + b"\x00" + body[21:]):
        with pytest.raises(ProtocolError):
            unpack_rows(coding, wrong)
    with pytest.raises(ProtocolError):
        unpack_rows(2, body)
    wrong_lists: list[object] = [[1], ["a"], [b""], [b"\x92\x01"], [[1, []]], {}, [b"\x93\x01\x90\x01"]]
    for plain in wrong_lists:
        with pytest.raises(ProtocolError):
            unpack_rows(CODING_PLAIN, msgpack.packb(plain))


def test_a_row_that_the_hub_would_refuse_is_never_packed() -> None:
    for values in ([INT_MAX + 1], [None, INT_MIN - 1], [1] * (MAX_ITEMS + 1), [float("nan")]):
        with pytest.raises(LocalProtocolError):
            codec.pack_row(Row(1, values))  # type: ignore[arg-type]  # what a broken collector might give
    assert codec.pack_row(Row(1, []))
