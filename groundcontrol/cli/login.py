"""`stardust login`: remembers the address of a hub on another machine and an API token, so that other verbs need neither."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import sys
from pathlib import Path

from groundcontrol.cli.client import CliError, Hub, shown
from groundcontrol.cli.options import EXIT_STATUS
from groundcontrol.cli.saved_login import login_file

_MAX_CHARS = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    about = "With --org the login is kept beside others, for verbs with the same --org. The token (`stardust token new` on the hub's machine) is asked for, or read from standard input."
    parser.epilog = f"{about} {EXIT_STATUS}"
    parser.add_argument("--forget", action="store_true", help="forget the address and the token")


async def run(args: argparse.Namespace) -> int:
    """Ask the hub with the token, and store both in a file of mode 0600."""
    path = login_file(args)
    if args.forget:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        print(json.dumps({"login": None}) if args.json else "forgotten")
        return 0
    if args.url is None:
        raise CliError("name the hub with --url https://…", "command.usage")
    token = (getpass.getpass("API token (not shown): ") if sys.stdin.isatty() else sys.stdin.readline(_MAX_CHARS)).strip()
    if not token:
        raise CliError("no token was given on standard input")
    args.token_read = token
    async with Hub(args) as hub:
        await hub.get("/nodes", {"limit": "1"})
    _store(path, {"url": args.url, "token": token, "tls_ca": args.tls_ca, "tls_pin": args.tls_pin})
    print(json.dumps({"login": args.url}) if args.json else f"the hub accepts the token; other verbs now use {shown(args.url)}")
    return 0


def _store(path: Path, document: dict[str, str | None]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(document, file)
    new.replace(path)
