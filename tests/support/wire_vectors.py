"""The test vectors of docs/wire.md: `python -m tests.support.wire_vectors` prints them anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from spider.wire import codec, ids, orders, proof
from spider.wire.frames import Heartbeat, Welcome
from spider.wire.sample_messages import STREAM_LIVE, Pack, Row
from spider.wire.session import HubOpening, NodeOpening

DOC = Path(__file__).resolve().parents[2] / "docs/wire.md"
GIVEN = {
    "fleet_key": bytes(range(32)).hex(),
    "fleet": bytes(range(0x40, 0x50)).hex(),
    "node": bytes(range(0x10, 0x20)).hex(),
    "job": "0192f3a0b1c27d3e8f4a5b6c7d8e9fa0",
    "generation": "1",
    "boot": bytes(range(0x20, 0x30)).hex(),
    "nonce_n": bytes(range(0x80, 0xA0)).hex(),
    "nonce_h": bytes(range(0xA0, 0xC0)).hex(),
    "host": "hub.example:8933",
    "version": "0.1.0",
    "time_ms": "1800000000000",
}
_LINE = re.compile(r"([a-z_]+) = (\S+)")


def read(text: str, heading: str) -> dict[str, str]:
    """The `name = value` lines of the code block under a heading."""
    block = text.split(heading, 1)[1].split("```", 2)[1]
    return {match.group(1): match.group(2) for match in map(_LINE.fullmatch, block.splitlines()) if match}


def compute(given: dict[str, str]) -> dict[str, str]:
    """Everything that follows from the given values."""
    node, fleet, job = (ids.to_text(bytes.fromhex(given[name])) for name in ("node", "fleet", "job"))
    generation, time_ms = int(given["generation"]), int(given["time_ms"])
    keys = proof.node_keys(bytes.fromhex(given["fleet_key"]), node, generation)
    opening = NodeOpening(
        node, generation, keys.session, given["boot"], given["host"], given["version"], [], [job], bytes.fromhex(given["nonce_n"])
    )
    hub = HubOpening(opening.hello(), bytes.fromhex(given["nonce_h"]), time_ms, fleet)
    challenge = hub.challenge(keys.session)
    auth, node_link = opening.challenge(challenge)
    hub_link = hub.auth(auth)
    body = codec.unpack(challenge)[1]
    digest = proof.transcript(opening.hello(), body)
    frame_keys = proof.frame_keys(keys.session, digest)
    coding, rows = codec.pack_rows([Row(time_ms, [4217, None, -1]), Row(time_ms + 1000, [4218, 0, 70000])])
    assert coding == 0
    order = orders.SignedOrder(
        node, generation, job, "upgrade", {"packages": ["curl"], "reboot": False}, time_ms // 1000, time_ms // 1000 + 600
    )
    found = {
        "node_text": node,
        "fleet_text": fleet,
        "job_text": job,
        "session_key": keys.session,
        "launch_key": keys.launch,
        "hello": opening.hello(),
        "challenge_body": body,
        "transcript": digest,
        "proof_h": proof.hub_proof(keys.session, digest),
        "challenge": challenge,
        "proof_n": proof.node_proof(keys.session, digest),
        "auth": auth,
        "k_node": frame_keys.node,
        "k_hub": frame_keys.hub,
        "welcome_frame": hub_link.send(Welcome(7, time_ms, 10, 41, -1, [job], [4096], [])),
        "heartbeat_frame": node_link.send(Heartbeat(time_ms)),
        "pack_body": rows,
        "pack_frame": node_link.send(Pack(STREAM_LIVE, 42, b"\x01\x02\x03\x04\x05\x06\x07\x08", coding, rows)),
        "order": orders.seal_order(keys.launch, order),
    }
    return {name: value if isinstance(value, str) else value.hex() for name, value in found.items()}


def render(values: dict[str, str]) -> str:
    """As they stand in the document."""
    return "\n".join(f"{name} = {value}" for name, value in values.items())


if __name__ == "__main__":
    print("GIVEN\n" + render(GIVEN) + "\n\nTHEN\n" + render(compute(GIVEN)))


def words(annotation: Any) -> str:
    plain = {int: "int", str: "text", bytes: "bytes"}.get(annotation)
    if plain:
        return plain
    return (
        str(annotation)
        .replace("typing.", "")
        .replace("Optional[int]", "int or nil")
        .replace("List[", "list of ")
        .replace("Union[str, int, NoneType]", "text or int or nil")
        .replace("]", "")
        .replace("str", "text")
    )
