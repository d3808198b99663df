"""Fuzzing of the wire: both codecs agree on every byte, and a broken stream raises only ProtocolError."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.agents import codec as hub_codec
from spider.wire import codec, ids, proof
from spider.wire.errors import ProtocolError
from spider.wire.frames import GROWN, KINDS_TO_HUB, Message, Welcome
from spider.wire.sample_messages import CODING_PLAIN, CODING_ZLIB, Row
from spider.wire.session import HubOpening, NodeOpening, SecureChannel
from tests.support import message_strategies
from tests.support.wire import unpack_rows

REFUSED = object()
FRAMES = 20_000


def outcome(read: Callable[[], Any]) -> Any:
    """What reading gives; only ProtocolError may be raised."""
    try:
        return read()
    except ProtocolError:
        return REFUSED


def both_read(payload: bytes) -> Any:
    pure = outcome(lambda: codec.HUB_CODEC.decode(payload))
    fast = outcome(lambda: hub_codec.decode(payload))
    assert pure == fast, payload.hex()
    assert type(pure) is type(fast)
    return pure


@given(message_strategies.to_hub)
def test_both_codecs_decode_every_message_equally(message: Message) -> None:
    assert both_read(codec.NODE_CODEC.encode(message)) == message


@given(message_strategies.to_node)
def test_messages_of_both_codecs_decode_equally_on_the_node(message: Message) -> None:
    assert codec.NODE_CODEC.decode(hub_codec.encode(message)) == codec.NODE_CODEC.decode(codec.HUB_CODEC.encode(message)) == message


@pytest.mark.holds("SAFETY-87", "F-20")
@given(st.binary(max_size=200))
def test_both_codecs_refuse_arbitrary_bytes_equally(data: bytes) -> None:
    both_read(data)
    for kind in KINDS_TO_HUB:
        both_read(bytes([0x92, kind]) + data)


def test_both_codecs_agree_on_twenty_thousand_mutated_frames() -> None:
    dice = random.Random(20261120)
    right = message_strategies.examples(KINDS_TO_HUB)
    taken = refused = skipped = 0
    for _ in range(FRAMES):
        seen = both_read(message_strategies.near_payload(dice, KINDS_TO_HUB, right))
        taken += seen is not REFUSED and seen is not None
        refused += seen is REFUSED
        skipped += seen is None
    assert min(taken, refused, skipped) > FRAMES / 20


@pytest.mark.parametrize(
    "body",
    [
        [codec.INT_MAX, codec.INT_MIN, 0],
        [codec.INT_MAX + 1, 0, 0],
        [0, 0, (1 << 64) - 1],
        [0, 0, True],
        [0, 0, 0.0],
        [0, 0],
        [0, 0, 0, 0],
        ["0", 0, 0],
    ],
)
def test_both_codecs_agree_at_the_edges_of_numbers(body: list[object]) -> None:
    both_read(msgpack.packb([13, body]))


@pytest.mark.parametrize("items", [4095, 4096, 4097, 60_000])
def test_both_codecs_agree_on_the_list_limit(items: int) -> None:
    seen = both_read(msgpack.packb([10, [b"12345678", "pulse", 1, [""] * items]]))
    assert (seen is REFUSED) == (items > 4096)


@pytest.mark.parametrize("depth", [10, 300, 1000, 100_000])
def test_both_codecs_refuse_deep_nesting(depth: int) -> None:
    for prefix in (b"\x92\x0a", b"\x92\x0a\x94\xc4\x00\xa0\x01", b"\x92\x0d"):
        assert both_read(prefix + b"\x91" * depth + b"\xc0") is REFUSED


def rows_alike(coding: int, body: bytes) -> Any:
    pure = outcome(lambda: unpack_rows(coding, body))
    fast = outcome(lambda: hub_codec.decode_rows(coding, body))
    assert pure == fast, body.hex()
    return pure


@given(message_strategies.rows)
def test_both_codecs_unpack_packs_equally(rows: list[Row]) -> None:
    assert rows_alike(*codec.pack_rows(rows)) == rows


@given(st.binary(max_size=300), st.sampled_from([CODING_PLAIN, CODING_ZLIB, 2, -1]))
def test_both_codecs_refuse_arbitrary_packs_equally(body: bytes, coding: int) -> None:
    rows_alike(coding, body)


def test_both_codecs_agree_on_mutated_packs() -> None:
    dice = random.Random(7)
    kept = codec.pack(Row(1, [1, None, -5, 300, 1 << 40]))
    for _ in range(5_000):
        row = bytearray(
            kept if dice.random() < 0.5 else msgpack.packb([message_strategies.odd_value(dice), message_strategies.odd_value(dice)])
        )
        for _ in range(dice.randrange(3)):
            row[dice.randrange(len(row))] = dice.randrange(256)
        rows_alike(CODING_PLAIN, msgpack.packb([kept, bytes(row)]))
    for value in (codec.INT_MAX, codec.INT_MAX + 1, codec.INT_MIN):
        for taken_at_ms, number in ((1, value), (1 << 40, value), (abs(value), 0)):
            seen = rows_alike(CODING_PLAIN, msgpack.packb([msgpack.packb([taken_at_ms, [None, number]])]))
            assert (seen is REFUSED) == (max(taken_at_ms, number) > codec.INT_MAX)


KEY = b"k" * 32
NODE, FLEET = ids.new_random_id(), ids.new_random_id()


def opened() -> tuple[SecureChannel, SecureChannel]:
    node = NodeOpening(NODE, 1, KEY, "ab" * 16, "hub", "1", [], [], os.urandom(32))
    hub = HubOpening(node.hello(), os.urandom(32), 1, FLEET, hub_codec.CODEC, features=list(GROWN))
    auth, node_link = node.challenge(hub.challenge(KEY))
    hub_link = hub.auth(auth)
    node_link.receive(hub_link.send(Welcome(1, 1, 10, -1, -1, [], [], [])), 0.0)
    return node_link, hub_link


class Tamper:
    """What the network may do to a list of frames."""

    def drop(self, frames: list[bytes], at: int, _bit: int) -> None:
        del frames[at]

    def alter(self, frames: list[bytes], at: int, bit: int) -> None:
        changed = bytearray(frames[at])
        changed[bit // 8 % len(changed)] ^= 1 << bit % 8
        frames[at] = bytes(changed)

    def replay(self, frames: list[bytes], at: int, bit: int) -> None:
        frames.insert(at + 1 + bit % (len(frames) - at), frames[at])

    def reorder(self, frames: list[bytes], at: int, bit: int) -> None:
        other = bit % len(frames)
        frames[at], frames[other] = frames[other], frames[at]

    def cut(self, frames: list[bytes], at: int, bit: int) -> None:
        frames[at] = frames[at][: bit % len(frames[at])]

    def join(self, frames: list[bytes], at: int, _bit: int) -> None:
        frames[at : at + 2] = [b"".join(frames[at : at + 2])]


@pytest.mark.holds("SAFETY-43", "S-41", "F-21")
@given(
    st.lists(message_strategies.to_hub, min_size=1, max_size=6),
    st.sampled_from(["drop", "alter", "replay", "reorder", "cut", "join"]),
    st.integers(0, 5),
    st.integers(0, 4000),
)
def test_an_altered_stream_gives_its_valid_beginning_and_a_protocolerror(messages: list[Message], act: str, at: int, bit: int) -> None:
    node, hub = opened()
    sent = [node.send(message) for message in messages]
    arrived = list(sent)
    getattr(Tamper(), act)(arrived, at % len(arrived), bit)
    same = next((index for index, frame in enumerate(arrived) if index >= len(sent) or frame != sent[index]), len(arrived))
    for index in range(same):
        seen = hub.receive(arrived[index], 1.0)
        assert seen == messages[index] or (seen is None and type(messages[index]).__name__ == "Heartbeat")
    for frame in arrived[same:]:
        with pytest.raises(ProtocolError):
            hub.receive(frame, 1.0)


@pytest.mark.holds("SAFETY-43")
@given(st.lists(message_strategies.to_node.filter(lambda message: not isinstance(message, Welcome)), min_size=1, max_size=4))
def test_reflected_frames_are_refused(messages: list[Message]) -> None:
    _node, hub = opened()
    with pytest.raises(ProtocolError):
        hub.receive(hub.send(messages[0]), 1.0)


@given(st.binary(max_size=300))
def test_an_arbitrary_handshake_message_raises_only_protocolerror(junk: bytes) -> None:
    node = NodeOpening(NODE, 1, KEY, "ab" * 16, "hub", "1", [], [], bytes(32))
    hub = HubOpening(node.hello(), bytes(32), 1, FLEET)
    hub.challenge(KEY)
    for read in (lambda: HubOpening(junk, bytes(32), 1, FLEET), lambda: node.challenge(junk), lambda: hub.auth(junk)):
        assert outcome(read) is REFUSED


@pytest.mark.holds("F-21")
def test_nearly_valid_handshakes_raise_only_protocolerror() -> None:
    dice = random.Random(11)
    node = NodeOpening(NODE, 1, KEY, "ab" * 16, "hub", "1", ["f"], [ids.new_time_id()], bytes(32))
    hello = node.hello()
    digest_of_right = proof.transcript(hello, b"")
    for _ in range(5_000):
        wrong = bytearray(hello)
        for _ in range(dice.randrange(1, 4)):
            wrong[dice.randrange(len(wrong))] = dice.randrange(256)
        opening = outcome(lambda data=bytes(wrong): HubOpening(data, bytes(32), 1, FLEET))  # type: ignore[misc]
        if opening is not REFUSED and bytes(wrong) != hello:
            with pytest.raises(ProtocolError):
                node.challenge(opening.challenge(KEY))
    assert digest_of_right == proof.transcript(hello, b"")
