"""The opening and the frames: two connected ends, and every attack by a third party."""

from __future__ import annotations

import os
from typing import NamedTuple

import msgpack
import pytest

from groundcontrol.agents import codec as hub_codec
from spider.wire import ids, proof
from spider.wire.errors import LocalProtocolError, NotProven, PeerSilent, ProtocolError
from spider.wire.frames import (
    CLOSE_SLOW,
    CLOSE_TOO_BIG,
    CLOSE_UNKNOWN,
    HEARTBEAT_S,
    MAX_FRAME_BYTES,
    SILENCE_LIMIT_S,
    Heartbeat,
    Message,
    Welcome,
)
from spider.wire.handshake import MAX_OPENING_BYTES
from spider.wire.job_messages import JobOutput
from spider.wire.report_messages import Updates
from spider.wire.sample_messages import Ack
from spider.wire.session import HubOpening, NodeOpening, SecureChannel
from tests.support.some import some

FLEET = ids.new_random_id()
NODE = ids.new_random_id()
KEY = proof.node_keys(b"f" * 32, NODE, 1).session
BOOT = "0123456789abcdef" * 2
WELCOME = Welcome(1, 2, 10, -1, -1, [], [], [])


def node_opening(key: bytes = KEY, host: str = "hub.example", known_jobs: list[str] | None = None) -> NodeOpening:
    return NodeOpening(NODE, 1, key, BOOT, host, "0.1.0", ["a", "b"], known_jobs or [], os.urandom(32))


def hub_opening(hello: bytes) -> HubOpening:
    return HubOpening(hello, os.urandom(32), 1_700_000_000_000, FLEET, hub_codec.CODEC, ["b", "c"])


class Pair(NamedTuple):
    node: SecureChannel
    hub: SecureChannel


def opened() -> Pair:
    """A session in which the welcome has been said."""
    node = node_opening()
    hub = hub_opening(node.hello())
    auth, node_link = node.challenge(hub.challenge(KEY))
    hub_link = hub.auth(auth)
    assert node_link.receive(hub_link.send(WELCOME), 0.0) == WELCOME
    return Pair(node_link, hub_link)


def test_both_sides_authenticate_and_exchange_messages() -> None:
    job = ids.new_time_id()
    node = node_opening(known_jobs=[job])
    hub = hub_opening(node.hello())
    assert hub.hello[:2] == (NODE, 1)
    assert hub.hello.boot == BOOT
    assert hub.hello.host == "hub.example"
    assert hub.hello.known_jobs == [job]
    auth, node_link = node.challenge(hub.challenge(KEY))
    assert node.fleet == FLEET
    hub_link = hub.auth(auth)
    assert node_link.features == hub_link.features == {"b"}
    assert node_link.receive(hub_link.send(WELCOME), 0.0) == WELCOME
    said: list[Message] = [Updates(1, 0, 5), JobOutput(job, 0, 1, b"\x00\xff" * 100)]
    assert [hub_link.receive(node_link.send(message), 0.0) for message in said] == said
    assert node_link.receive(hub_link.send(Ack(0, 3)), 0.0) == Ack(0, 3)


def test_a_hub_without_the_key_gets_the_hello_and_nothing_more() -> None:
    node = node_opening()
    rogue = hub_opening(node.hello())
    with pytest.raises(NotProven) as caught:
        node.challenge(rogue.challenge(os.urandom(32)))
    assert caught.value.close_code == CLOSE_UNKNOWN


def test_a_node_without_the_key_is_refused_under_a_random_key_too() -> None:
    node = node_opening(key=b"guess" + bytes(27))
    hub = hub_opening(node.hello())
    answer = hub.challenge(os.urandom(32))
    with pytest.raises(NotProven):
        node.challenge(answer)
    with pytest.raises(NotProven):
        hub.auth(msgpack.packb([3, bytes(32)]))


def test_the_answer_to_an_unknown_node_looks_like_any_other() -> None:
    hello = node_opening().hello()
    assert len(hub_opening(hello).challenge(KEY)) == len(hub_opening(hello).challenge(os.urandom(32)))


def test_a_replayed_answer_does_not_open_a_second_session() -> None:
    node = node_opening()
    first = hub_opening(node.hello())
    auth, _ = node.challenge(first.challenge(KEY))
    first.auth(auth)
    second = hub_opening(node.hello())
    second.challenge(KEY)
    with pytest.raises(NotProven):
        second.auth(auth)


@pytest.mark.holds("S-38")
def test_a_replayed_challenge_is_refused() -> None:
    node = node_opening()
    recorded = hub_opening(node.hello()).challenge(KEY)
    with pytest.raises(NotProven):
        node_opening().challenge(recorded)


def test_the_hubs_own_proof_does_not_pass_for_the_nodes() -> None:
    node = node_opening()
    hub = hub_opening(node.hello())
    shown = msgpack.unpackb(hub.challenge(KEY))[2]
    with pytest.raises(NotProven):
        hub.auth(msgpack.packb([3, shown]))


@pytest.mark.holds("S-38")
def test_changes_by_a_relay_to_hello_or_challenge_break_the_proof() -> None:
    node = node_opening(host="hub.example")
    fields = msgpack.unpackb(node.hello())
    fields[5] = "evil.example"
    with pytest.raises(NotProven):
        node.challenge(hub_opening(msgpack.packb(fields)).challenge(KEY))
    node = node_opening()
    kind, body, shown = msgpack.unpackb(hub_opening(node.hello()).challenge(KEY))
    inner = msgpack.unpackb(body)
    inner[2] += 1
    with pytest.raises(NotProven):
        node.challenge(msgpack.packb([kind, msgpack.packb(inner), shown]))


def test_a_malformed_hello_is_refused() -> None:
    right = msgpack.unpackb(node_opening(known_jobs=[ids.new_time_id()]).hello())
    wrong_values: list[tuple[int, object]] = [
        (0, 2), (0, 9), (1, b"short"), (1, "text"), (2, 0), (2, 1 << 32), (2, True), (3, bytes(31)), (4, bytes(15)),
        (5, ""), (5, "h" * 256), (6, "v" * 65), (7, ["f"] * 65), (7, [1]), (8, [bytes(15)]), (8, ["a"]), (8, [bytes(16)] * 1025),
    ]  # fmt: skip
    assert hub_opening(msgpack.packb(right)).hello.node == NODE
    for index, value in wrong_values:
        wrong = [value if at == index else field for at, field in enumerate(right)]
        with pytest.raises(ProtocolError):
            hub_opening(msgpack.packb(wrong))
    for data in (b"", b"\x00", msgpack.packb(right[:-1]), msgpack.packb([*right, 1]), msgpack.packb({"a": 1})):
        with pytest.raises(ProtocolError):
            hub_opening(data)


def test_an_opening_message_has_a_small_limit() -> None:
    with pytest.raises(ProtocolError) as caught:
        hub_opening(bytes(MAX_OPENING_BYTES + 1))
    assert caught.value.close_code == CLOSE_TOO_BIG
    with pytest.raises(ProtocolError):
        node_opening().challenge(bytes(MAX_OPENING_BYTES + 1))


def test_a_node_with_too_many_jobs_names_the_newest_and_joins() -> None:
    jobs = sorted(ids.new_time_id(float(at)) for at in range(1500))
    hello = hub_opening(node_opening(known_jobs=jobs).hello()).hello
    assert hello.known_jobs == jobs[-1024:]


def test_a_malformed_challenge_is_refused() -> None:
    node = node_opening()
    for data in (b"", b"\xc0", msgpack.packb([2, b"", b""]), msgpack.packb([1, b"", b""]), msgpack.packb([2, "a", b""])):
        with pytest.raises(ProtocolError):
            node.challenge(data)


@pytest.mark.parametrize("body", [[b"short", bytes(32), 1, []], [bytes(16), bytes(31), 1, []], [bytes(16), bytes(32), 1], 7])
def test_a_proven_challenge_must_still_be_one(body: object) -> None:
    node = node_opening()
    packed = msgpack.packb(body)
    shown = proof.hub_proof(KEY, proof.transcript(node.hello(), packed))
    with pytest.raises(ProtocolError):
        node.challenge(msgpack.packb([2, packed, shown]))


def test_the_challenge_comes_before_the_answer() -> None:
    with pytest.raises(LocalProtocolError):
        hub_opening(node_opening().hello()).auth(b"")


@pytest.mark.holds("S-40")
def test_an_altered_frame_ends_the_session() -> None:
    for index in range(30):
        pair = opened()
        frame = bytearray(pair.node.send(Updates(1, 2, 3)))
        frame[index % len(frame)] ^= 0x10
        with pytest.raises(ProtocolError):
            pair.hub.receive(bytes(frame), 1.0)
        with pytest.raises(ProtocolError):
            pair.hub.receive(pair.node.send(Updates(1, 2, 3)), 1.0)
        with pytest.raises(LocalProtocolError):
            pair.hub.send(Ack(0, 1))


@pytest.mark.holds("S-40")
def test_replayed_reordered_dropped_and_reflected_frames_end_the_session() -> None:
    pair = opened()
    frame = pair.node.send(Updates(1, 2, 3))
    pair.hub.receive(frame, 1.0)
    with pytest.raises(ProtocolError):
        pair.hub.receive(frame, 1.0)
    pair = opened()
    pair.node.send(Updates(1, 2, 3))
    with pytest.raises(ProtocolError):
        pair.hub.receive(pair.node.send(Updates(4, 5, 6)), 1.0)
    pair = opened()
    with pytest.raises(ProtocolError):
        pair.node.receive(pair.node.send(Heartbeat(1)), 1.0)
    pair = opened()
    with pytest.raises(ProtocolError):
        pair.hub.receive(opened().node.send(Heartbeat(1)), 1.0)


def test_frames_of_no_size_or_too_much_are_refused() -> None:
    for data in (b"", bytes(15), bytes(16)):
        with pytest.raises(ProtocolError):
            opened().hub.receive(data, 1.0)
    with pytest.raises(ProtocolError) as caught:
        opened().hub.receive(bytes(MAX_FRAME_BYTES + 1), 1.0)
    assert caught.value.close_code == CLOSE_TOO_BIG
    with pytest.raises(LocalProtocolError):
        opened().node.send(JobOutput("j", 0, 0, bytes(MAX_FRAME_BYTES)))


def test_a_well_tagged_frame_of_junk_ends_the_session() -> None:
    pair = opened()
    payload = b"\x92\x0d\x93\x01\x02"
    frame = payload + pair.node._sending.tag(0, payload)
    with pytest.raises(ProtocolError):
        pair.hub.receive(frame, 1.0)


def test_the_welcome_comes_first_and_once() -> None:
    node = node_opening()
    hub = hub_opening(node.hello())
    auth, node_link = node.challenge(hub.challenge(KEY))
    hub_link = hub.auth(auth)
    with pytest.raises(ProtocolError):
        node_link.receive(hub_link.send(Ack(0, 1)), 0.0)
    pair = opened()
    with pytest.raises(ProtocolError):
        pair.node.receive(pair.hub.send(WELCOME), 0.0)


def test_unknown_kinds_are_counted_and_skipped() -> None:
    pair = opened()
    payload = b"\x92\x5a\xc1"
    assert pair.hub.receive(payload + pair.node._sending.tag(0, payload), 1.0) is None
    assert pair.hub.unknown_kinds == 1


def test_a_heartbeat_is_sent_only_after_silence() -> None:
    pair = opened()
    pair.node.receive(pair.hub.send(Ack(0, 0)), 100.0)
    assert pair.node.due(100.0) is None
    assert pair.node.due(100.0 + HEARTBEAT_S - 1) is None
    pair.hub.receive(pair.node.send(Updates(0, 0, 0)), 119.0)
    pair.node.receive(pair.hub.send(Ack(0, 0)), 119.0)
    assert pair.node.due(119.5) is None
    assert pair.node.due(130.0) is None
    beat = some(pair.node.due(119.5 + HEARTBEAT_S, sent_at_ms=7))
    assert pair.hub.receive(beat, 140.0) is None
    assert pair.hub.unknown_kinds == 0
    assert pair.node.due(140.0) is None


def test_silence_is_detected_in_thirty_seconds() -> None:
    pair = opened()
    pair.node.receive(pair.hub.send(Ack(0, 0)), 50.0)
    assert pair.node.due(50.0) is None
    pair.node.due(50.0 + SILENCE_LIMIT_S - 0.1)
    with pytest.raises(PeerSilent) as caught:
        pair.node.due(50.0 + SILENCE_LIMIT_S)
    assert caught.value.close_code == CLOSE_SLOW
    with pytest.raises(ProtocolError):
        pair.node.receive(pair.hub.send(Ack(0, 0)), 81.0)
