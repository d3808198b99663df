"""Parses a table with a header: values separated by commas, semicolons or tabs (RFC 4180, and the variants of spreadsheets)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Final

from groundcontrol.deployments.hostlists.base import ENTER_ONCE, ServerError, quoted, read_address, read_port, read_tags
from groundcontrol.deployments.hostlists.model import Listed, ListProblem, Note, ParsedList, ProblemCode, ServerAddress

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
"""Parts of column names that indicate a secret, or a reference to one. An ending `key` or `pem`, or the word `pw`, does too."""
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
    """The header after a `#`; empty: the line is a comment, or has no `#`.

    A comment is a header only if it has at least two columns, one of them `host`. Each column must be known or indicate a secret.
    """
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
    """Parse numbered lines. The first is the header; empty lines and plain comments before it are skipped."""
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
        message = f"the column {quoted(secret[0])} holds secrets: remove the column; {ENTER_ONCE}"
        return ParsedList("csv", (), problems=((at, ListProblem("secret_column", "", message)),))
    if "host" not in fields:
        message = "the first line must name the columns: host, and if needed port, user, name, tags, host_key, jump"
        return ParsedList("csv", (), problems=((at, ListProblem("header_missing", "", message)),))
    notes = [
        Note(at, f"the column {quoted(column) if column else 'without a name'} is not known, and left out")
        for column, field in zip(columns, fields, strict=True)
        if not field
    ]
    notes += [Note(at, message) for message in _repeats(columns, fields)]
    rows = [(number, line) for number, line in lines if number > at]
    return ParsedList("csv", tuple(_rows(rows, fields, delimiter_of(text))), tuple(notes))


def _repeats(columns: list[str], fields: list[str]) -> Iterator[str]:
    """A message for each field that several columns give."""
    for field in sorted(set(fields) - {""}):
        names = [column for column, its_field in zip(columns, fields, strict=True) if its_field == field]
        if len(names) == 1:
            continue
        different = " and ".join(dict.fromkeys(names))
        what = f"the column {names[0]} is in the header twice" if different == names[0] else f"the columns {different} mean the same"
        yield f"{what}: keep one; in each line the first that is not empty counts"


def _rows(lines: list[tuple[int, str]], fields: list[str], delimiter: str) -> Iterator[Listed]:
    for number, line in lines:
        if not line.strip(f" {delimiter}") or line.lstrip().startswith("#"):
            continue
        try:
            cells = next(csv.reader([line], delimiter=delimiter, strict=True))
        except (csv.Error, StopIteration):
            message = "a quoted value must end in its line, and the next delimiter must follow its closing quote"
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
    server = ServerAddress(given.get("host", ""), 22, None)
    if "host" in given:
        try:
            server = read_address(given["host"])
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


def read_jump(text: str | None) -> tuple[ServerAddress | None, ListProblem | None]:
    """Parse a jump host. `none`, a dash and an empty text mean no jump host."""
    if text is None or text.casefold() in ("", "none", "-"):
        return None, None
    if "," in text:
        code: ProblemCode = "jump_chain"
        return None, ListProblem(code, "jump", f"{quoted(text)}: a chain of jump hosts is not supported; give the last one")
    try:
        return read_address(text), None
    except ServerError as exc:
        return None, ListProblem("jump_invalid", "jump", f"the jump host: {exc.problem.message}")
