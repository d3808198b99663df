"""Texts for people: sizes, and escapes of characters that are invisible, act on a terminal or page, or could make two texts look alike."""

import re
from typing import Union

UNSEEN = (
    r"\x00-\x1f\x7f-\x9f"  # controls
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # Default_Ignorable_Code_Point
    r"\u2028\u2029\ufff9-\ufffb\ufffe\uffff"  # line separators, annotations, noncharacters
    r"\u2800\U0001d159"  # blank: a braille pattern without dots, a musical note without a head
)
"""Content of a regular expression's character class."""
UNSEEN_CHAR = re.compile("[" + UNSEEN + "\ud800-\udfff]")


def plain(raw: Union[bytes, str], most: int = 200) -> str:
    """Make a text of the host one harmless line: invalid UTF-8, control, invisible and bidirectional characters are escaped.

    Args: most: longest result in characters; a longer text is cut and ends with an ellipsis.
    """
    text = raw[: most * 4].decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw[: most * 4]
    text = UNSEEN_CHAR.sub(_escape, text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _escape(match: "re.Match[str]") -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def decimal_size(count: int) -> str:
    """A number of bytes for people, as package managers say it: `14.3 MB`."""
    for unit, size in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
