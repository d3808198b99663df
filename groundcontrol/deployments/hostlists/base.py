"""Parses one `[user@]host[:port]`, and validates one row of a host list. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from groundcontrol.core.errors import BadRequest
from groundcontrol.core.text import clean, is_visible
from groundcontrol.deployments.hostlists.model import Listed, ListProblem, ProblemCode, ServerAddress
from groundcontrol.deployments.requests import (
    is_fingerprint,
    is_host,
    is_username,
)
from groundcontrol.nodes.checks import checked_name, checked_new_tags

MAX_TEXT_CHARS: Final = 256 << 10
MAX_ROWS: Final = 200
MAX_LINE_CHARS: Final = 2000
SHOWN_CHARS: Final = 80
"""Length to which a quoted invalid text is truncated."""
ENTER_ONCE: Final = "enter the user name and password or key once in the form, for all servers"
"""What to do instead of secrets in the list."""


class ServerError(ValueError):
    """A text that is not a valid server, with its problem."""

    def __init__(self, problem: ListProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def quoted(text: str) -> str:
    """The text, truncated and printable, for an error message."""
    shown_text = clean(text, SHOWN_CHARS)
    return f"“{shown_text}…”" if len(text.strip()) > SHOWN_CHARS else f"“{shown_text}”"


def read_address(text: str) -> ServerAddress:
    """Parse `[ssh://][user@]host[:port]`. An IPv6 address with a port needs brackets.

    Returns: the address, with port 22 if none is given.
    Raises:  ServerError.
    """
    rest = text.strip()
    if rest[:6].lower() == "ssh://":
        rest = rest[6:].removesuffix("/")
    user, at, rest = rest.rpartition("@")
    if ":" in user:
        raise ServerError(ListProblem("user_invalid", "username", f"passwords are not allowed in the list: {ENTER_ONCE}"))
    host, port = _host_and_port(rest)
    if not host:
        raise ServerError(ListProblem("host_missing", "host", f"{quoted(text)} names no server"))
    if not is_host(host):
        raise ServerError(invalid_host(host))
    if at and not is_username(user):
        raise ServerError(ListProblem("user_invalid", "username", f"{quoted(user)} is not the name of an account"))
    return ServerAddress(host, read_port(port), user if at else None)


def invalid_host(text: str) -> ListProblem:
    """The problem of a text that is not a host."""
    if not is_visible(text):
        return ListProblem("host_invalid", "host", f"{quoted(text)} contains a character that cannot be seen: type the host again")
    return ListProblem("host_invalid", "host", f"{quoted(text)} is neither a host name nor an IP address")


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        inside, closed, after = text[1:].partition("]")
        if not closed or (after and not after.startswith(":")):
            raise ServerError(ListProblem("host_invalid", "host", f"{quoted(text)}: an IPv6 address stands as [address] or [address]:port"))
        if ":" not in inside:
            raise ServerError(ListProblem("host_invalid", "host", f"{quoted(inside)} in brackets is not an IPv6 address"))
        return inside, after[1:] if after else "22"
    if text.count(":") > 1:
        if not _is_ipv6(text):
            raise ServerError(ListProblem("host_invalid", "host", f"{quoted(text)}: an IPv6 address stands as [address] or [address]:port"))
        return text, "22"
    host, colon, port = text.partition(":")
    return host, port if colon else "22"


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text.partition("%")[0]).version == 6  # IP version 6, without the zone after the %
    except ValueError:
        return False


def read_port(text: str) -> int:
    """Parse a port.

    Raises: ServerError.
    """
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 0 < int(digits) < 65536):  # the range of ports
        raise ServerError(ListProblem("port_invalid", "port", f"{quoted(text)} is not a port: 1 to 65535"))
    return int(digits)


def read_tags(text: str) -> tuple[str, ...]:
    """Parse tags, separated by `;`, `|`, commas or spaces."""
    return tuple(dict.fromkeys(tag for tag in re.split(r"[;|,\s]", text) if tag))


def checked(server: Listed) -> Listed:
    """Validate the fields of a row, and add their problems to the row. The format has validated the host already."""
    found = list(server.problems)
    known = {problem.field for problem in found}

    def report(code: ProblemCode, field: str, message: str) -> None:
        if field not in known:
            found.append(ListProblem(code, field, message))

    if not 0 < server.port < 65536:  # the range of ports
        report("port_invalid", "port", f"{server.port} is not a port: 1 to 65535")
    if server.username is not None and not is_username(server.username):
        report("user_invalid", "username", f"{quoted(server.username)} is not the name of an account")
    try:
        if server.name is not None:
            checked_name(server.name)
    except BadRequest as exc:
        report("name_invalid", "name", exc.message)
    try:
        checked_new_tags(server.tags)
    except BadRequest as exc:
        report("tags_invalid", "tags", exc.message)
    if server.host_key is not None and not is_fingerprint(server.host_key):
        report("host_key_invalid", "host_key", f"{quoted(server.host_key)} is not a fingerprint as ssh-keygen -lf prints it: SHA256:…")
    return server._replace(problems=tuple(found))
