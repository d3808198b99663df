"""The public keys of a provider, from its key set (RFC 7517)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
KeyType = Literal["RSA", "P-256", "Ed25519"]
Algorithm = Literal["ES256", "RS256", "PS256", "EdDSA"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)
KEY_TYPE: Final[dict[Algorithm, KeyType]] = {"ES256": "P-256", "RS256": "RSA", "PS256": "RSA", "EdDSA": "Ed25519"}
"""Algorithm -> the only type of key that may verify it. So no key is used for another algorithm than its own."""
MOST_KEYS: Final = 64
LEAST_RSA_BITS: Final = 2048
MOST_RSA_BITS: Final = 8192
MOST_EXPONENT: Final = 2**32
"""A larger exponent makes every check slow."""


class Key(NamedTuple):
    """A key that verifies tokens."""

    kid: str
    """Empty: the key set gives no id."""
    kind: KeyType
    algorithm: str
    """Empty: every algorithm of the kind."""
    public: PublicKey


def read_keys(document: object) -> tuple[Key, ...]:
    """Read the usable keys of a key set; others are left out.

    Raises: ValueError: this is no key set, or it has more than MOST_KEYS keys.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("the key set has no list named keys")
    if len(listed) > MOST_KEYS:
        raise ValueError(f"the key set has more than {MOST_KEYS} keys")
    return tuple(key for one in listed if (key := _read_key(one)) is not None)


def keys_for(keys: Sequence[Key], algorithm: Algorithm, kid: str) -> list[Key]:
    """The keys that may verify a token with this header. Args: kid: empty: the token names no key."""
    fitting = [key for key in keys if key.kind == KEY_TYPE[algorithm] and key.algorithm in ("", algorithm)]
    return [key for key in fitting if key.kid == kid] if kid else fitting


def _read_key(one: object) -> Key | None:
    if not isinstance(one, dict) or one.get("use", "sig") != "sig" or "d" in one or "k" in one:
        return None
    operations = one.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return None
    kid, algorithm = one.get("kid", ""), one.get("alg", "")
    if not isinstance(kid, str) or not isinstance(algorithm, str):
        return None
    try:
        found = _public_key(one)
    except (ValueError, TypeError, KeyError, binascii.Error):
        return None
    return None if found is None else Key(kid, found[0], algorithm, found[1])


def _public_key(one: dict[str, Any]) -> tuple[KeyType, PublicKey] | None:
    match one.get("kty"), one.get("crv"):
        case "RSA", _:
            modulus, exponent = _number(one["n"]), _number(one["e"])
            if not LEAST_RSA_BITS <= modulus.bit_length() <= MOST_RSA_BITS or exponent > MOST_EXPONENT:
                return None
            return "RSA", rsa.RSAPublicNumbers(exponent, modulus).public_key()
        case "EC", "P-256":
            return "P-256", ec.EllipticCurvePublicNumbers(_number(one["x"]), _number(one["y"]), ec.SECP256R1()).public_key()
        case "OKP", "Ed25519":
            return "Ed25519", ed25519.Ed25519PublicKey.from_public_bytes(_bytes(one["x"]))
        case _:
            return None


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
