"""`stardust audit`: heads in the form that logs have, and rows without terminal control sequences."""

from __future__ import annotations

import io
import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundcontrol.cli.audit import _json, _read_expected, _read_log, read_heads, row_object
from groundcontrol.cli.client import CliError
from groundcontrol.core.audit import AuditHead, AuditRow
from spider.logs import JsonFormatter, TextFormatter

HEAD = AuditHead("01m7w9nr0yec08x68f8a72g4n6", 17, "ab" * 32)


def line(formatter: logging.Formatter, name: str = "audit_head") -> str:
    """As a hub writes it."""
    record = logging.LogRecord("groundcontrol.housekeeping", logging.INFO, "", 0, name, None, None)
    record.facts = HEAD._asdict()
    return formatter.format(record)


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
@pytest.mark.parametrize("before", ["", "Nov 20 10:58:00 hub stardust[12]: "])
def test_heads_are_found_in_every_form_of_the_log(formatter: logging.Formatter, before: str) -> None:
    text = "\n".join([before + "starting", before + line(formatter), before + line(formatter, "hub_ready"), before + line(formatter)])
    assert list(read_heads(io.StringIO(text))) == [HEAD, HEAD]


@settings(max_examples=50)
@given(text=st.text(max_size=100), after=st.text(max_size=50))
def test_other_lines_in_a_log_are_skipped(text: str, after: str) -> None:
    found = list(read_heads(io.StringIO(f"{text}\naudit_head {after}\n" + line(JsonFormatter()))))
    assert found[-1] == HEAD


def test_a_log_without_heads_proves_nothing_and_says_so() -> None:
    with pytest.raises(CliError, match="no line of the event audit_head"):
        _read_log("/dev/null")
    with pytest.raises(CliError, match="No such file"):
        _read_log("/nowhere/at/all")


def test_a_head_is_parsed_as_the_command_prints_it() -> None:
    assert _read_expected(f"{HEAD.chain}:{HEAD.n}:{HEAD.hash}") == HEAD
    assert _read_expected(f" 17:{HEAD.hash.upper()}\n") == HEAD._replace(chain="")


@pytest.mark.parametrize(
    "text", ["", "17", "17:abcd", f"x:17:{HEAD.hash}:y", f"-1:{HEAD.hash}", f"17:{HEAD.hash}0", f"17 {HEAD.hash}", "\x1b[31m"]
)
def test_malformed_head_is_refused(text: str) -> None:
    with pytest.raises(CliError, match="N:HASH") as refused:
        _read_expected(text)
    assert str(refused.value).isprintable()


@pytest.mark.holds("SAFETY-72")
@settings(max_examples=50)
@given(value=st.dictionaries(st.text(), st.text()))
def test_exported_rows_contain_no_terminal_sequences(value: dict[str, str]) -> None:
    text = _json(value)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == value


def test_a_row_is_exported_with_its_proof() -> None:
    row = AuditRow("c", 1, 2.5, "admin", "", "node.create", "x", "done", {"a": 1}, b"\x01" * 32, b"\x02" * 32)
    assert row_object(row)["prev"] == "01" * 32
    assert row_object(row)["hash"] == "02" * 32
    json.loads(_json(row_object(row)))
