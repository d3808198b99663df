"""Keys and proofs of a session: HMAC-SHA256 and HKDF (RFC 5869), with the standard library only."""

import hashlib
import hmac
import struct
from typing import NamedTuple

from spider.wire.ids import from_text

KEY_BYTES = 32
NONCE_BYTES = 32
TAG_BYTES = 16
_BLOCK_BYTES = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_SEQUENCE = struct.Struct(">Q")


class NodeKeys(NamedTuple):
    """The keys of one node in one generation."""

    session: bytes
    launch: bytes


class FrameKeys(NamedTuple):
    """One key for each direction of one session."""

    node: bytes
    hub: bytes


def mac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256, 32 bytes."""
    return hmac.digest(key, data, "sha256")


def constant_time_equal(left: bytes, right: bytes) -> bool:
    """Compare in a time that does not depend on where the values differ."""
    return hmac.compare_digest(left, right)


def hkdf(key: bytes, info: bytes, salt: bytes = b"", length: int = KEY_BYTES) -> bytes:
    """HKDF-SHA256 of RFC 5869, extract and expand.

    Raises: ValueError: more than 255 blocks are requested.
    """
    if not 0 < length <= 255 * 32:
        raise ValueError("HKDF gives 1 to 8160 bytes")
    secret = mac(salt or bytes(32), key)
    block = out = b""
    counter = 1
    while len(out) < length:
        block = mac(secret, block + info + bytes([counter]))
        out += block
        counter += 1
    return out[:length]


def node_keys(fleet_key: bytes, node: str, generation: int) -> NodeKeys:
    """Derive the two keys of a node.

    Args: node: its id as text; generation: 1, 2, 3 …
    """
    name = from_text(node) + struct.pack(">I", generation)
    return NodeKeys(hkdf(fleet_key, b"stardust/v1/session" + name), hkdf(fleet_key, b"stardust/v1/launch" + name))


def rekey_mask(launch_key: bytes, job: str) -> bytes:
    """The mask that hides the next session key and launch key in an order. Only root has the present launch key, so only root can remove
    the mask.

    Args: job: id of the order as text; each order has a mask of its own.
    """
    return hkdf(launch_key, b"stardust/v1/mask/rekey" + from_text(job), length=2 * KEY_BYTES)


def transcript(hello: bytes, body: bytes) -> bytes:
    """SHA-256 over the hello and the body of the challenge, exactly as they were sent."""
    parts = b"".join(struct.pack(">I", len(part)) + part for part in (hello, body))
    return hashlib.sha256(b"stardust/v1/transcript" + parts).digest()


def hub_proof(session_key: bytes, digest: bytes) -> bytes:
    """The proof of the hub, which is sent first."""
    return mac(session_key, b"stardust/v1/hub" + digest)


def node_proof(session_key: bytes, digest: bytes) -> bytes:
    """The proof of the node, which is sent once the hub has proven itself."""
    return mac(session_key, b"stardust/v1/node" + digest)


def frame_keys(session_key: bytes, digest: bytes) -> FrameKeys:
    """The keys that authenticate the frames of this one session."""
    return FrameKeys(
        hkdf(session_key, b"stardust/v1/frames/node", salt=digest),
        hkdf(session_key, b"stardust/v1/frames/hub", salt=digest),
    )


class Tagger:
    """Makes the 16-byte tag at the end of each frame of one direction of a session.

    The two HMAC pads are hashed once for each key. For a frame of some hundred bytes, the pads cost three times as much as the frame.
    """

    def __init__(self, key: bytes) -> None:
        block = (key if len(key) <= _BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER))
        self._outer = hashlib.sha256(block.translate(_OUTER))

    def tag(self, sequence: int, payload: bytes) -> bytes:
        """The tag of a frame; `sequence` counts from 0 in each direction and is never sent."""
        inner = self._inner.copy()
        inner.update(_SEQUENCE.pack(sequence))
        inner.update(payload)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()[:TAG_BYTES]
