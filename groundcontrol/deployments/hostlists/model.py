"""What is read of a list of servers: rows, each with what is wrong with it. No secret ever stands in one."""

from __future__ import annotations

from typing import Literal, NamedTuple

Format = Literal["lines", "csv", "ssh_config"]
ProblemCode = Literal[
    "not_understood", "host_missing", "host_invalid", "port_invalid", "user_invalid", "name_invalid", "tags_invalid", "host_key_invalid",
    "jump_invalid", "jump_chain", "proxy_command", "secret_column", "header_missing", "duplicate", "duplicate_name", "name_taken",
    "target_not_allowed", "line_too_long", "too_many",
]  # fmt: skip


class JumpServer(NamedTuple):
    """A server named by another one: its jump host."""

    host: str
    port: int
    username: str | None


class ListProblem(NamedTuple):
    """What is wrong, in words for people."""

    code: ProblemCode
    field: str
    """host, port, username, name, tags, host_key, jump; empty: the row as a whole."""
    message: str


class Note(NamedTuple):
    """Something that was left out, and why."""

    line: int
    message: str


class Listed(NamedTuple):
    """One server as the list has it. With problems it cannot be taken, and the fields hold what could be read."""

    line: int
    """Where it begins, from 1."""
    host: str
    port: int = 22
    username: str | None = None
    """None: the list does not say."""
    name: str | None = None
    tags: tuple[str, ...] = ()
    host_key: str | None = None
    jump: JumpServer | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[ListProblem, ...] = ()


class ParsedList(NamedTuple):
    """A whole list, read."""

    format: Format
    servers: tuple[Listed, ...]
    notes: tuple[Note, ...] = ()
    problems: tuple[tuple[int, ListProblem], ...] = ()
    """With their lines: what makes the list as a whole, or a line of no server, unusable."""
