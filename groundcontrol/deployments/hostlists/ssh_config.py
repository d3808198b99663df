"""Parses the configuration of an OpenSSH client (ssh_config(5)). Each literal name of a `Host` line is a server.

As in OpenSSH, the first matching value applies, so defaults are in `Host *` at the end. Nothing is executed, read or resolved.
`Match` and `Include` are ignored with a note, and `ProxyCommand` is a problem of its server.
"""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Iterable
from typing import Final, NamedTuple

from groundcontrol.deployments.hostlists.base import MAX_ROWS, ServerError, invalid_host, quoted, read_address, read_port
from groundcontrol.deployments.hostlists.model import Listed, ListProblem, Note, ParsedList, ServerAddress
from groundcontrol.deployments.hostlists.table import read_jump
from groundcontrol.deployments.requests import is_host

USED: Final = ("hostname", "user", "port", "proxyjump", "proxycommand", "identityfile", "certificatefile", "hostkeyalias")
KEYS_ARE_GIVEN: Final = "IdentityFile is not read: enter the key of all servers in the form"
NOT_FOLLOWED: Final = {
    "match": "Match blocks are not supported: this one is left out",
    "include": "Include is not followed: paste that file too",
}
MAX_PATTERNS: Final = 2000
"""Most patterns of one file."""
MAX_EFFORT: Final = 20_000_000
"""Cost limit of all pattern matches of a file, in character comparisons: some tenths of a second."""
EFFORT_OF_TRY: Final = 200
"""Fixed cost of matching a pattern with a name, in character comparisons."""
EFFORT_OF_SIGN: Final = 1000
"""Cost of compiling a pattern, per character."""


class _TooMuch(Exception):
    """The patterns of this file exceed the cost limit. A file written by hand never does."""


class _Block(NamedTuple):
    line: int
    patterns: tuple[str, ...]
    options: dict[str, str]


class _Rules:
    """The blocks of a file, indexed for the lookup of many names."""

    def __init__(self, blocks: list[_Block]) -> None:
        self._effort = MAX_EFFORT
        self._blocks = [block for block in blocks if block.options]
        self._ready: dict[str, re.Pattern[str]] = {}
        self._known: dict[str, dict[str, str]] = {}
        self._named: dict[str, list[int]] = {}
        self._open: list[int] = []
        """Positions of the blocks with a wildcard pattern. The other blocks are found by name."""
        for at, block in enumerate(self._blocks):
            for one in block.patterns:
                if not one.startswith("!") and not _is_open(one):
                    self._named.setdefault(one, []).append(at)
            if any(_is_open(one) for one in block.patterns if not one.startswith("!")):
                self._open.append(at)

    def of(self, name: str) -> dict[str, str]:
        """All options of a name, each with its first matching value.

        Raises: _TooMuch.
        """
        if name not in self._known:
            found: dict[str, str] = {}
            for at in sorted({*self._open, *self._named.get(name, ())}):
                if self._fits(self._blocks[at], name):
                    for option, value in self._blocks[at].options.items():
                        found.setdefault(option, value)
            self._known[name] = found
        return self._known[name]

    def _fits(self, block: _Block, name: str) -> bool:
        """Whether a block applies to a name: a pattern matches, and no pattern with `!` does."""
        if any(self._like(name, one[1:]) for one in block.patterns if one.startswith("!")):
            return False
        return any(self._like(name, one) for one in block.patterns if not one.startswith("!"))

    def _like(self, name: str, pattern: str) -> bool:
        """Whether a name matches a pattern. Only the wildcards * and ? are special."""
        if not _is_open(pattern):
            self._spend(EFFORT_OF_TRY)
            return name == pattern
        ready = self._ready.get(pattern)
        if ready is None:
            self._spend(len(pattern) * EFFORT_OF_SIGN)
            ready = self._ready[pattern] = re.compile(fnmatch.translate(re.sub(r"\*+", "*", pattern).replace("[", "[[]")))
        self._spend(len(pattern) * len(name) + EFFORT_OF_TRY)
        return ready.match(name) is not None

    def _spend(self, effort: int) -> None:
        self._effort -= effort
        if self._effort < 0:
            raise _TooMuch


def _is_open(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern


def read_ssh_config(lines: Iterable[tuple[int, str]]) -> ParsedList:
    """Parse numbered lines."""
    blocks, notes, problems = _blocks(lines)
    if sum(len(block.patterns) for block in blocks) > MAX_PATTERNS:
        problem = ListProblem("too_many", "", f"this file has more than {MAX_PATTERNS} patterns: paste only the part with your servers")
        return ParsedList("ssh_config", (), tuple(notes), (*problems, (1, problem)))
    named = [(block.line, one) for block in blocks for one in block.patterns if not one.startswith("!") and not _is_open(one)]
    rules = _Rules(blocks)
    try:
        # One server more than allowed, so that the caller notices the excess.
        servers = [_server(line, name, rules) for line, name in named[: MAX_ROWS + 1]]
    except _TooMuch:
        problem = ListProblem(
            "too_many", "", "this file has too many patterns with * and ? for its names: paste only the part with your servers"
        )
        return ParsedList("ssh_config", (), tuple(notes), (*problems, (1, problem)))
    return ParsedList("ssh_config", tuple(servers), tuple(notes), tuple(problems))


def _blocks(lines: Iterable[tuple[int, str]]) -> tuple[list[_Block], list[Note], list[tuple[int, ListProblem]]]:
    blocks = [_Block(0, ("*",), {})]
    notes: list[Note] = []
    problems: list[tuple[int, ListProblem]] = []
    for number, line in lines:
        try:
            word, values = _option(line)
        except ValueError:
            problems.append((number, ListProblem("not_understood", "", f"a quote in this line is not closed: {quoted(line)}")))
            continue
        if not word:
            continue
        if word == "host":
            blocks.append(_Block(number, tuple(values), {}))
        elif word in NOT_FOLLOWED:
            notes.append(Note(number, NOT_FOLLOWED[word]))
            if word == "match":
                blocks.append(_Block(number, (), {}))
        elif not values:
            problems.append((number, ListProblem("not_understood", "", f"{quoted(line)} has no value")))
        elif word in USED:
            blocks[-1].options.setdefault(word, " ".join(values) if word == "proxycommand" else values[0])
    return blocks, notes, problems


def _option(line: str) -> tuple[str, list[str]]:
    """Parse `Keyword value…` or `Keyword=value`; the keyword is returned in lower case. ("", []): an empty line or a comment.

    Raises: ValueError: a quote is not closed.
    """
    text = line.strip()
    if not text or text.startswith("#"):
        return "", []
    for at, sign in enumerate(text):
        if sign.isspace() or sign == "=":
            rest = text[at:].lstrip().removeprefix("=").lstrip()
            reader = shlex.shlex(rest, posix=True, punctuation_chars=False)
            reader.whitespace_split, reader.commenters, reader.escape, reader.quotes = True, "", "", '"'
            return text[:at].lower(), list(reader)
    return text.lower(), []


def _server(line: int, name: str, rules: _Rules) -> Listed:
    problems: list[ListProblem] = []
    notes: list[str] = []
    options = rules.of(name)
    host, wrong = _host_of(name, options)
    if wrong is None and not is_host(host):
        wrong = invalid_host(host)
    if wrong is not None:
        problems.append(wrong)
    port = 22
    try:
        port = read_port(options.get("port") or "22")
    except ServerError as exc:
        problems.append(exc.problem)
    if options.get("identityfile") is not None:
        notes.append(KEYS_ARE_GIVEN)
    command, via = options.get("proxycommand"), options.get("proxyjump")
    if via is None and command is not None and command.casefold() != "none":
        problems.append(ListProblem("proxy_command", "jump", "ProxyCommand is not supported: write ProxyJump, or add this server alone"))
    jump, wrong = _jump_of(via, rules)
    if wrong is not None:
        problems.append(wrong)
    shown = None if name == host else name
    return Listed(line, host, port, options.get("user"), shown, (), None, jump, tuple(notes), tuple(problems))


def _host_of(name: str, options: dict[str, str]) -> tuple[str, ListProblem | None]:
    reported = options.get("hostname")
    if reported is None:
        return name, None
    host = reported.replace("%%", "\0").replace("%h", name)
    if "%" in host.replace("\0", "") and not host.count(":") > 1:
        return reported[:300], ListProblem("host_invalid", "host", f"{quoted(reported)}: %h is the only supported sign with %")
    return host.replace("\0", "%")[:300], None


def _jump_of(text: str | None, rules: _Rules) -> tuple[ServerAddress | None, ListProblem | None]:
    """The jump host, with its options from the same file. A jump host that needs another one is a problem."""
    server, wrong = read_jump(text)
    if server is None or text is None:
        return server, wrong
    options = rules.of(server.host)
    host, wrong = _host_of(server.host, options)
    if wrong is not None:
        return None, wrong._replace(code="jump_invalid", field="jump")
    over = options.get("proxyjump")
    if over is not None and over.casefold() != "none":
        return None, ListProblem(
            "jump_chain", "jump", f"{quoted(server.host)} is itself behind a jump host: a chain of jump hosts is not supported"
        )
    try:
        reported = read_port(options.get("port") or "22")
        named = read_address(f"[{host}]" if host.count(":") > 1 else host).host
    except ServerError as exc:
        return None, ListProblem("jump_invalid", "jump", f"the jump host {quoted(server.host)}: {exc.problem.message}")
    has_port = text.rpartition("]")[2].rpartition("@")[2].count(":") == 1
    return ServerAddress(named, server.port if has_port else reported, server.username or options.get("user")), None
