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
