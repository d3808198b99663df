"""docs/wire.md agrees with the code: its vectors are recomputed, its tables list every message."""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Any

import msgpack
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from spider.hub.backoff import CLONE_S, NOT_MINE_S
from spider.sampling.sampler import layout_of
from spider.wire import frames, handshake, job_messages, orders
from tests.support import wire_vectors
from tests.support.some import some
from tests.support.wire_vectors import words

TEXT = wire_vectors.DOC.read_text()
GIVEN, THEN = (wire_vectors.read(TEXT, heading) for heading in ("### Given", "### Then"))


def test_the_vectors_follow_from_their_inputs() -> None:
    assert GIVEN == wire_vectors.GIVEN
    assert wire_vectors.compute(GIVEN) == THEN


def reference_hkdf(key: bytes, info: bytes, salt: bytes | None = None) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def test_the_vectors_follow_from_the_formulas_without_our_code() -> None:
    """Written from the page alone, with other libraries."""
    given = {name: bytes.fromhex(value) for name, value in GIVEN.items() if name not in ("host", "version", "generation", "time_ms")}
    then = {name: bytes.fromhex(value) for name, value in THEN.items() if not name.endswith("_text")}
    time_ms = int(GIVEN["time_ms"])
    name = given["node"] + struct.pack(">I", 1)
    key = reference_hkdf(given["fleet_key"], b"stardust/v1/session" + name)
    assert key == then["session_key"]
    assert reference_hkdf(given["fleet_key"], b"stardust/v1/launch" + name) == then["launch_key"]
    hello = msgpack.packb([1, given["node"], 1, given["nonce_n"], given["boot"], GIVEN["host"], GIVEN["version"], [], [given["job"]]])
    body = msgpack.packb([given["fleet"], given["nonce_h"], time_ms, []])
    assert (hello, body) == (then["hello"], then["challenge_body"])
    th = hashlib.sha256(b"stardust/v1/transcript" + struct.pack(">I", len(hello)) + hello + struct.pack(">I", len(body)) + body).digest()
    proofs = {side: hmac.new(key, b"stardust/v1/" + side + th, "sha256").digest() for side in (b"hub", b"node")}
    assert msgpack.packb([2, body, proofs[b"hub"]]) == then["challenge"]
    assert msgpack.packb([3, proofs[b"node"]]) == then["auth"]
    keys = {side: reference_hkdf(key, b"stardust/v1/frames/" + side, th) for side in (b"hub", b"node")}
    said: list[tuple[str, bytes, int, Any]] = [
        ("welcome_frame", b"hub", 0, [5, [7, time_ms, 10, 41, -1, [THEN["job_text"]], [4096], []]]),
        ("heartbeat_frame", b"node", 0, [6, [time_ms]]),
        ("pack_frame", b"node", 1, [11, [0, 42, bytes(range(1, 9)), 0, then["pack_body"]]]),
    ]
    for frame, side, sequence, message in said:
        payload = msgpack.packb(message)
        assert payload + hmac.new(keys[side], struct.pack(">Q", sequence) + payload, "sha256").digest()[:16] == then[frame]
    rows = [msgpack.packb([time_ms, [4217, None, -1]]), msgpack.packb([time_ms + 1000, [4218, 0, 70000]])]
    assert msgpack.packb(rows) == then["pack_body"]
    order, mac = then["order"][:-32], then["order"][-32:]
    assert hmac.new(then["launch_key"], b"stardust-launch-v1\0" + order, "sha256").digest() == mac


@pytest.mark.parametrize(("kind", "cls"), [*frames.KINDS_TO_NODE.items(), *frames.KINDS_TO_HUB.items()])
def test_every_message_is_in_the_tables_with_its_fields(kind: int, cls: type[tuple[object, ...]]) -> None:
    fields = ", ".join(f"`{name}` {words(annotation)}" for name, annotation in cls.__annotations__.items())
    assert f"| {kind} | {cls.__name__} | {fields} |" in TEXT


def test_every_close_code_and_every_refusal_is_reported() -> None:
    codes = {value for name, value in vars(frames).items() if name.startswith("CLOSE_")}
    assert all(f"| {code} |" in TEXT for code in codes)
    refusals = some(orders.OrderError.__doc__).split("\n\n")[1].replace("·", ",").replace(".", ",").split(",")
    assert all(f"`{word.strip()}`" in TEXT for word in refusals if word.strip())


def test_the_limits_are_the_programs() -> None:
    assert (frames.MAX_FRAME_BYTES, frames.MAX_ITEMS, frames.OPENING_TIMEOUT_S) == (256 * 1024, 4096, 10)
    assert (frames.HEARTBEAT_S, frames.SILENCE_LIMIT_S, handshake.MAX_OPENING_BYTES) == (20, 30, 32 * 1024)
    assert (job_messages.MAX_OUTPUT_BYTES, job_messages.OUTPUT_WINDOW_BYTES) == (32 * 1024, 1024 * 1024)
    assert (orders.MAX_BODY_BYTES, orders.MAX_LIFE_S, orders.MAX_SKEW_S) == (16384, 600, 60)
    assert (NOT_MINE_S, CLONE_S) == (600, 300)


def test_a_layout_is_named_as_the_page_says() -> None:
    assert layout_of("pulse", 1, ["cpu.total", "load.1"]).layout == hashlib.sha256(b"pulse\ncpu.total\nload.1\n").digest()[:8]
