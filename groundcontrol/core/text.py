"""Cleaning of text from outside: one line, of limited length, without control or invisible characters."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from groundcontrol.core.errors import BadRequest
from spider.wire.ids import is_id
from spider.wire.text import UNSEEN_CHAR

MAX_TEXT: Final = 256
MAX_REASON_CHARS: Final = 200
_SPACES: Final = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
"""Spaces that look like the ASCII space but have other widths."""
_EMOJI: Final = r"\u2122\u2139\u2190-\u2bff\U0001f000-\U0001faff"
"""Content of a character class: symbols, most emoji among them."""
_EMOJI_PARTS: Final = re.compile(rf"(?<=[{_EMOJI}])\ufe0f|(?<=[{_EMOJI}\ufe0f])\u200d(?=[{_EMOJI}])")
"""The variation selector after an emoji, and the joiner between two emoji. Both only change how the emoji look."""
_WRITTEN: Final = {"\n": "⏎", "\t": "⇥"}


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """One line of plain text, at most `limit` characters, without control, invisible or direction-changing characters."""
    text = text[: limit * 4]
    if not (text.isascii() and text.isprintable()):  # a fast path: nearly all texts are printable ASCII
        text = _SPACES.sub(" ", UNSEEN_CHAR.sub("", text))
    return text.strip()[:limit]


def visible(text: str, limit: int) -> str:
    """Like `clean`, but each unwanted character is replaced by a visible text: a line break by ⏎, a tab by ⇥, others by a code such as
    `\\x1b`. A text that is cut ends with …."""
    text = text[: limit * 4].strip()
    if not (text.isascii() and text.isprintable()):
        text = _SPACES.sub(" ", UNSEEN_CHAR.sub(_write, text.replace("\r\n", "\n")))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def fold(text: str) -> str:
    """The case-folded form in which names are compared and texts are searched."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def is_visible(text: str) -> bool:
    """Whether a text from a user has no control and no invisible characters."""
    return text.isprintable() and UNSEEN_CHAR.search(text) is None


def checked_reason(text: str, field: str = "reason") -> str:
    """Why a person does something, for the audit log. Raises: BadRequest."""
    reason = text.strip()
    if not 1 <= len(reason) <= MAX_REASON_CHARS or not is_visible(reason):
        raise BadRequest(f"{field}: 1 to {MAX_REASON_CHARS} visible characters: the audit log keeps it", field=field)
    return reason


def checked_name(text: str, most: int, field: str = "name", *, before: str | None = None) -> str:
    """A name that a person gives to something, in its stored form: one line with single spaces. Everything that has a name shares this rule.

    `<` and `>` are refused since names go to receivers of messages, which may take them for markup, and ids since commands look for ids first.
    Args:   most: characters. before: the name so far, which stays valid: earlier versions allowed more.
    Raises: BadRequest.
    """
    if text == before:
        return text
    name = " ".join(text.split())
    if not 1 <= len(name) <= most or not is_visible(name) or "<" in name or ">" in name:
        raise BadRequest(f"{field}: 1 to {most} visible characters, without < and >", field=field)
    if is_id(name):
        raise BadRequest(f"{field}: it must not have the form of an id, for which commands would take it", field=field)
    return name


def first_invisible(text: str) -> str:
    """The code of the first character that `is_visible` refuses, such as U+200D; empty: there is none. The invisible parts of an emoji are
    allowed."""
    return next((f"U+{ord(char):04X}" for char in _EMOJI_PARTS.sub("", text) if not is_visible(char)), "")


def _write(match: re.Match[str]) -> str:
    char = match.group()
    code = ord(char)
    return _WRITTEN.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
