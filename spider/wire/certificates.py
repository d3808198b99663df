"""Parses two parts of an X.509 certificate (DER): the public key, for the comparison with a pin, and the issuer, for error texts."""

import hashlib
from typing import List, Tuple

from spider.wire.proof import constant_time_equal

PIN_BYTES = 32
MAX_PINS = 4
"""Most pins of one hub: a key and its successors. Each makes an invite 43 characters longer."""
_MAX_NAME_CHARS = 100
_NAMES = {b"\x55\x04\x03": 0, b"\x55\x04\x0a": 1}
"""Parts of a name that are shown, in this order: common name (2.5.4.3) and organisation (2.5.4.10)."""
_ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}


def is_pinned(certificate: bytes, pins: bytes) -> bool:
    """Whether a certificate's key is pinned. `pins` is a concatenation of SHA-256 digests of public keys.

    Raises: ValueError: not a certificate.
    """
    seen = hashlib.sha256(public_key_info(certificate)).digest()
    return any(constant_time_equal(seen, pins[at : at + PIN_BYTES]) for at in range(0, len(pins), PIN_BYTES))


def read_pins(text: str) -> bytes:
    """Parse one pin or several, separated by commas.

    Raises: ValueError: one of them is not 64 lower-case hex digits, or there are more than `MAX_PINS`.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > MAX_PINS or any(len(part) != 2 * PIN_BYTES or set(part) - set("0123456789abcdef") for part in parts):
        raise ValueError(
            f"64 hex digits (0-9, a-f) are expected (SHA-256 of the hub's public key), or up to {MAX_PINS} such with commas between"
        )
    return bytes.fromhex("".join(parts))


def public_key_info(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo inside a certificate.

    Raises: ValueError: not a certificate.
    """
    tbs, at = _behind(certificate, 5)
    _, end = _der(tbs, at)
    return tbs[at:end]


def issuer_of(certificate: bytes) -> str:
    """The issuer of a certificate, by common name and organisation; empty: there is none. The text is untrusted, so non-printable
    characters are removed.

    Raises: ValueError: not a certificate.
    """
    tbs, at = _behind(certificate, 2)
    name, _ = _der(tbs, at)
    found: List[Tuple[int, str]] = []
    at = 0
    while at < len(name):
        pairs, at = _der(name, at)
        pair, _ = _der(pairs, 0)
        kind, value = _der(pair, 0)
        text, _ = _der(pair, value)
        if kind in _NAMES and pair[value] in _ENCODINGS:
            plain = text.decode(_ENCODINGS[pair[value]], "replace")
            found.append((_NAMES[kind], "".join(char for char in plain if char.isprintable())[:_MAX_NAME_CHARS]))
    first = dict(reversed(found))
    return ", ".join(text for _, text in sorted(first.items()))


def untrusted(certificate: bytes, why: str) -> str:
    """An error sentence that names the issuer and the key of a refused certificate, so that a person can compare the key."""
    try:
        issuer, pin = issuer_of(certificate), hashlib.sha256(public_key_info(certificate)).hexdigest()
    except ValueError:
        return f"its certificate is not trusted here: {why}"
    return f"its certificate is not trusted here: {why}. It was issued by {issuer or 'nobody by name'!r}; the SHA-256 of its public key is {pin}"


def _behind(certificate: bytes, fields: int) -> Tuple[bytes, int]:
    """The signed part of a certificate (TBSCertificate), and the offset after its first `fields` fields. Their order is: serial number,
    signature algorithm, issuer, validity, subject."""
    whole, _ = _der(certificate, 0)
    tbs, _ = _der(whole, 0)
    at = 0
    if tbs[:1] == b"\xa0":  # the version, when it is not v1
        _, at = _der(tbs, at)
    for _field in range(fields):
        _, at = _der(tbs, at)
    return tbs, at


def _der(data: bytes, at: int) -> Tuple[bytes, int]:
    """The content of the DER value at an offset, and where it ends."""
    head = data[at : at + 2]
    if len(head) < 2:
        raise ValueError("truncated")
    size, start = head[1], at + 2
    if size >= 0x80:
        width = size & 0x7F
        size = int.from_bytes(data[start : start + width], "big")
        start += width
        if not 0 < width <= 4:
            raise ValueError("an odd length")
    if start + size > len(data):
        raise ValueError("truncated")
    return data[start : start + size], start + size
