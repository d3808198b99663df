"""The command line of all generators: it writes the files, or checks that they are current."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- tables -->\n", "<!-- end of tables -->\n"


def cell(text: str) -> str:
    """The text on one line, escaped for a table of Markdown."""
    return " ".join(text.split()).replace("|", "\\|")


def with_tables(text: str, tables: str) -> str:
    """The text of a document with new tables between the marks BEGIN and END."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + "\n" + tables + "\n" + END + tail


def main(files: Mapping[Path, str], script: str, description: str | None) -> int:
    """Write the files, or check them with `--check`.

    Args:    files: path -> whole text. script: the generator, such as `scripts/gen/ts.py`.
    Returns: the exit code; 1: a file is not current.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a file is not current")
    options = parser.parse_args()
    old = {path: text for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text}
    for path, text in old.items():
        if options.check:
            print(f"{path.relative_to(ROOT)} is not current: run {script}", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
    return 1 if options.check and old else 0
