"""Parses a pasted host list in any of the supported formats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from groundcontrol.deployments.hostlists.base import ENTER_ONCE, MAX_LINE_CHARS, MAX_ROWS, MAX_TEXT_CHARS, checked, quoted
from groundcontrol.deployments.hostlists.lines import read_lines
from groundcontrol.deployments.hostlists.model import Format, Listed, ListProblem, ParsedList
from groundcontrol.deployments.hostlists.ssh_config import read_ssh_config
from groundcontrol.deployments.hostlists.table import COLUMNS, DELIMITERS, columns_of, commented_header, is_secret, read_table
from groundcontrol.deployments.requests import one_spelling

_KEY: Final = "PRIVATE KEY-----"
"""Part of the first line of every private key. Its further lines could be mistaken for host names."""


def read_list(text: str, form: Format | Literal["auto"] = "auto") -> ParsedList:
    """Parse a list. No text makes this raise.

    Returns: at most MAX_ROWS servers, in the order of the list. A server that cannot be used has problems.
    """
    if len(text) > MAX_TEXT_CHARS:
        return _unread(form, f"the list has {len(text)} characters, and at most {MAX_TEXT_CHARS} are read")
    lines = list(enumerate(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1))
    key = next((number for number, line in lines if _KEY in line), None)
    if key is not None:
        message = f"the list contains a private key: remove it; {ENTER_ONCE}"
        return ParsedList("lines" if form == "auto" else form, (), problems=((key, ListProblem("secret_column", "", message)),))
    short = [(number, line) for number, line in lines if len(line) <= MAX_LINE_CHARS]
    form = format_of(short) if form == "auto" else form
    match form:
        case "lines":
            reading = ParsedList("lines", tuple(read_lines(short)))
        case "csv":
            reading = read_table(short)
        case "ssh_config":
            reading = read_ssh_config(short)
    problems = [
        (number, ListProblem("line_too_long", "", f"this line has {len(line)} characters, and at most {MAX_LINE_CHARS} are read"))
        for number, line in lines
        if len(line) > MAX_LINE_CHARS
    ]
    servers = reading.servers
    if len(servers) > MAX_ROWS:
        message = f"the list has {len(servers)} servers; one request takes at most {MAX_ROWS}: add the others in a second request"
        problems.append((servers[MAX_ROWS].line, ListProblem("too_many", "", message)))
        servers = servers[:MAX_ROWS]
    reported = sorted([*reading.problems, *problems], key=lambda one: one[0])[:MAX_ROWS]
    return reading._replace(
        servers=_without_repeats(checked(server) for server in servers), problems=tuple(reported), notes=reading.notes[:MAX_ROWS]
    )


def _unread(form: Format | Literal["auto"], message: str) -> ParsedList:
    return ParsedList("lines" if form == "auto" else form, (), problems=((1, ListProblem("too_many", "", message)),))


def format_of(lines: list[tuple[int, str]]) -> Format:
    """Detect the format by the first line that is neither empty nor a comment, or by a header after a `#`."""
    for _, line in lines:
        text = line.strip()
        if commented_header(text):
            return "csv"
        if not text or text.startswith("#"):
            continue
        word = text.replace("=", " ").split()[0].casefold() if text.replace("=", " ").split() else ""
        columns = columns_of(text)
        known = [column for column in columns if column in COLUMNS]
        # A table with a column for secrets is refused as a whole. A line with a # is rather a server with a comment.
        secret = "#" not in text and any(is_secret(column) for column in columns)
        if (any(sign in text for sign in DELIMITERS) and (secret or len(known) > 1)) or columns in (["host"], ["hostname"], ["address"]):
            return "csv"
        if word in _SSH_WORDS and len(text.replace("=", " ").split()) > 1:
            return "ssh_config"
        return "lines"
    return "lines"


_SSH_WORDS = frozenset(
    [
        "host",
        "match",
        "include",
        "hostname",
        "user",
        "port",
        "identityfile",
        "proxyjump",
        "proxycommand",
        "forwardagent",
        "serveraliveinterval",
        "stricthostkeychecking",
        "userknownhostsfile",
        "addkeystoagent",
        "compression",
        "loglevel",
        "controlmaster",
        "controlpath",
        "controlpersist",
        "identitiesonly",
    ]
)


def _without_repeats(servers: Iterable[Listed]) -> tuple[Listed, ...]:
    """Add a problem to each row that repeats an earlier server or name."""
    firsts: dict[object, Listed] = {}
    names: dict[str, Listed] = {}
    reported: list[Listed] = []
    for one in servers:
        server, name = one, one.name or one.host
        if name:
            jump = one.jump and (one_spelling(one.jump.host), one.jump.port)
            first = firsts.setdefault((one_spelling(one.host), one.port, jump), one)
            named = names.setdefault(name.casefold(), one)
            if first is not one:
                problem = ListProblem("duplicate", "host", f"{server.host} port {server.port} is in the list already, in line {first.line}")
                server = server._replace(problems=(*server.problems, problem))
            elif named is not one:
                problem = ListProblem("duplicate_name", "name", f"the name {quoted(name)} is in the list already, in line {named.line}")
                server = server._replace(problems=(*server.problems, problem))
        reported.append(server)
    return tuple(reported)
