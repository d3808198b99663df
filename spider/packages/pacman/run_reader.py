"""Parses the output of pacman while it runs: phases, progress, errors and notes."""

import re

from spider.packages.backend import OutputReader
from spider.packages.interfaces import Console
from spider.packages.pacman import parsers as pacman_parsers
from spider.wire.sentences import sentence

_GLUED = re.compile(r"(?:error|warning): failed retrieving file")
"""On a terminal this message is on the same line as the progress bar of the file."""
_BAD_SIGNATURE = re.compile(r"(?:unknown|marginal) trust|PGP signature|could not be looked up remotely|keyring is not writable")


class PacmanReader(OutputReader):
    """Parses the output of pacman."""

    TROUBLE = re.compile(
        r"^(?:error|warning): |^Errors occurred|^\S+: (?:/\S+|.{0,300}) exists in filesystem|^:: .*(?:in conflict|breaks dependency)"
    )

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._phase = ""

    def line(self, text: str) -> None:
        glued = _GLUED.search(text)
        if glued:
            text = text[glued.start() :]
        found = pacman_parsers.parse_progress(text, self._phase)
        if found is not None:
            self._phase = found.phase
            self.console.progress(*found)
        super().line(text)

    def trouble(self, text: str) -> None:
        if "ignoring package upgrade" in text:
            return  # the plan lists this package as held
        super().trouble(text)
        code = "report.pacman_keyring" if _BAD_SIGNATURE.search(text) else "report.pacman_sandbox" if "sandbox user" in text else ""
        if code and sentence(code) not in self.notes:
            self.notes.append(sentence(code))
