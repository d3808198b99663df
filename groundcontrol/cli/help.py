"""`stardust help`: prints the list of verbs, or the help of one."""

from __future__ import annotations

import argparse
import json

from groundcontrol.cli.commands import VERBS, find, overview, parser_of
from groundcontrol.cli.options import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("verb", nargs="?", help="the verb to explain; without it, all verbs are listed")


async def run(args: argparse.Namespace) -> int:
    """Print the list, or the help of one verb."""
    verb = find(args.verb) if args.verb is not None else None
    if args.verb is not None and verb is None:
        raise UsageError(f"there is no verb {args.verb!r}; `stardust help` lists them")
    if args.json:
        chosen = VERBS if verb is None else (verb,)
        text = overview() if verb is None else parser_of(verb).format_help()
        print(json.dumps({"verbs": [one._asdict() for one in chosen], "help": text}))
    else:
        print(overview() if verb is None or verb.name == "help" else parser_of(verb).format_help(), end="")
    return 0
