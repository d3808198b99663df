"""docs/alerts.md shows the hub's rules."""

from __future__ import annotations

import re
from typing import get_args

from groundcontrol.alerts.deciding import DeferReason, SkipReason
from scripts.gen import alerts


def test_the_document_matches_the_default_rules() -> None:
    text = alerts.TARGET.read_text(encoding="utf-8")
    assert alerts.generate(text) == text, "run scripts/gen/alerts.py"


def test_the_table_of_messages_has_each_reason_and_its_tests_exist() -> None:
    text = alerts.TARGET.read_text(encoding="utf-8")
    table = re.findall(r"^\| `([^`|]+)` \|.*\| `(test_\w+)` \|$", text, re.MULTILINE)
    assert {*get_args(DeferReason), *get_args(SkipReason)} <= {reason for reason, _ in table}
    tests = "\n".join(path.read_text(encoding="utf-8") for path in alerts.TARGET.parent.parent.glob("tests/**/test_*.py"))
    assert [name for _, name in table if f"def {name}(" not in tests] == []
