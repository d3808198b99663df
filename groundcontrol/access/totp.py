"""Codes of authenticator apps: RFC 6238 with SHA-1, six digits and steps of 30 seconds, which every app supports. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import struct
from typing import Final
from urllib.parse import quote, urlencode

SEED_BYTES: Final = 20
DIGITS: Final = 6
STEP_S: Final = 30
WINDOW: Final = 1
"""How many steps before and after the current one are valid, since clocks differ and users type slowly."""
ISSUER: Final = "Stardust"
_CODE: Final = re.compile(r"[0-9]{6}\Z")


def new_seed() -> bytes:
    """A new random seed of 160 bits."""
    return secrets.token_bytes(SEED_BYTES)


def seed_text(seed: bytes) -> str:
    """A seed in a form that a user can type."""
    return base64.b32encode(seed).decode().rstrip("=")


def uri(seed: bytes, username: str) -> str:
    """The URI of a seed, which the QR code contains."""
    label = quote(f"{ISSUER}:{username}", safe="")
    query = urlencode({"secret": seed_text(seed), "issuer": ISSUER, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_S})
    return f"otpauth://totp/{label}?{query}"


def is_code(text: str) -> bool:
    """Whether a text has six digits and otherwise only spaces. Any other text may be a recovery code."""
    return _CODE.match(_plain(text)) is not None


def code_of(seed: bytes, step: int) -> str:
    """The code of one step.

    Source: RFC 4226 §5.3 (dynamic truncation), RFC 6238 §4.
    """
    mac = hmac.digest(seed, struct.pack(">Q", step), hashlib.sha1)
    at = mac[-1] & 15
    number = struct.unpack_from(">I", mac, at)[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(seed: bytes, code: str, now: float) -> int | None:
    """The step of a code, among those that are valid now; None: the code is wrong or too old. Each case takes equally long.

    Args: now: Unix seconds.
    """
    given, current, found = _plain(code), int(now // STEP_S), None
    for step in range(max(0, current - WINDOW), current + WINDOW + 1):
        if hmac.compare_digest(code_of(seed, step).encode(), given.encode("utf-8", "surrogatepass")):
            found = step
    return found


def _plain(text: str) -> str:
    return text.replace(" ", "")
