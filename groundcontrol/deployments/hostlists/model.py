"""Domain types of a parsed host list: rows with their problems. They never contain a secret."""

from __future__ import annotations

from typing import Literal, NamedTuple

Format = Literal["lines", "csv", "ssh_config"]
ProblemCode = Literal[
    "not_understood", "host_missing", "host_invalid", "port_invalid", "user_invalid", "name_invalid", "tags_invalid", "host_key_invalid",
    "jump_invalid", "jump_chain", "proxy_command", "secret_column", "header_missing", "duplicate", "duplicate_name", "name_taken",
    "target_not_allowed", "line_too_long", "too_many",
]  # fmt: skip


class ServerAddress(NamedTuple):
    """Where a server or a jump host is reached, and by which user."""

    host: str
    port: int
    username: str | None
    """None: the list names no user for it."""


class ListProblem(NamedTuple):
    """A problem, with a text for the user."""

    code: ProblemCode
    field: str
    """The field: host, port, username, name, tags, host_key or jump; empty: the whole row."""
    message: str


class Note(NamedTuple):
    """A part of the list that was skipped, and why."""

    line: int
    message: str


class Listed(NamedTuple):
    """One server of the list. If it has problems it cannot be used, and its fields hold the parts that could be parsed."""

    line: int
    """The number of its line, from 1."""
    host: str
    port: int = 22
    username: str | None = None
    """None: the list has no user name for this server."""
    name: str | None = None
    tags: tuple[str, ...] = ()
    host_key: str | None = None
    jump: ServerAddress | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[ListProblem, ...] = ()


class ParsedList(NamedTuple):
    """A parsed list."""

    format: Format
    servers: tuple[Listed, ...]
    notes: tuple[Note, ...] = ()
    problems: tuple[tuple[int, ListProblem], ...] = ()
    """Line and problem, for problems of the whole list or of a line without a server."""
