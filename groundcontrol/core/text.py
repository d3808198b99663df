"""Texts from elsewhere: one line, of limited length, without anything that acts on what shows it or that nobody sees."""

from __future__ import annotations

import re
from typing import Final

from spider.wire.text import UNSEEN_CHAR

MAX_TEXT: Final = 256
_SPACES: Final = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
"""Of other widths: they look like the one of ASCII."""
_WRITTEN: Final = {"\n": "⏎", "\t": "⇥"}


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """One line of plain text, at most `limit` characters: nothing that moves a cursor, hides or turns round."""
    text = text[: limit * 4]
    if not (text.isascii() and text.isprintable()):  # nearly all is, and holds nothing to take out
        text = _SPACES.sub(" ", UNSEEN_CHAR.sub("", text))
    return text.strip()[:limit]


def visible(text: str, limit: int) -> str:
    """As `clean`, with what is not wanted written out: a break of the line as ⏎, a tab as ⇥, anything else as `\\x1b`."""
    text = text[: limit * 4].strip()
    if not (text.isascii() and text.isprintable()):
        text = _SPACES.sub(" ", UNSEEN_CHAR.sub(_write, text.replace("\r\n", "\n")))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def is_visible(text: str) -> bool:
    """Whether a text that a person has given shows all of itself."""
    return text.isprintable() and UNSEEN_CHAR.search(text) is None


def _write(match: re.Match[str]) -> str:
    char = match.group()
    code = ord(char)
    return _WRITTEN.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
