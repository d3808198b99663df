"""WebSocket frames: any cut of the stream, junk, masks and close reasons."""

from __future__ import annotations

import contextlib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.hub import websocket
from spider.hub.websocket import HandshakeRefused
from spider.wire import rfc6455
from spider.wire.frames import SUBPROTOCOL
from spider.wire.rfc6455 import OP_BINARY, OP_CLOSE, OP_CONTINUATION, OP_PING, FrameReader, Incoming, Violation, build_frame


def unmasked(opcode: int, data: bytes, final: bool = True) -> bytes:
    """A frame as a server sends it."""
    size = len(data)
    head = bytes([(0x80 if final else 0) | opcode])
    if size < 126:
        return head + bytes([size]) + data
    if size < 1 << 16:
        return head + b"\x7e" + size.to_bytes(2, "big") + data
    return head + b"\x7f" + size.to_bytes(8, "big") + data


def masked(opcode: int, data: bytes, final: bool = True) -> bytes:
    """A frame as a client sends it."""
    frame = build_frame(opcode, data)
    return frame if final else bytes([frame[0] & 0x7F]) + frame[1:]


def read_all(chunks: list[bytes], masked: bool = False) -> list[Incoming]:
    reader, found = FrameReader(masked=masked), []
    for chunk in chunks:
        reader.feed(chunk)
        while (incoming := reader.next()) is not None:
            found.append(incoming)
    return found


@given(st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=4), max_size=5), st.data())
def test_any_split_of_the_stream_gives_the_same_messages(messages: list[list[bytes]], data: st.DataObject) -> None:
    stream = b""
    expected: list[Incoming] = []
    of_a_client = data.draw(st.booleans())  # the hub reads those with the same reader
    frame = masked if of_a_client else unmasked
    for pieces in messages:
        for index, piece in enumerate(pieces):
            if data.draw(st.booleans()):
                stream += frame(OP_PING, b"p")
                expected.append(Incoming(OP_PING, b"p"))
            stream += frame(OP_CONTINUATION if index else OP_BINARY, piece, final=index == len(pieces) - 1)
        expected.append(Incoming(OP_BINARY, b"".join(pieces)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read_all(chunks, of_a_client) == expected
    if stream:
        with pytest.raises(Violation):
            read_all(chunks, not of_a_client)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_raise_only_protocol_errors(junk: bytes) -> None:
    for of_a_client in (False, True):
        with contextlib.suppress(Violation):
            read_all([junk], of_a_client)
    with contextlib.suppress(Violation):
        rfc6455.read_close(junk)
    with contextlib.suppress(HandshakeRefused):
        websocket.check_response(junk, b"key", SUBPROTOCOL)


def test_endless_empty_fragments_take_no_memory() -> None:
    reader = FrameReader()
    reader.feed(unmasked(OP_BINARY, b"a", final=False) + unmasked(OP_CONTINUATION, b"", final=False) * 100_000)
    assert reader.next() is None
    assert len(reader._parts) <= 2
    reader.feed(unmasked(OP_CONTINUATION, b"b"))
    assert reader.next() == Incoming(OP_BINARY, b"ab")


@pytest.mark.holds("F-20")
def test_many_short_fragments_take_little_memory() -> None:
    reader = FrameReader()
    reader.feed(unmasked(OP_BINARY, b"ab", final=False))
    assert reader.next() is None
    tracemalloc.start()
    try:
        for _ in range(20_000):
            reader.feed(unmasked(OP_CONTINUATION, b"ab", final=False))
            assert reader.next() is None
        held, _most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 4 * 40_000
    reader.feed(unmasked(OP_CONTINUATION, b""))
    assert reader.next() == Incoming(OP_BINARY, b"ab" * 20_001)


@given(st.binary(max_size=5000), st.binary(min_size=4, max_size=4))
def test_masking_is_undone_by_masking(data: bytes, key: bytes) -> None:
    masked = rfc6455.mask(data, key)
    assert masked == bytes(byte ^ key[index % 4] for index, byte in enumerate(data))
    assert rfc6455.mask(masked, key) == data


def test_close_reasons_are_cut_between_characters() -> None:
    payload = rfc6455.close_payload(4400, "é" * 100)
    assert len(payload) <= 125
    assert rfc6455.read_close(payload) == (4400, "é" * 61)
    assert read_all([unmasked(OP_CLOSE, payload)]) == [Incoming(OP_CLOSE, payload)]
