#!/usr/bin/env python3
"""Writes docs/cli.md from the parsers of the command.

scripts/gen/cli.py           write the file
scripts/gen/cli.py --check   change nothing; exit 1 when the file is not current
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from groundcontrol.cli.commands import VERBS, Command, parser_of  # noqa: E402
from groundcontrol.cli.options import EXIT_STATUS, SELECTOR, Parser  # noqa: E402
from scripts.gen import target  # noqa: E402

TARGET = ROOT / "docs" / "cli.md"
_COMMON = ("--help", "--json", "--data-dir", "--url", "--tls-ca", "--tls-pin")
"""Flags of every verb, which the page explains once."""
HEAD = f"""# The command line

`stardust` alone shows the hub's status and how to open the page. `scripts/gen/cli.py` writes this page from the program's own parsers.

- **Which hub**: a flag (`--url`, `--data-dir`), else `STARDUST_DATA_DIR`, else the hub of `stardust login`, else the installed service, else
  `.stardust` here. With `--url` the token is in `STARDUST_TOKEN`. Verbs for the hub's own machine ignore a login.
- **Which nodes**: {SELECTOR}. An empty selector is refused.
- **For programs**: `--json` prints the answer as JSON on standard output, and an error as one object on standard error.
- **Secrets** are asked for, or read from standard input or a file; no flag has one as its value.
- {EXIT_STATUS}
- **Completion**: `stardust completion bash`, `zsh` or `fish` prints the shell's function, and where to write it.

| verb | what it does |
|---|---|
"""


def flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A row for each argument that is not common to all verbs."""
    formatter = parser._get_formatter()  # noqa: SLF001
    for action in parser._actions:  # noqa: SLF001  # argparse offers no other way
        if set(action.option_strings) & set(_COMMON) or isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            continue
        name = formatter._format_action_invocation(action)  # noqa: SLF001
        if not action.option_strings and action.choices:
            name = "|".join(map(str, action.choices))
        about = " ".join(formatter._expand_help(action).split()) if action.help else "required"  # noqa: SLF001
        yield f"- `{name}`: {about.replace(SELECTOR, 'a selector')}"


def section(verb: Command) -> Iterator[str]:
    """The part of a verb."""
    yield f"\n## {verb.name}\n"
    yield f"{verb.about[0].upper()}{verb.about[1:]}.\n"
    if verb.name == "serve":
        yield "Its flags and settings are in [settings.md](settings.md)."
        return
    parser = parser_of(verb)
    yield from flags(parser)
    for name, act in (parser.acts if isinstance(parser, Parser) else {}).items():
        yield f"\n### {verb.name} {name}\n"
        yield f"{(act.description or '')[:1].upper()}{(act.description or '')[1:].rstrip('.')}.\n"
        yield from flags(act)


def generate() -> str:
    """The whole page."""
    rows = [f"| [{', '.join((verb.name, *verb.aliases))}](#{verb.name}) | {target.cell(verb.about)} |" for verb in VERBS]
    lines = [line for verb in VERBS for line in section(verb)]
    text = HEAD + "\n".join([*rows, *lines]) + "\n"
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text


if __name__ == "__main__":
    raise SystemExit(target.main({TARGET: generate()}, "scripts/gen/cli.py", __doc__))
