"""Domain tuples as JSON objects in a column, by field name. So a new field needs no migration."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from groundcontrol.core.errors import BadRequest, StoreError

T = TypeVar("T", bound=tuple[Any, ...])
V = TypeVar("V")

_TEXTS: Final = msgspec.json.Decoder(tuple[str, ...])
_OBJECT: Final = msgspec.json.Decoder(dict[str, object])
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def to_json(value: object) -> str:
    """Write a value as JSON text.

    Raises: BadRequest: the value contains NUL, a lone surrogate, or something that JSON cannot represent.
    """
    try:
        encoded = msgspec.json.encode(value)
        if _NUL.search(encoded):
            raise BadRequest("a text contains the character U+0000, which cannot be stored")
        return encoded.decode()
    except (TypeError, ValueError, OverflowError) as exc:
        raise BadRequest("a value cannot be stored as JSON") from exc


def record_to_json(record: Any) -> str:
    """Write one flat NamedTuple as an object."""
    return to_json(record._asdict())


def records_to_json(records: Sequence[Any]) -> str:
    """Write several records as a list of objects."""
    return to_json([record._asdict() for record in records])


_DAMAGE: Final = (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError, zlib.error)
"""What decoding a damaged column raises."""


def _read(read: Callable[[Any], V], stored: Any) -> V:
    """Read a stored column. Raises: StoreError: it is damaged."""
    try:
        return read(stored)
    except _DAMAGE as exc:
        raise StoreError("a stored record cannot be read") from exc


def record_from_json(kind: type[T], text: str | bytes) -> T:
    """Read the text of `record_to_json`; missing fields get their defaults.

    Raises: StoreError: the text is damaged. The functions below that read stored texts raise it too, except `object_or_damage`.
    """
    return _read(lambda stored: _build(kind, msgspec.json.decode(stored)), text)


def records_from_json(kind: type[T], text: str | bytes) -> tuple[T, ...]:
    """Read the text of `records_to_json`."""
    return _read(lambda stored: tuple([_build(kind, item) for item in msgspec.json.decode(stored)]), text)


def texts_from_json(text: str | bytes) -> tuple[str, ...]:
    """Read a list of texts."""
    return _read(_TEXTS.decode, text)


def object_from_json(text: str | bytes) -> dict[str, object]:
    """Read an object with any values."""
    return _read(_OBJECT.decode, text)


def object_or_damage(text: str | bytes) -> dict[str, object]:
    """`object_from_json` for entries of a list. A damaged object becomes `{"damaged": true}`, so that it does not hide the others."""
    try:
        return object_from_json(text)
    except StoreError:
        return {"damaged": True}


def decoded(decoder: msgspec.json.Decoder[V], text: str | bytes) -> V:
    """Read a text with a prepared decoder."""
    return _read(decoder.decode, text)


def inflated(decoder: msgspec.json.Decoder[V], body: bytes) -> V:
    """Read deflated JSON with a prepared decoder."""
    return _read(lambda stored: decoder.decode(zlib.decompress(stored)), body)


def _build(kind: type[T], found: object) -> T:
    if not isinstance(found, dict):
        raise TypeError("not an object")
    fields: Sequence[str] = kind._fields  # type: ignore[attr-defined]  # every NamedTuple has them
    defaults: Mapping[str, object] = kind._field_defaults  # type: ignore[attr-defined]
    built: T = msgspec.convert([found[field] if field in found else defaults[field] for field in fields], kind)
    return built


def digest(*parts: object) -> bytes:
    """A digest of 16 bytes of a command's arguments, by which a repeated command is recognised.

    Raises: as `to_json`.
    """
    return hashlib.sha256(to_json(parts).encode()).digest()[:16]
