"""Joining a fleet with an invite: the invite's text, the handshake of both sides, and the messages that follow.

The hub shows the secret of an invite to a user, who enters it on a node. The secret never crosses the wire. Both ends prove that they
know it, hub first, and agree on a key for this join by X25519. So an eavesdropper learns nothing, even with the invite found later.
"""

import base64
import binascii
from typing import Dict, List, NamedTuple, Optional, Tuple, Type, cast

from spider.wire import proof
from spider.wire.certificates import MAX_PINS, PIN_BYTES
from spider.wire.codec import Codec, Shape, decoder, encoder, pack, unpack
from spider.wire.errors import NotProven, ProtocolError
from spider.wire.frames import CLOSE_UNKNOWN, Heartbeat, Message
from spider.wire.handshake import HubSide, check_challenge, read_form
from spider.wire.ids import from_text, to_text
from spider.wire.session import SecureChannel
from spider.wire.x25519 import public_key, shared_secret

PREFIX = "stardust1."
MAX_INVITE_CHARS = 2048
MAX_URLS = 8
PIN_SIZES = range(PIN_BYTES, (MAX_PINS + 1) * PIN_BYTES, PIN_BYTES)
MAX_FACTS = 16
MAX_PART_BYTES = 128 * 1024
"""Largest part of a file in one `JoinPart`."""
MAX_FILE_BYTES = 1024 * 1024
MAX_FILES = 32
_HELLO = 9


class Invite(NamedTuple):
    """The content of an invite."""

    urls: List[str]
    """The URLs at which a node may dial the hub."""
    fleet: str
    tls_pin: Optional[bytes]
    """SHA-256 of the public key of a hub whose certificate no authority has signed; a concatenation for several keys."""
    id: str
    secret: bytes
    expires_at: int
    """Unix seconds."""
    proxy: str = ""
    """The proxy `http://host:port` through which the node dials; empty: none."""

    def __repr__(self) -> str:
        return f"Invite({self.id}, ***)"


def write_invite(invite: Invite) -> str:
    """Encode an invite as the text that a user enters on the node."""
    body: List[object] = [invite.urls, from_text(invite.fleet), invite.tls_pin, from_text(invite.id), invite.secret, invite.expires_at]
    if invite.proxy:
        body.append(invite.proxy)
    return PREFIX + base64.urlsafe_b64encode(pack(body)).decode().rstrip("=")


def read_invite(text: str) -> Invite:
    """Parse an invite.

    Raises: ValueError: not an invite, or truncated; the text is for people.
    """
    text = text.strip()
    if not text.startswith(PREFIX) or len(text) > MAX_INVITE_CHARS:
        raise ValueError(f"this is not an invite: it begins with {PREFIX}")
    plain = text[len(PREFIX) :]
    try:
        parts = unpack(base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ProtocolError, ValueError):
        raise ValueError("the invite is damaged: copy all of it") from None
    if type(parts) is not list or len(parts) not in (6, 7):
        raise ValueError("the invite is damaged: copy all of it")
    urls, fleet, pin, name, secret, expires_at = parts[:6]
    proxy = parts[6] if len(parts) > 6 else ""
    right = (
        type(urls) is list
        and 0 < len(urls) <= MAX_URLS
        and all(type(url) is str and len(url) <= 300 for url in urls)
        and all(type(part) is bytes for part in (fleet, name, secret))
        and (len(fleet), len(name), len(secret)) == (16, 16, proof.KEY_BYTES)
        and (pin is None or (type(pin) is bytes and len(pin) in PIN_SIZES))
        and type(expires_at) is int
        and 0 < expires_at < 1 << 40
        and type(proxy) is str
        and len(proxy) <= 300
    )
    if not right:
        raise ValueError("the invite is damaged, or of a newer Stardust")
    return Invite(urls, to_text(fleet), pin, to_text(name), secret, expires_at, proxy)


def invite_secret(fleet_key: bytes, invite: str) -> bytes:
    """The secret of an invite. It is derived from the fleet key and the invite's id, so that the hub need not store it."""
    return proof.hkdf(fleet_key, b"stardust/v1/invite" + from_text(invite))


def join_key(secret: bytes, invite: str) -> bytes:
    """The key that both ends prove to know."""
    return proof.hkdf(secret, b"stardust/v1/join" + from_text(invite))


# -- messages --------------------------------------------------------------------------------------


class JoinProbe(NamedTuple):
    """Node to hub, first message: the properties of this server, as `remote/probe.sh` prints them."""

    lines: List[str]


class JoinEnded(NamedTuple):
    """Node to hub: the installation is complete (`code` is empty), or was undone because of the error `code`."""

    code: str
    message: str


class JoinAccepted(NamedTuple):
    """Hub to node: the invite is used up; these are the identity and the settings of the new node."""

    node: str
    generation: int
    session_mask: bytes
    """The session key, XORed with the mask of this join."""
    launch_mask: bytes
    version: str
    launcher: int
    """1 = jobs are allowed, so root's launcher is installed, too."""
    clear: str
    """What happens to an existing installation: nothing, undo or remove."""
    waiting: int
    """1 = a user must approve the node before it may do anything."""
    verify_s: int
    """How long the hub waits for the node's first session."""
    manifest: str
    """SHA-256 of the list of files with their digests."""
    files: List[str]
    sizes: List[int]


class JoinPart(NamedTuple):
    """Hub to node: a part of a file. Files are sent completely, one after the other."""

    file: str
    offset: int
    data: bytes


class JoinRefused(NamedTuple):
    """Hub to node: the join is refused. The invite stays valid."""

    code: str
    message: str


class JoinDone(NamedTuple):
    """Hub to node: the hub has had a session with the new Spider."""

    waiting: int


JOIN_TO_NODE: Dict[int, Type[Tuple[object, ...]]] = {6: Heartbeat, 40: JoinAccepted, 41: JoinPart, 42: JoinRefused, 43: JoinDone}
JOIN_TO_HUB: Dict[int, Type[Tuple[object, ...]]] = {6: Heartbeat, 40: JoinProbe, 41: JoinEnded}
_NODE_CODEC = Codec(encoder(JOIN_TO_HUB), decoder(JOIN_TO_NODE))
_HUB_CODEC = Codec(encoder(JOIN_TO_NODE), decoder(JOIN_TO_HUB))


# -- the handshake ---------------------------------------------------------------------------------


class JoinHello(NamedTuple):
    """The identity that a joiner claims; nothing of it is proven before `HubJoin.auth`."""

    invite: str
    nonce: bytes
    """The node's public key for this join."""
    boot: str
    host: str
    facts: List[str]
    """The joiner's version, and its features."""


class _HelloForm(NamedTuple):
    kind: int
    invite: bytes
    nonce: bytes
    boot: bytes
    host: str
    facts: List[str]


_HELLO_SHAPE = Shape(_HelloForm)


def is_join(data: bytes) -> bool:
    """Whether a first message is the hello of a join, and not of a session."""
    return data[:2] == b"\x96\x09"


class Joined(NamedTuple):
    """One end of a proven join."""

    link: SecureChannel
    session_mask: bytes
    """Hides the session key of the new node in `JoinAccepted` (`masked`); both ends derive it."""
    launch_mask: bytes
    """The same for the launch key."""


def _joined(codec: Codec, key: bytes, shared: bytes, digest: bytes, *, node: bool) -> Joined:
    secret = proof.hkdf(key + shared, b"stardust/v1/join/secret", salt=digest)
    keys = proof.frame_keys(secret, digest)
    ours, theirs = (keys.node, keys.hub) if node else (keys.hub, keys.node)
    masks = [proof.hkdf(secret, b"stardust/v1/mask/" + name, salt=digest) for name in (b"session", b"launch")]
    return Joined(SecureChannel(codec, ours, theirs, expect_welcome=False), *masks)


def masked(key: bytes, mask: bytes) -> bytes:
    """XOR a key with a mask, which hides or reveals it.

    Raises: ValueError: they differ in length.
    """
    if len(key) != len(mask):
        raise ValueError("a key and its mask are equally long")
    return bytes(one ^ other for one, other in zip(key, mask))


class NodeJoin:
    """The node's side of the handshake. It sends the hello and nothing more until the hub has proven that it made the invite."""

    def __init__(self, invite: Invite, boot: str, host: str, facts: List[str], private: bytes) -> None:
        """Args: private: 32 random bytes, for this join only."""
        self._invite = invite
        self._key = join_key(invite.secret, invite.id)
        self._private = private
        self._hello = pack(_HelloForm(_HELLO, from_text(invite.id), public_key(private), bytes.fromhex(boot), host, facts))
        _read_hello(self._hello)

    def hello(self) -> bytes:
        """The first message."""
        return self._hello

    def challenge(self, data: bytes) -> Tuple[bytes, Joined]:
        """Check the hub's proof.

        Returns: the answer to send, and the proven join.
        Raises:  NotProven: this hub does not know the invite, or is of another fleet. ProtocolError: not a challenge at all.
        """
        digest, body, answer = check_challenge(self._key, self._hello, data, "the hub does not know this invite")
        if body.fleet != from_text(self._invite.fleet):
            raise NotProven("the hub serves another fleet", CLOSE_UNKNOWN)
        shared = _shared(self._private, body.nonce)
        return answer, _joined(_NODE_CODEC, self._key, shared, digest, node=True)


class HubJoin:
    """The hub's side. For an invite that is unknown, used, expired or revoked, the hub calls `challenge(os.urandom(32))`. The result
    looks the same."""

    def __init__(self, hello: bytes, private: bytes, time_ms: int, fleet: str) -> None:
        """Read the first message.

        Raises: ProtocolError: it is no hello.
        """
        self.hello = _read_hello(hello)
        self._private = private
        self._side = HubSide(hello, public_key(private), time_ms, fleet, [])

    def challenge(self, key: bytes) -> bytes:
        """The hub's proof under the key of the invite (`join_key`)."""
        return self._side.challenge(key)

    def auth(self, data: bytes) -> Joined:
        """Check the node's proof.

        Raises: NotProven: the node does not know the invite. ProtocolError: not an answer at all.
        """
        key, digest = self._side.check_answer(data, "the invite is not known there")
        return _joined(_HUB_CODEC, key, _shared(self._private, self.hello.nonce), digest, node=False)


def _shared(private: bytes, public: bytes) -> bytes:
    try:
        return shared_secret(private, public)
    except ValueError:
        raise ProtocolError("not a public key") from None


def _read_hello(data: bytes) -> JoinHello:
    form: _HelloForm = read_form(_HELLO_SHAPE, data)
    right = (
        form.kind == _HELLO
        and len(form.invite) == 16
        and len(form.nonce) == proof.NONCE_BYTES
        and len(form.boot) == 16
        and 0 < len(form.host) <= 255
        and len(form.facts) <= MAX_FACTS
        and all(len(fact) <= 64 for fact in form.facts)
    )
    if not right:
        raise ProtocolError("not a hello")
    return JoinHello(to_text(form.invite), form.nonce, form.boot.hex(), form.host, form.facts)


def as_any(message: Optional[Message]) -> object:
    """Cast a received message of a join: `Message` lists only the messages of a session."""
    return message


def saying(message: object) -> Message:
    """Cast a message of a join that is to be sent, for the same reason."""
    return cast("Message", message)
