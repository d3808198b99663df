"""`stardust retry`: tries failed deployments again, with one log-in for all of them; without an id it lists those that failed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any, Final

from groundcontrol.cli.answers import Columns, print_list
from groundcontrol.cli.client import CliError, Hub, one_named, shown
from groundcontrol.cli.formatting import moment
from groundcontrol.cli.options import EXIT_SOME_FAILED
from groundcontrol.cli.ssh_login import add_credentials, add_jump_credentials, jump_body, login_body


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "ids", nargs="*", metavar="SERVER", help="a server or deployment of the list, or a batch: all of it that failed [list them]"
    )
    add_credentials(parser)
    add_jump_credentials(parser)


async def run(args: argparse.Namespace) -> int:
    """Exit status 0 if all have begun again; 1 if the only one has not; 5 if some of several have not."""
    body, jump_login = (login_body(args), jump_body(args)) if args.ids else ({}, {})
    async with Hub(args) as hub:
        failed = [row async for row in hub.every("/deployments", "deployments") if row["state"] == "failed" and row["kind"] != "update"]
        if not args.ids:
            return print_list(args, "deployments", failed, COLUMNS)
        chosen = [_meant(failed, wanted) for wanted in args.ids]
        rows = {row["id"]: row for found in chosen for row in found}
        if jump_login:
            body["jumps"] = [_only_jump_host(rows.values()) | jump_login]
        answer = await hub.post("/deployments/retry", {"deployments": list(rows), **body})
    refused = answer["refused"]
    if args.json:
        print(json.dumps(answer))
    else:
        for row in answer["deployments"]:
            print(shown(f"{row['name']}: begun again; stardust jobs follow {row['id']}"))
        for one in refused:
            print(shown(f"{rows[one['deployment']]['name']}: not retried: {one['message']}{HINTS.get(one['code'], '')}"), file=sys.stderr)
    return 0 if not refused else EXIT_SOME_FAILED if len(rows) > 1 else 1


def _meant(failed: list[Any], wanted: str) -> list[Any]:
    """The deployments of a batch, or the one with this id or name of a server. Raises: CliError: none has failed, or several have this name."""
    return [row for row in failed if row["batch_id"] == wanted] or [one_named(failed, wanted, "failed deployment", "retry")]


def _only_jump_host(rows: Iterable[Any]) -> dict[str, Any]:
    """The address of the jump host of these deployments. Raises: CliError: they have none, or several: no log-in of one is for another."""
    jumps = {(row["jump"]["host"], row["jump"]["port"]) for row in rows if row["jump"]}
    if len(jumps) != 1:
        raise CliError(f"a log-in of a jump host is for servers behind one; these have {len(jumps) or 'none'}")
    ((host, port),) = jumps
    return {"host": host, "port": port}


def _why(row: Any) -> str:
    return str(row["error"]["message"]) if row["error"] else ""


HINTS: Final = {
    "credentials_required": " (here: --key, --password or --hub-key)",
    "deployment.jump_credentials_required": " (here: --jump-key or --jump-password, beside that of the server)",
}
COLUMNS: Final[Columns] = {
    "SERVER": "name", "KIND": "kind", "SINCE": lambda row: moment(row["ended_at"]), "WHY": _why, "DEPLOYMENT": "id", "BATCH": "batch_id",
}  # fmt: skip
