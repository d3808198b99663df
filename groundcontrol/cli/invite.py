"""`stardust invite`: creates, lists and revokes invites. With an invite a server joins without a log-in over SSH."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final

from groundcontrol.cli.answers import Columns, print_answer, print_list
from groundcontrol.cli.client import CliError, Hub, id_of, shown
from groundcontrol.cli.formatting import moment
from groundcontrol.cli.options import POLICY_LINES, UsageError, add_policy_lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--name", default="", help="name of the node [the server's own name]; with --organisation, the purpose of the secret"
    )
    parser.add_argument("--tag", action="append", default=[], metavar="TAG", help="a tag for the nodes; may be repeated")
    parser.add_argument(
        "--policy", choices=("monitor", "readonly", "managed"), default="managed", help="what the hub may do on the server [managed]"
    )
    add_policy_lines(parser)
    parser.add_argument(
        "--organisation", action="store_true", help="a secret for many servers (cloud-init, Ansible), whose nodes wait for approval"
    )
    parser.add_argument("--uses", type=int, metavar="N", help="with --organisation: number of servers, 1 to 1000 [100]")
    parser.add_argument("--days", type=int, metavar="N", help="with --organisation: days of validity, 1 to 90 [7]")
    parser.add_argument("--no-approval", action="store_true", help="with --organisation: the nodes need no approval")
    acts = parser.add_mutually_exclusive_group()
    acts.add_argument("--list", action="store_true", help="list the invites, without their secrets")
    acts.add_argument(
        "--revoke", metavar="INVITE", help="revoke an invite, by its id, or its name if no other has it; nodes that joined with it stay"
    )


async def run(args: argparse.Namespace) -> int:
    """Create, list or revoke invites."""
    if args.url is not None:
        raise CliError("invites are made in the page, or on the hub's own machine without --url")
    if not args.organisation and (args.uses is not None or args.days is not None or args.no_approval):
        raise UsageError("invite: --uses, --days and --no-approval need --organisation")
    async with Hub(args) as hub:
        if args.list:
            return print_list(args, "invites", [invite async for invite in hub.every("/invites", "invites")], COLUMNS)
        if args.revoke is not None:
            invite = await id_of(hub, args.revoke, "/invites", "invites", noun="invite", listed="invite --list")
            await hub.delete(f"/invites/{invite}")
            return print_answer(args, {"revoked": invite}, f"the invite {shown(args.revoke)} is revoked")
        body: dict[str, Any] = {"name": args.name, "tags": args.tag, "policy": args.policy}
        body |= {name: getattr(args, name) for name in POLICY_LINES if getattr(args, name) is not None}
        if args.organisation:
            body |= {"kind": "organisation", "uses": args.uses, "days": args.days, "approval": not args.no_approval}
        made = await hub.post("/invites", body)
    if args.json:
        print(json.dumps(made))
        return 0
    print(f"# On the server, until {moment(made['expires_at'])}; shown once. install.sh has the SHA-256 {made['installer']['sha256']}.")
    if made["this_machine_only"]:
        print("# Other servers cannot reach this hub yet (--lan, or --server-url): only this machine can join.")
    if args.organisation:
        print(made["invite"])
        return 0
    print(made["command"], end="")
    print(f"# Shorter, without the checksum; it asks for the invite, which is the line before EOF:\n# {made['short']}")
    if made["without_curl"]:
        print("# The same on a server without curl:", *made["without_curl"], sep="\n# ")
    print(f"# zsh and fish store pasted text in their history. For them, a command that asks for the invite:\n# {made['line']}")
    return 0


COLUMNS: Final[Columns] = {
    "INVITE": "id", "FOR": "kind", "STATE": "state", "NAME": "name", "USED": lambda one: f"{one['uses']} of {one['most_uses']}",
    "UNTIL": lambda one: moment(one["expires_at"]), "MADE BY": "created_by", "NODE": "node_id",
}  # fmt: skip
