"""The handshake that sessions and joins share: two ends prove that they hold the same key. The hub proves it first.

There are three messages: a hello (sessions and joins each have their own), the hub's challenge with its proof, and the node's answer with
its proof. Both proofs cover the hello and the challenge, exactly as they were sent.
"""

from typing import Any, List, NamedTuple, Optional, Tuple

from spider.wire import proof
from spider.wire.codec import Shape, pack, unpack
from spider.wire.errors import LocalProtocolError, NotProven, ProtocolError
from spider.wire.frames import CLOSE_TOO_BIG, CLOSE_UNKNOWN
from spider.wire.ids import from_text

MAX_OPENING_BYTES = 32 * 1024
"""Largest message of a handshake. It is small because the sender has not proven itself."""
_CHALLENGE, _AUTH = 2, 3


class Challenge(NamedTuple):
    """The hub's claims about itself; proven once `check_challenge` has returned them."""

    fleet: bytes
    nonce: bytes
    time_ms: int
    features: List[str]


class _ChallengeForm(NamedTuple):
    kind: int
    body: bytes
    proof: bytes


class _AuthForm(NamedTuple):
    kind: int
    proof: bytes


_BODY, _CHALLENGE_FORM, _AUTH_FORM = Shape(Challenge), Shape(_ChallengeForm), Shape(_AuthForm)


def read_form(shape: Shape, data: bytes) -> Any:
    """Parse one message of a handshake.

    Raises: ProtocolError: too big, or of another form.
    """
    if len(data) > MAX_OPENING_BYTES:
        raise ProtocolError("opening too big", CLOSE_TOO_BIG)
    return shape.build(unpack(data))


def check_challenge(key: bytes, hello: bytes, data: bytes, why_not: str) -> Tuple[bytes, Challenge, bytes]:
    """The node's side: check the hub's proof.

    Args:    why_not: error text if the hub does not hold the key.
    Returns: digest of the transcript, the hub's challenge, and the answer to send.
    Raises:  NotProven: the hub does not hold the key. ProtocolError: not a challenge at all.
    """
    form: _ChallengeForm = read_form(_CHALLENGE_FORM, data)
    if form.kind != _CHALLENGE:
        raise ProtocolError("not a challenge")
    digest = proof.transcript(hello, form.body)
    if not proof.constant_time_equal(proof.hub_proof(key, digest), form.proof):
        raise NotProven(why_not, CLOSE_UNKNOWN)
    return digest, read_form(_BODY, form.body), pack(_AuthForm(_AUTH, proof.node_proof(key, digest)))


class HubSide:
    """The hub's side of the handshake, after a hello was parsed."""

    def __init__(self, hello: bytes, nonce: bytes, time_ms: int, fleet: str, features: List[str]) -> None:
        body = pack(Challenge(from_text(fleet), nonce, time_ms, features))
        self._body = body
        self._digest = proof.transcript(hello, body)
        self._key: Optional[bytes] = None

    def challenge(self, key: bytes) -> bytes:
        """The hub's proof under a key."""
        self._key = key
        return pack(_ChallengeForm(_CHALLENGE, self._body, proof.hub_proof(key, self._digest)))

    def check_answer(self, data: bytes, why_not: str) -> Tuple[bytes, bytes]:
        """Check the node's proof.

        Args:    why_not: error text if the node does not hold the key.
        Returns: the key of the challenge, and the digest of the transcript.
        Raises:  NotProven: the node does not hold the key. ProtocolError: not an answer at all. LocalProtocolError: `challenge` was not
                 called before.
        """
        if self._key is None:
            raise LocalProtocolError("the challenge comes first")
        form: _AuthForm = read_form(_AUTH_FORM, data)
        if form.kind != _AUTH:
            raise ProtocolError("not an answer to the challenge")
        if not proof.constant_time_equal(proof.node_proof(self._key, self._digest), form.proof):
            raise NotProven(why_not, CLOSE_UNKNOWN)
        return self._key, self._digest
