"""`stardust update`: brings nodes the Spider that the hub ships, one first, then the others."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any, Final

from groundcontrol.cli.client import CliError, Hub, node_of, shown

POLL_S: Final = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("nodes", nargs="*", metavar="NODE", help="name or id; the first ones are the canaries")
    parser.add_argument("--tag", action="append", default=[], metavar="TAG", help="every node with this tag; may be repeated")
    parser.add_argument("--canaries", type=int, default=1, metavar="N", help="so many first; the others once these are connected [1]")
    parser.add_argument("--at-once", type=int, default=5, metavar="N", help="so many at a time [5]")
    parser.add_argument("--no-wait", action="store_true", help="order it and return at once")


async def run(args: argparse.Namespace) -> int:
    """Exit status 0 when every node runs the new version, 1 when one does not."""
    async with Hub(args) as hub:
        chosen = [(await node_of(hub, name))["id"] for name in args.nodes]
        if args.tag:
            chosen += [node["id"] async for node in hub.every("/nodes", "nodes") if set(args.tag) & set(node["tags"])]
        if not chosen:
            raise CliError("name nodes, or their tag with --tag")
        asked = {"nodes": list(dict.fromkeys(chosen)), "canaries": args.canaries, "at_once": args.at_once}
        rows = (await hub.post("/agent-updates", asked))["deployments"]
        if not args.no_wait:
            rows = [await _end(hub, row, show=not args.json) for row in rows]
    if args.json:
        print(json.dumps({"deployments": rows}))
    elif args.no_wait:
        print(f"{len(rows)} ordered")
    return 0 if args.no_wait or all(row["state"] == "succeeded" for row in rows) else 1


async def _end(hub: Hub, row: Any, *, show: bool) -> Any:
    while row["ended_at"] is None:
        await asyncio.sleep(POLL_S)
        row = await hub.get(f"/deployments/{row['id']}")
    if show:
        why = f": {row['error']['message']}" if row["error"] else ""
        print(shown(f"{row['name']}  {row['state']}{why}"))
    return row
