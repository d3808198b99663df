"""Checks of what people set on a node: name, note, location, tags."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from groundcontrol.core import text as text_checks
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.text import first_invisible, is_visible
from groundcontrol.nodes.locations import MAX_LOCATION_CHARS

MAX_NAME_CHARS: Final = 100
MAX_TAGS: Final = 32
MAX_TAG_CHARS: Final = 64
MAX_NOTE_CHARS: Final = 2000


def checked_name(name: str, *, before: str | None = None) -> str:
    """Check a node's name and bring it into its stored form. Args: before: the name so far.

    Raises: BadRequest.
    """
    text = text_checks.checked_name(name, MAX_NAME_CHARS, before=before)
    if text != before and (any(letter in text for letter in ",*?[") or text.startswith(("tag:", "state:", "health:"))):
        raise BadRequest("name: without , * ? and [ and not beginning with tag:, state: or health:, which select nodes", field="name")
    return text


def checked_note(note: str, field: str = "note") -> str:
    """Check a note, or the text of a mark, and bring it into its stored form.

    Raises: BadRequest.
    """
    text = note.strip()
    if len(text) > MAX_NOTE_CHARS:
        raise BadRequest(f"{field}: at most {MAX_NOTE_CHARS} characters", field=field)
    if code := first_invisible(text.replace("\n", " ").replace("\t", " ")):
        raise BadRequest(f"{field}: it contains a character that cannot be seen ({code}): remove it", field=field)
    return text


def checked_location(location: str) -> str:
    """Check a location and bring it into its stored form; empty: not set.

    Raises: BadRequest.
    """
    text = " ".join(location.split())
    if len(text) > MAX_LOCATION_CHARS or (text and not is_visible(text)):
        raise BadRequest(f"a location has at most {MAX_LOCATION_CHARS} visible characters", field="location")
    return text


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Check tags that select nodes, and bring them into their stored form: each once, in the given order.

    Raises: BadRequest.
    """
    trimmed = tuple(dict.fromkeys(tag.strip() for tag in tags))
    if len(trimmed) > MAX_TAGS or not all(1 <= len(tag) <= MAX_TAG_CHARS and is_visible(tag) for tag in trimmed):
        raise BadRequest(f"at most {MAX_TAGS} tags, each of 1 to {MAX_TAG_CHARS} visible characters", field="tags")
    return trimmed


def checked_new_tags(tags: Iterable[str], *, before: Collection[str] = ()) -> tuple[str, ...]:
    """Check the tags that nodes get. Args: before: those that they have, which stay valid.

    Raises: BadRequest.
    """
    trimmed = checked_tags(tags)
    for tag in trimmed:
        if tag not in before and any(char in tag for char in ",<>"):
            raise BadRequest("a tag has no comma, which separates tags, and neither < nor >", field="tags")
    return trimmed
