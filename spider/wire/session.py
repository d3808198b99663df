"""A session without any I/O: the handshake of both sides, then authenticated frames with an implicit sequence number.

Bytes and the time go in, bytes and messages come out. After a ProtocolError the session is over.
"""

from typing import List, NamedTuple, Optional, Sequence, Tuple

from spider.wire import proof
from spider.wire.codec import HUB_CODEC, Codec, Shape, node_codec, pack
from spider.wire.errors import LocalProtocolError, PeerSilent, ProtocolError, SessionOver
from spider.wire.frames import CLOSE_SLOW, CLOSE_TOO_BIG, HEARTBEAT_S, MAX_FRAME_BYTES, SILENCE_LIMIT_S, Heartbeat, Message, Welcome
from spider.wire.handshake import HubSide, check_challenge, read_form
from spider.wire.ids import from_text, to_text

MAX_KNOWN_JOBS = 1024
MAX_FEATURES = 64
_HELLO = 1


class Hello(NamedTuple):
    """The identity that a node claims; nothing of it is proven before `HubOpening.auth`."""

    node: str
    generation: int
    nonce: bytes
    boot: str
    """Id of this boot, 32 hex digits."""
    host: str
    """The authority of the URL that the node dialled: lower case, default port left out."""
    version: str
    features: List[str]
    known_jobs: List[str]


class _HelloForm(NamedTuple):
    kind: int
    node: bytes
    generation: int
    nonce: bytes
    boot: bytes
    host: str
    version: str
    features: List[str]
    known_jobs: List[bytes]


_HELLO_SHAPE = Shape(_HelloForm)


def _read_hello(data: bytes) -> Hello:
    form: _HelloForm = read_form(_HELLO_SHAPE, data)
    right = (
        form.kind == _HELLO
        and len(form.node) == 16
        and 1 <= form.generation < 1 << 32
        and len(form.nonce) == proof.NONCE_BYTES
        and len(form.boot) == 16
        and 0 < len(form.host) <= 255
        and len(form.version) <= 64
        and len(form.features) <= MAX_FEATURES
        and len(form.known_jobs) <= MAX_KNOWN_JOBS
        and all(len(job) == 16 for job in form.known_jobs)
    )
    if not right:
        raise ProtocolError("not a hello")
    return Hello(
        to_text(form.node),
        form.generation,
        form.nonce,
        form.boot.hex(),
        form.host,
        form.version,
        form.features,
        [to_text(job) for job in form.known_jobs],
    )


class SecureChannel:
    """The proven part of a session, at one end."""

    def __init__(self, codec: Codec, send_key: bytes, receive_key: bytes, *, expect_welcome: bool, features: Sequence[str] = ()) -> None:
        self._codec = codec
        self._sending = proof.Tagger(send_key)
        self._receiving = proof.Tagger(receive_key)
        self._sent = 0
        self._received = 0
        self._expect_welcome = expect_welcome
        self._over = False
        self._received_at: Optional[float] = None
        self._idle_since: Optional[float] = None
        self._has_sent = False
        self.features = frozenset(features)
        """Features that both ends have."""
        self.peer_time_ms = 0
        """The peer's clock in its latest heartbeat (Unix milliseconds). The reader sets it to 0 to notice the next heartbeat."""
        self.unknown_kinds = 0
        """Number of skipped messages of kinds that this end does not know."""

    def send(self, message: Message) -> bytes:
        """Encode the next frame. Frames must be sent in the order in which they were made.

        Raises: SessionOver; LocalProtocolError: the message is too big or not for this direction.
        """
        if self._over:
            raise SessionOver("the session is over")
        payload = self._codec.encode(message)
        if len(payload) + proof.TAG_BYTES > MAX_FRAME_BYTES:
            raise LocalProtocolError(f"{type(message).__name__} of {len(payload)} bytes is too big")
        frame = payload + self._sending.tag(self._sent, payload)
        self._sent += 1
        self._has_sent = True
        return frame

    def receive(self, data: bytes, now: float) -> Optional[Message]:
        """Verify one frame and decode its message.

        Args:    now: monotonic seconds.
        Returns: None for a heartbeat, or a kind that this end does not know.
        Raises:  ProtocolError: any input except the peer's next frame.
        """
        if self._over:
            raise ProtocolError("the session is over")
        try:
            message = self._open(data)
        except ProtocolError:
            self._over = True
            raise
        self._received_at = now
        return message

    def _open(self, data: bytes) -> Optional[Message]:
        if len(data) > MAX_FRAME_BYTES:
            raise ProtocolError("frame too big", CLOSE_TOO_BIG)
        payload = data[: -proof.TAG_BYTES]
        if not proof.constant_time_equal(self._receiving.tag(self._received, payload), data[-proof.TAG_BYTES :]):
            raise ProtocolError("not the next frame of this session")
        self._received += 1
        message = self._codec.decode(payload)
        if isinstance(message, Welcome) != self._expect_welcome:
            raise ProtocolError("the welcome comes first, and once")
        self._expect_welcome = False
        if message is None:
            self.unknown_kinds += 1
        if isinstance(message, Heartbeat):
            self.peer_time_ms = message.sent_at_ms
            return None
        return message

    def due(self, now: float, sent_at_ms: int = 0) -> Optional[bytes]:
        """The heartbeat to send now, if one is due. Call it about every second.

        Args:   now: monotonic seconds; sent_at_ms: Unix milliseconds, for the heartbeat.
        Raises: PeerSilent: nothing arrived for SILENCE_LIMIT_S.
        """
        if self._received_at is None:
            self._received_at = now
        if now - self._received_at >= SILENCE_LIMIT_S:
            self._over = True
            raise PeerSilent(f"nothing came for {SILENCE_LIMIT_S:.0f} s", CLOSE_SLOW)
        if self._has_sent or self._idle_since is None:
            self._has_sent, self._idle_since = False, now
        if now - self._idle_since < HEARTBEAT_S:
            return None
        frame = self.send(Heartbeat(sent_at_ms))
        self._has_sent, self._idle_since = False, now
        return frame


class NodeOpening:
    """The node's side of the handshake. It sends the hello and nothing more until the hub has proven itself."""

    def __init__(
        self,
        node: str,
        generation: int,
        key: bytes,
        boot: str,
        host: str,
        version: str,
        features: Sequence[str],
        known_jobs: Sequence[str],
        nonce: bytes,
        codec: Optional[Codec] = None,
    ) -> None:
        """Args: codec: None: the node's own, which leaves out what the hub's features do not name."""
        self._key = key
        self._features = list(features)
        self._codec = codec
        jobs = [from_text(job) for job in list(known_jobs)[-MAX_KNOWN_JOBS:]]
        self._hello = pack(_HelloForm(_HELLO, from_text(node), generation, nonce, bytes.fromhex(boot), host, version, self._features, jobs))
        _read_hello(self._hello)  # a hello that the hub would refuse is an error of this program and is found here
        self.fleet = ""
        """After `challenge`: the fleet that the hub says it serves."""
        self.hub_time_ms = 0
        """After `challenge`: the hub's clock, Unix milliseconds."""

    def hello(self) -> bytes:
        """The first message."""
        return self._hello

    def challenge(self, data: bytes) -> Tuple[bytes, SecureChannel]:
        """Check the hub's proof.

        Returns: the answer to send, and the session.
        Raises:  NotProven: this hub does not hold the node's key. ProtocolError: not a challenge at all.
        """
        digest, body, answer = check_challenge(self._key, self._hello, data, "the hub does not hold the key of this node")
        if len(body.fleet) != 16 or len(body.nonce) != proof.NONCE_BYTES:
            raise ProtocolError("not a challenge")
        self.fleet = to_text(body.fleet)
        self.hub_time_ms = body.time_ms
        keys = proof.frame_keys(self._key, digest)
        both = [feature for feature in body.features if feature in self._features]
        link = SecureChannel(self._codec or node_codec(body.features), keys.node, keys.hub, expect_welcome=True, features=both)
        return answer, link


class HubOpening:
    """The hub's side of the handshake.

    The hub reads `hello`, finds the node's key and calls `challenge(key)`. For an unknown or revoked node it calls
    `challenge(os.urandom(32))`: the answer looks the same, and `auth` never succeeds.
    """

    def __init__(
        self, hello: bytes, nonce: bytes, time_ms: int, fleet: str, codec: Codec = HUB_CODEC, features: Sequence[str] = ()
    ) -> None:
        """Parse the node's first message.

        Raises: ProtocolError: it is no hello.
        """
        self.hello = _read_hello(hello)
        self._codec = codec
        self._both = [feature for feature in features if feature in self.hello.features]
        self._side = HubSide(hello, nonce, time_ms, fleet, list(features))

    def challenge(self, key: bytes) -> bytes:
        """The hub's proof under the node's session key."""
        return self._side.challenge(key)

    def auth(self, data: bytes) -> SecureChannel:
        """Check the node's proof.

        Raises: NotProven: the node does not hold the key. ProtocolError: not an answer at all.
        """
        key, digest = self._side.check_answer(data, "the node does not hold its key")
        keys = proof.frame_keys(key, digest)
        return SecureChannel(self._codec, keys.hub, keys.node, expect_welcome=False, features=self._both)
