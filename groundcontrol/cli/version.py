"""`stardust version`: prints the version of this program."""

from __future__ import annotations

import argparse
import json

from spider.version import VERSION


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """The verb has no arguments."""


async def run(args: argparse.Namespace) -> int:
    """Print the version."""
    print(json.dumps({"version": VERSION}) if args.json else f"stardust {VERSION}")
    return 0
