"""Setting up the log of a program."""

from __future__ import annotations

import io
import json
import logging

import pytest

from spider import logs


@pytest.mark.parametrize("turn", [1, 2])
def test_logging_set_up_in_one_test_does_not_leak_into_the_next(turn: int) -> None:
    root = logging.getLogger()
    assert root.level == logging.WARNING
    assert not [handler for handler in root.handlers if isinstance(handler.formatter, logs.JsonFormatter)]
    told = io.StringIO()
    logs.set_up(told, "json")
    logs.event(logging.getLogger("spider.test"), "turned", turn=turn)
    assert [(line["event"], line["turn"]) for line in map(json.loads, told.getvalue().splitlines())] == [("turned", turn)]


def test_on_a_terminal_a_traceback_has_no_control_characters() -> None:
    told = io.StringIO()
    logs.set_up(told, "text")
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        logs.event(logging.getLogger("spider.test"), "failed", exc_info=True)
    assert told.getvalue().endswith("ValueError: \\x1b[2J\n")


def test_a_field_does_not_replace_the_time_of_its_line() -> None:
    record = logging.LogRecord("spider.test", logging.INFO, "", 0, "row_refused", None, None)
    record.facts = {"at": 5}
    line = json.loads(logs.JsonFormatter().format(record))
    assert (line["at"], line["fact_at"]) == (round(record.created, 3), 5)
