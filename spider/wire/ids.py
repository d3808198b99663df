"""Ids: 16 bytes, as text 26 lower-case Crockford base32 characters."""

import os
import re
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {char: value for value, char in enumerate(_ALPHABET)}
_TEXT = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}\Z")


def to_text(raw: bytes) -> str:
    """Write 16 bytes as text.

    Raises: ValueError: not 16 bytes.
    """
    if len(raw) != 16:
        raise ValueError(f"an id has 16 bytes, not {len(raw)}")
    number = int.from_bytes(raw, "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def from_text(text: str) -> bytes:
    """Parse the text form. Each id has exactly one text form.

    Raises: ValueError: not an id.
    """
    if not _TEXT.match(text):
        raise ValueError("not an id")
    number = 0
    for char in text:
        number = number << 5 | _VALUES[char]
    return number.to_bytes(16, "big")


def is_id(text: str) -> bool:
    """Whether `text` is the text form of an id."""
    return bool(_TEXT.match(text))


def new_random_id() -> str:
    """Make the id of a node or fleet: 16 random bytes."""
    return to_text(os.urandom(16))


def made_at(text: str) -> int:
    """When an id was made, by its maker's clock, in Unix seconds.

    Args: text: an id of `new_time_id`.
    """
    return int.from_bytes(from_text(text)[:6], "big") // 1000


def new_time_id(now: "float | None" = None) -> str:
    """Make the id of a job, deployment or event: a UUIDv7 (RFC 9562), so that the texts sort by the maker's clock.

    Args: now: Unix seconds.
    """
    at_ms = int((time.time() if now is None else now) * 1000) & (1 << 48) - 1
    raw = bytearray(at_ms.to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    return to_text(bytes(raw))
