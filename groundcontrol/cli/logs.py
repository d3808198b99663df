"""`stardust logs`: the latest events."""

from __future__ import annotations

import argparse
import json

from groundcontrol.cli.client import Hub, node_of
from groundcontrol.cli.formatting import moment, table
from groundcontrol.cli.options import count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node", help="only those of this node (name or id)")
    parser.add_argument("--limit", type=count, default=30, help="how many [30]")


async def run(args: argparse.Namespace) -> int:
    """List events, oldest first, so that the newest is last."""
    async with Hub(args) as hub:
        params = {"limit": str(args.limit)}
        if args.node:
            params["node"] = (await node_of(hub, args.node))["id"]
        page = await hub.get("/events", params)
    if args.json:
        print(json.dumps(page))
        return 0
    rows = [[moment(one["at"]), one["severity"], one["type"], one["message"]] for one in reversed(page["events"])]
    print(table(("AT", "SEVERITY", "TYPE", "WHAT"), rows))
    return 0
