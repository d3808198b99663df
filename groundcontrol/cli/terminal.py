"""Job output on the user's terminal: colours and lines stay, all other control sequences are removed."""

from __future__ import annotations

import codecs
import re
from typing import Final

_ALLOWED: Final = re.compile(
    r"\x1b\[[0-9;]{0,32}m"  # colours
    r"|[\t\n\r\b]"
)
_SEQUENCE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_][^\x1b\x07\x9c]{0,4096}(?:\x1b\\|\x07|\x9c|\Z)"  # OSC, DCS, SOS, PM, APC with their text
    r"|\x1b[ -/]*[0-~]"  # two and three bytes
    r"|[\x00-\x1f\x7f-\x9f]"
)
_OPEN: Final = re.compile(r"\x1b(?:\[[0-?]{0,256}[ -/]{0,16}|[\]PX^_][^\x1b\x07\x9c]{0,4096}\x1b?|[ -/]{0,16})?\Z")
"""A sequence that may continue in the next piece. Its length is bounded, since a job may print a sequence without an end."""


class AnsiFilter:
    """Filters output that arrives in pieces. A character or sequence that is incomplete at a piece's end waits for the next piece."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = ""

    def feed(self, data: bytes) -> str:
        """The next piece without the removed sequences."""
        text = self._pending + self._decoder.decode(data)
        cut = _OPEN.search(text)
        self._pending = ""
        if cut is not None:
            text, self._pending = text[: cut.start()], text[cut.start() :]
        return _SEQUENCE.sub(lambda found: found.group(0) if _ALLOWED.fullmatch(found.group(0)) else "", text)
