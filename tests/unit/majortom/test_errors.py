"""The closed table of deployment errors."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

import majortom
from majortom.errors import MESSAGES, REPORTED, failure, one_line
from majortom.install import failure_reason

SOURCES = [path for path in Path(majortom.__file__).parent.rglob("*") if path.suffix in (".py", ".sh")]
HUB = Path(majortom.__file__).parents[1] / "groundcontrol/deployments"


@pytest.mark.parametrize("code", sorted(MESSAGES))
def test_each_message_is_one_sentence(code: str) -> None:
    fields = {name: "x" for _, name, _, _ in Formatter().parse(MESSAGES[code]) if name}
    text = failure(code, "probe", **fields).message
    assert text.endswith((".", ")"))
    assert "\n" not in text
    assert re.fullmatch(r"[a-z0-9_]+", code)


def test_the_raised_codes_and_the_table_of_codes_are_equal() -> None:
    text = "\n".join(path.read_text() for path in [*SOURCES, *HUB.glob("*.py")])
    raised = set(re.findall(r'failure\(\s*"([a-z0-9_]+)"', text)) | set(re.findall(r"\bdie ([a-z0-9_]+)", text))
    assert raised <= set(MESSAGES)
    assert set(re.findall(r"\bdie ([a-z0-9_]+)", text)) == REPORTED
    unused = {code for code in MESSAGES if len(re.findall(rf"(?<![a-z_]){code}(?![a-z_])", text)) < 2}
    assert not unused


def test_foreign_text_is_sanitized() -> None:
    assert one_line("a\x1b[31mb\n\n c\t\u202ed") == "a [31mb c d"
    assert len(one_line("x" * 1000)) == 200


def test_the_failure_reason_is_found_in_the_last_lines_of_spider() -> None:
    lines = [
        "state ActiveState=active SubState=running",
        '{"level": "info", "event": "spider_starts"}',
        '{"level": "warning", "event": "hub_not_reached", "why": "connection refused"}',
        '{"level": "warning", "event": "link_waits", "seconds": 60}',
    ]
    assert failure_reason(lines) == "connection refused"
    assert failure_reason(lines[:2]) == "ActiveState=active SubState=running"
    assert failure_reason([*lines, "SyntaxError: invalid syntax"]) == "SyntaxError: invalid syntax"
    broken = ["Fatal Python error: init_fs_encoding", "ModuleNotFoundError: No module named 'encodings'", "", "  <no Python frame>"]
    assert failure_reason([*lines, *broken]) == "ModuleNotFoundError: No module named 'encodings'"
    assert failure_reason([*lines, "the last words"]) == "the last words"
    assert failure_reason([]) == "it says nothing"
    systemd = ["Started stardust-spider.service - Stardust agent.", "stardust-spider.service: Failed with result 'exit-code'."]
    assert failure_reason(["python3: can't open file", *systemd]) == "python3: can't open file"
    assert failure_reason([lines[0], *systemd]) == "ActiveState=active SubState=running"
