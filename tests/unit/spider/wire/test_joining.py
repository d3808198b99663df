"""Joining: the invite's text, both sides of the opening, and what an eavesdropper learns."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from spider.wire import joining, proof
from spider.wire.codec import unpack
from spider.wire.errors import NotProven, ProtocolError
from spider.wire.ids import new_random_id
from spider.wire.x25519 import public_key, shared_secret
from tests.support import wire_vectors
from tests.support.wire_vectors import words

FLEET_KEY = bytes(range(32))


def an_invite(**more: object) -> joining.Invite:
    name = new_random_id()
    secret = joining.invite_secret(FLEET_KEY, name)
    return joining.Invite(["wss://hub.example/ws"], new_random_id(), None, name, secret, 1_800_000_000)._replace(**more)  # type: ignore[arg-type]


def node_side(invite: joining.Invite) -> joining.NodeJoin:
    return joining.NodeJoin(invite, "0f" * 16, "hub.example", ["0.1.0"], os.urandom(32))


def hub_side(hello: bytes, invite: joining.Invite) -> joining.HubJoin:
    return joining.HubJoin(hello, os.urandom(32), 1_790_000_000_000, invite.fleet)


def test_the_curve_is_that_of_the_rfc_and_of_another_library() -> None:
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")  # RFC 7748, 6.1
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    assert public_key(alice).hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert shared_secret(alice, public_key(bob)) == shared_secret(bob, public_key(alice))
    for _ in range(8):
        mine, yours = os.urandom(32), os.urandom(32)
        reference = X25519PrivateKey.from_private_bytes(mine)
        assert public_key(mine) == reference.public_key().public_bytes_raw()
        assert shared_secret(mine, yours) == reference.exchange(X25519PublicKey.from_public_bytes(yours))


@pytest.mark.parametrize("public", [bytes(32), (1).to_bytes(32, "little"), b"short"])
def test_weak_public_keys_are_refused(public: bytes) -> None:
    with pytest.raises(ValueError, match="key"):
        shared_secret(os.urandom(32), public)


def test_an_invite_is_read_as_it_was_written_and_shows_no_secret() -> None:
    for pin in (None, os.urandom(32), os.urandom(4 * 32)):
        invite = an_invite(tls_pin=pin)
        text = joining.write_invite(invite)
        assert joining.read_invite(f"  {text}\n") == invite
        assert invite.secret.hex() not in repr(invite)
        assert repr(invite.secret) not in repr(invite)


@pytest.mark.parametrize(
    "damage", [lambda t: t[:-1], lambda t: t[10:], lambda t: t[:40], lambda t: t + "AAAA", lambda _t: "", lambda t: t.replace(".", ".-")]
)
def test_a_damaged_invite_is_refused_as_an_invite(damage: object) -> None:
    text = joining.write_invite(an_invite())
    with pytest.raises(ValueError, match="invite"):
        joining.read_invite(damage(text))  # type: ignore[operator]


def test_both_sides_arrive_at_the_same_and_keys_come_through_masked() -> None:
    invite = an_invite()
    node = node_side(invite)
    assert joining.is_join(node.hello())
    hub = hub_side(node.hello(), invite)
    answer, mine = node.challenge(hub.challenge(joining.join_key(invite.secret, invite.id)))
    yours = hub.auth(answer)
    key = os.urandom(32)
    assert joining.masked(joining.masked(key, yours.session_mask), mine.session_mask) == key
    assert mine.session_mask != mine.launch_mask
    frame = mine.link.send(joining.saying(joining.JoinProbe(["uid=0"])))
    assert joining.as_any(yours.link.receive(frame, 0.0)) == joining.JoinProbe(["uid=0"])
    part = joining.JoinPart("spider.pyz", 0, b"x" * joining.MAX_PART_BYTES)
    assert joining.as_any(mine.link.receive(yours.link.send(joining.saying(part)), 0.0)) == part


@pytest.mark.holds("S-45")
def test_a_recorded_join_and_its_invite_do_not_reveal_the_keys() -> None:
    """Everything that crossed the wire and the secret, and still not what the keys are masked with: that took the ends' own numbers."""
    invite = an_invite()
    node = node_side(invite)
    hub = hub_side(node.hello(), invite)
    key = joining.join_key(invite.secret, invite.id)
    challenge = hub.challenge(key)
    _, mine = node.challenge(challenge)
    digest = proof.transcript(node.hello(), unpack(challenge)[1])
    for guess in (key, key + bytes(32), key + node.hello()[20:52], invite.secret):
        secret = proof.hkdf(guess, b"stardust/v1/join/secret", salt=digest)
        assert proof.hkdf(secret, b"stardust/v1/mask/session", salt=digest) != mine.session_mask


def test_another_secret_another_fleet_or_a_stranger_is_not_proven() -> None:
    invite = an_invite()
    key = joining.join_key(invite.secret, invite.id)
    for altered in (invite._replace(secret=os.urandom(32)), invite._replace(fleet=new_random_id())):
        node = node_side(altered)
        with pytest.raises(NotProven):
            node.challenge(hub_side(node.hello(), invite).challenge(key))
    node = node_side(invite)
    hub = hub_side(node.hello(), invite)
    answer, _ = node.challenge(hub.challenge(key))
    other = hub_side(node.hello(), invite)
    other.challenge(key)
    with pytest.raises(NotProven):
        other.auth(answer)  # a repeated answer fits no other challenge


def test_arbitrary_bytes_are_refused_as_a_hello() -> None:
    for junk in (b"", b"\x96\x09", b"\x96\x09" + os.urandom(80), node_side(an_invite()).hello()[:-1]):
        with pytest.raises(ProtocolError):
            joining.HubJoin(junk, os.urandom(32), 1, new_random_id())


@pytest.mark.parametrize(("kind", "cls"), [*joining.JOIN_TO_NODE.items(), *joining.JOIN_TO_HUB.items()])
def test_every_message_of_a_join_is_in_the_document(kind: int, cls: type[tuple[object, ...]]) -> None:
    fields = ", ".join(f"`{name}` {words(annotation)}" for name, annotation in cls.__annotations__.items())
    assert f"| {kind} | {cls.__name__} | {fields} |" in wire_vectors.DOC.read_text()
