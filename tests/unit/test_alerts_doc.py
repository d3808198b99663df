"""docs/alerts.md shows the hub's rules, and each way in which a message is held, skipped, dropped or repeated."""

from __future__ import annotations

import re
from typing import Final, get_args

from groundcontrol.notifications.deciding import DeferReason, SkipReason
from groundcontrol.notifications.explaining import DEFERRED_TEXTS, SKIPPED_TEXTS
from groundcontrol.notifications.model import EXPIRED, MessageKind
from scripts.gen import alerts
from tests.support.hub import ROOT

OLD: Final = {"channel_broken"}
"""Reasons that only rows of an older hub have."""
NOT_DECIDED: Final = {"http:404 …", "the same id"}
"""Rows for what a receiver or a kill does."""


def test_the_document_matches_the_default_rules() -> None:
    text = alerts.TARGET.read_text(encoding="utf-8")
    assert alerts.generate(text) == text, "run scripts/gen/alerts.py"


def test_the_table_of_messages_and_the_code_have_the_same_reasons_and_its_tests_exist() -> None:
    text = (ROOT / "docs/messages.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `([^`|]+)` \|.*\| `(test_\w+)` \|$", text, re.MULTILINE))
    decided = {*get_args(DeferReason), *get_args(SkipReason)}
    assert decided | NOT_DECIDED | {EXPIRED, "repeat"} | SKIPPED_TEXTS.keys() - OLD == table.keys()
    assert "repeat" in get_args(MessageKind)
    assert decided <= SKIPPED_TEXTS.keys() | DEFERRED_TEXTS.keys(), "the page has a sentence for each"
    assert DEFERRED_TEXTS.keys() == {*get_args(DeferReason)}
    places = [path.read_text(encoding="utf-8") for path in alerts.TARGET.parent.parent.glob("tests/**/test_*.py")]
    assert [name for name in table.values() if not any(f"def {name}(" in text for text in places)] == []
