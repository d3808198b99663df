"""`stardust user reset NAME`: a new password for somebody who is locked out; only on the hub's own machine."""

from __future__ import annotations

import argparse
import json

from groundcontrol.cli.client import CliError, Hub, shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    reset = acts.add_parser("reset", help="give a user a new password, shown once, and end all their sessions")
    reset.add_argument("username")


async def run(args: argparse.Namespace) -> int:
    """Reset, and show the password."""
    if args.url is not None:
        raise CliError("a password is reset on the hub's own machine only, without --url")
    async with Hub(args) as hub:
        made = await hub.post("/local/reset-user", {"username": args.username})
    if args.json:
        print(json.dumps(made))
    else:
        print(
            f"new password of {shown(made['username'])}: {made['password']}\nAll sessions of this user have ended; change it after the log-in."
        )
    return 0
