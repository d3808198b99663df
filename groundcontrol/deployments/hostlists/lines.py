"""Parses a list with one server per line: `[user@]host[:port]`, and optionally its node name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from groundcontrol.deployments.hostlists.base import ServerError, quoted, read_address
from groundcontrol.deployments.hostlists.model import Listed, ListProblem

MAX_WORDS: Final = 2


def read_lines(lines: Iterable[tuple[int, str]]) -> Iterator[Listed]:
    """Parse numbered lines. Empty lines and comments after `#` are skipped."""
    for number, line in lines:
        words = _uncommented(line).split()
        if words:
            yield _read(number, words)


def _uncommented(line: str) -> str:
    """The line without its comment. A `#` begins a comment only at the start or after a space."""
    if line.lstrip().startswith("#"):
        return ""
    for at, sign in enumerate(line):
        if sign == "#" and line[at - 1].isspace():
            return line[:at]
    return line


def _read(number: int, words: list[str]) -> Listed:
    name = words[1] if len(words) == MAX_WORDS else None
    extra: tuple[ListProblem, ...] = ()
    if len(words) > MAX_WORDS:
        message = f"{quoted(' '.join(words[1:]))}: a line is user@host:port, and optionally a name after it"
        extra = (ListProblem("not_understood", "", message),)
    try:
        server = read_address(words[0])
    except ServerError as exc:
        return Listed(number, words[0].rpartition("@")[2][:300], name=name, problems=(exc.problem, *extra))
    return Listed(number, server.host, server.port, server.username, name, problems=extra)
