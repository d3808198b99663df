"""`stardust redeploy`: installs the agent again on a node's server; the node keeps its identity."""

from __future__ import annotations

import argparse
import difflib
import json
from typing import Any, Final

from groundcontrol.cli.client import CliError, Hub, node_of, shown
from groundcontrol.cli.options import POLICY_LINES, add_policy_lines
from groundcontrol.cli.ssh_login import add_login, login_body
from groundcontrol.cli.watch import JobWatch, end_of_deployment

POLICY: Final = ("policy", *POLICY_LINES, "policy_seen")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node", metavar="NODE", help="name or id; without further flags the stored credentials are used")
    add_login(parser)
    policy = parser.add_argument_group(
        "policy file of the server, which belongs to its owner: these need a key or password in the same call"
    )
    policy.add_argument("--policy", choices=("monitor", "readonly", "managed"), help="its mode")
    add_policy_lines(policy)
    policy.add_argument("--policy-seen", metavar="DIGEST", help="write the difference that this command has shown")
    parser.add_argument("--install-python", action="store_true", help="install python3 if it is missing")
    parser.add_argument(
        "--forget-credentials", action="store_true", help="shred the stored credentials of the server once the node is connected again"
    )
    parser.add_argument("--no-wait", action="store_true", help="order it, print the id of the deployment, and do not wait for its end")


async def run(args: argparse.Namespace) -> int:
    """Exit status 0 if the node has connected again."""
    body = login_body(args) | {name: getattr(args, name) for name in POLICY if getattr(args, name) is not None}
    body |= {"install_python": True} if args.install_python else {}
    body |= {"keep_credentials": False} if args.forget_credentials else {}
    async with Hub(args) as hub, JobWatch(hub, quiet=args.json) as watch:
        node = await node_of(hub, args.node)

        async def ask() -> list[Any]:
            try:
                return [await hub.post(f"/nodes/{node['id']}/redeploy", body)]
            except CliError as exc:
                if exc.code != "policy_differs":
                    raise
                return [await hub.get(f"/deployments/{exc.facts['deployment']}")]

        [row] = await watch.begin("install", [node["id"]], ask)
        if not args.no_wait:
            row = await end_of_deployment(watch, row, refuse_unknown_host=True)
    found = row["policy_found"]
    if found is not None and found["outcome"] == "differs" and found["digest"] and not args.json:
        changed = difflib.unified_diff(
            found["current"].splitlines(), found["wanted"].splitlines(), "on the server", "wanted", lineterm="", n=0
        )
        print(shown("\n".join(changed)))
        print(f"To write this: the same command with --policy-seen {found['digest']}")
    if args.json:
        print(json.dumps(row))
    elif args.no_wait:
        print(row["id"])
    else:
        notes = [step["detail"] for step in row["steps"] if step["name"] == "verify" and step["detail"]]
        why = f": {row['error']['message']}" if row["error"] else "".join(f"; {note}" for note in notes)
        print(
            shown(
                f"{node['name']}: {'it is connected again' if row['state'] == 'succeeded' else 'the deployment has ' + row['state']}{why}"
            )
        )
    return 0 if args.no_wait or row["state"] == "succeeded" else 1
