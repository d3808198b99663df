"""Parses a table with a header: values separated by commas, semicolons or tabs (RFC 4180, and the variants of spreadsheets)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Final

from groundcontrol.deployments.hostlists.base import ServerError, quoted, read_port, read_server, read_tags
from groundcontrol.deployments.hostlists.model import JumpServer, Listed, ListProblem, Note, ParsedList, ProblemCode

COLUMNS: Final = {
    "host": "host", "hostname": "host", "address": "host", "ip": "host", "server": "host",
    "port": "port", "ssh_port": "port",
    "user": "username", "username": "username", "login": "username",
    "name": "name", "label": "name",
    "tags": "tags", "tag": "tags", "groups": "tags",
    "host_key": "host_key", "fingerprint": "host_key",
    "jump": "jump", "jump_host": "jump", "proxyjump": "jump", "bastion": "jump",
}  # fmt: skip
"""Accepted column name -> field."""
SECRETS: Final = ("pass", "pwd", "secret", "token", "credential", "identity", "keyfile")
"""Parts of column names that indicate a secret, or a reference to one. A name that ends in `key` counts too."""
DELIMITERS: Final = ",;\t"


def delimiter_of(header: str) -> str:
    """The delimiter that is most frequent in the header."""
    return max(DELIMITERS, key=header.count)


def columns_of(header: str) -> list[str]:
    """The names of the columns, normalized for comparison."""
    try:
        cells = next(csv.reader([header], delimiter=delimiter_of(header)), [])
    except csv.Error:
        return []
    return [cell.strip().casefold().replace(" ", "_").replace("-", "_") for cell in cells]


def commented_header(line: str) -> str:
    """The header after a `#`; empty: the line is a comment. All columns of a header are known, or for secrets."""
    bare = line.strip().lstrip("# \t") if line.lstrip().startswith("#") else ""
    columns = columns_of(bare)
    named = all(column in COLUMNS or is_secret(column) for column in columns)
    return bare if named and len(columns) > 1 and any(COLUMNS.get(column) == "host" for column in columns) else ""


def is_secret(column: str) -> bool:
    """Whether a column name indicates a secret. A doubtful name counts as one."""
    bare = "".join(sign for sign in column.casefold() if sign.isalnum())
    if column in COLUMNS or bare.endswith("hostkey"):
        return False
    return bare.endswith(("key", "pem")) or "pw" in column.split("_") or any(part in bare for part in SECRETS)


def read_table(lines: list[tuple[int, str]]) -> ParsedList:
    """Parse numbered lines; the first one is the header."""
    at, text = next(
        (
            (number, commented_header(line) or line)
            for number, line in lines
            if line.strip() and (commented_header(line) or not line.lstrip().startswith("#"))
        ),
        (1, ""),
    )
    columns = columns_of(text)
    fields = [COLUMNS.get(column, "") for column in columns]
    secret = [column for column in columns if is_secret(column)]
    if secret:
        message = f"the column {quoted(secret[0])} holds secrets: remove it from the list, and enter the login of all servers in the form"
        return ParsedList("csv", (), problems=((at, ListProblem("secret_column", "", message)),))
    if "host" not in fields:
        message = "the first line must name the columns: host, and if needed port, user, name, tags, host_key, jump"
        return ParsedList("csv", (), problems=((at, ListProblem("header_missing", "", message)),))
    notes = [
        Note(at, f"the column {quoted(column) if column else 'without a name'} is not known, and left out")
        for column, field in zip(columns, fields, strict=True)
        if not field
    ]
    notes += [
        Note(at, f"the column {field} is in the header twice: the first one counts")
        for field in sorted(set(fields))
        if fields.count(field) > 1 and field
    ]
    rows = [(number, line) for number, line in lines if number > at]
    return ParsedList("csv", tuple(_rows(rows, fields, delimiter_of(text))), tuple(notes))


def _rows(lines: list[tuple[int, str]], fields: list[str], delimiter: str) -> Iterator[Listed]:
    for number, line in lines:
        if not line.strip(f" {delimiter}") or line.lstrip().startswith("#"):
            continue
        try:
            cells = next(csv.reader([line], delimiter=delimiter, strict=True))
        except (csv.Error, StopIteration):
            message = "a quote in this line is not closed; a value must not contain a line break"
            yield Listed(number, "", problems=(ListProblem("not_understood", "", message),))
            continue
        yield _row(number, [cell.strip() for cell in cells], fields)


def _row(number: int, cells: list[str], fields: list[str]) -> Listed:
    given: dict[str, str] = {}
    for field, cell in zip(fields, cells, strict=False):
        if field and cell:
            given.setdefault(field, cell)
    problems: list[ListProblem] = []
    if len(cells) > len(fields) and any(cells[len(fields) :]):
        problems.append(ListProblem("not_understood", "", f"this line has {len(cells)} values, the header {len(fields)}"))
    server = JumpServer(given.get("host", ""), 22, None)
    if "host" in given:
        try:
            server = read_server(given["host"])
        except ServerError as exc:
            problems.append(exc.problem)
    else:
        problems.append(ListProblem("host_missing", "host", "there is no host name or address"))
    port = server.port
    if "port" in given:
        try:
            port = read_port(given["port"])
        except ServerError as exc:
            problems.append(exc.problem)
    jump, jump_problem = read_jump(given.get("jump"))
    if jump_problem is not None:
        problems.append(jump_problem)
    return Listed(
        number, server.host[:300], port, given.get("username", server.username), given.get("name"), read_tags(given.get("tags", "")),
        given.get("host_key"), jump, (), tuple(problems),
    )  # fmt: skip


def read_jump(text: str | None) -> tuple[JumpServer | None, ListProblem | None]:
    """Parse a jump host. `none`, a dash and an empty text mean no jump host."""
    if text is None or text.casefold() in ("", "none", "-"):
        return None, None
    if "," in text:
        code: ProblemCode = "jump_chain"
        return None, ListProblem(code, "jump", f"{quoted(text)}: a chain of jump hosts is not supported; give the last one")
    try:
        return read_server(text), None
    except ServerError as exc:
        return None, ListProblem("jump_invalid", "jump", f"the jump host: {exc.problem.message}")
