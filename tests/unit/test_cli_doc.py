"""docs/cli.md is what the program's parsers say."""

from __future__ import annotations

from scripts.gen import cli


def test_the_page_of_the_command_line_is_current() -> None:
    assert cli.TARGET.read_text(encoding="utf-8") == cli.generate(), "run scripts/gen/cli.py"
