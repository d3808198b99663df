"""docs/alerts.md shows the hub's rules."""

from __future__ import annotations

from scripts.gen import alerts


def test_the_document_matches_the_default_rules() -> None:
    text = alerts.TARGET.read_text(encoding="utf-8")
    assert alerts.generate(text) == text, "run scripts/gen/alerts.py"
