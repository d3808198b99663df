"""Keys and proofs against published vectors and an independent implementation."""

from __future__ import annotations

import hashlib
import hmac as reference

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from spider.wire import ids, proof

RFC5869 = [
    (  # A.1
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        42,
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (  # A.2
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        82,
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
        "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
        "cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (  # A.3
        "0b" * 22,
        "",
        "",
        42,
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]


@pytest.mark.parametrize(("key", "salt", "info", "length", "expected"), RFC5869)
def test_hkdf_gives_the_published_vectors(key: str, salt: str, info: str, length: int, expected: str) -> None:
    assert proof.hkdf(bytes.fromhex(key), bytes.fromhex(info), bytes.fromhex(salt), length).hex() == expected


@given(st.binary(min_size=1, max_size=80), st.binary(max_size=40), st.binary(max_size=80), st.integers(1, 200))
def test_hkdf_agrees_with_another_implementation(key: bytes, info: bytes, salt: bytes, length: int) -> None:
    expected = HKDF(hashes.SHA256(), length, salt or None, info).derive(key)
    assert proof.hkdf(key, info, salt, length) == expected


@pytest.mark.parametrize("length", [0, -1, 255 * 32 + 1])
def test_hkdf_refuses_lengths_that_it_does_not_have(length: int) -> None:
    with pytest.raises(ValueError, match="8160"):
        proof.hkdf(b"k", b"", length=length)


def test_every_node_and_generation_has_its_own_keys() -> None:
    one, two = ids.new_random_id(), ids.new_random_id()
    keys = {key for node in (one, two) for generation in (1, 2) for key in proof.node_keys(b"f" * 32, node, generation)}
    assert len(keys) == 8
    assert proof.node_keys(b"f" * 32, one, 1) == proof.node_keys(b"f" * 32, one, 1)
    assert proof.node_keys(b"g" * 32, one, 1) != proof.node_keys(b"f" * 32, one, 1)


def test_the_transcript_cannot_be_shifted_between_its_parts() -> None:
    assert proof.transcript(b"ab", b"c") != proof.transcript(b"a", b"bc")


def test_proofs_and_frame_keys_are_separated_by_direction() -> None:
    digest = proof.transcript(b"hello", b"body")
    keys = proof.frame_keys(b"k" * 32, digest)
    assert len({proof.hub_proof(b"k" * 32, digest), proof.node_proof(b"k" * 32, digest), keys.node, keys.hub}) == 4


def test_a_tag_binds_the_sequence() -> None:
    message = (7).to_bytes(8, "big") + b"payload"
    assert proof.Tagger(b"k").tag(7, b"payload") == reference.new(b"k", message, hashlib.sha256).digest()[:16]
    assert proof.Tagger(b"k").tag(7, b"payload") != proof.Tagger(b"k").tag(8, b"payload")
