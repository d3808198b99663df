"""`stardust update`: updates the agents of nodes to the version that the hub ships, first one node, then the others."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import Any, Final

from groundcontrol.cli.client import Hub, nodes_of, shown
from groundcontrol.cli.options import EXIT_SOME_FAILED, SELECTOR, UsageError
from groundcontrol.cli.updating import how_installed
from groundcontrol.cli.watch import JobWatch, deployment_line, end_of_deployment

RETURN_S: Final = 75.0
"""How long `--outdated` waits for nodes to return. A node dials again within a minute."""
LATELY_S: Final = 180.0
"""A node that was connected within this time may return in a moment."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("nodes", nargs="*", metavar="NODE", help=f"{SELECTOR}; the first nodes are the canaries")
    parser.add_argument("--tag", action="append", default=[], metavar="TAG", help="every node with this tag; may be repeated")
    parser.add_argument("--outdated", action="store_true", help="every connected node that runs another version than the hub ships")
    parser.add_argument("--hub", action="store_true", help="print the command that updates the hub's program itself; run nothing")
    parser.add_argument(
        "--canaries", type=int, default=1, metavar="N", help="number of canaries: the others follow once these are connected [1]"
    )
    parser.add_argument("--at-once", type=int, default=5, metavar="N", help="number of nodes at the same time [5]")
    parser.add_argument("--no-wait", action="store_true", help="order it, print the ids of the deployments, and do not wait for their ends")


async def run(args: argparse.Namespace) -> int:
    """Exit status 0 if every node runs the new version; 1 if the only one does not, or was left out; 5 if that is so for some of several."""
    if args.hub:
        way = how_installed()
        print(json.dumps(way._asdict()) if args.json else f"this program was installed as: {way.name}\nto update it: {way.update}")
        return 0
    selectors = [*args.nodes, *(f"tag:{tag}" for tag in args.tag)]
    if not selectors and not args.outdated:
        raise UsageError("update: name nodes, or their tag with --tag, or give --outdated")
    async with Hub(args) as hub, JobWatch(hub, quiet=args.json) as watch:
        left: list[str] = []
        chosen = [node["id"] for node in await nodes_of(hub, selectors)] if selectors else []
        if args.outdated:
            found, left = await _settled(hub)
            chosen += found
            if left:
                print(shown(f"stardust: left out: {', '.join(left)}"), file=sys.stderr)
            if not chosen:
                print(
                    json.dumps({"deployments": []}) if args.json else "No node can be updated." if left else "Every node runs this version."
                )
                return 1 if left else 0
        nodes = list(dict.fromkeys(chosen))

        async def ask() -> list[Any]:
            body = {"nodes": nodes, "canaries": args.canaries, "at_once": args.at_once}
            return list((await hub.post("/agent-updates", body))["deployments"])

        rows = await watch.begin("update", nodes, ask)
        if not args.json:
            print(f"{len(rows)} ordered", file=sys.stderr)
        for at, row in enumerate(rows):
            if not args.no_wait:
                rows[at] = await end_of_deployment(watch, row)
            if not args.json:
                print(row["id"] if args.no_wait else shown(deployment_line(rows[at])))
    if args.json:
        print(json.dumps({"deployments": rows}))
    if not left and (args.no_wait or all(row["state"] == "succeeded" for row in rows)):
        return 0
    return EXIT_SOME_FAILED if len(rows) + len(left) > 1 else 1


async def _settled(hub: Hub, look_every_s: float = 1.0) -> tuple[list[str], list[str]]:
    """As `_outdated`, once the nodes that were connected a moment ago are back: after a restart of the hub they return one by one."""
    ends_at = time.monotonic() + RETURN_S
    while True:
        found, left, returning = await _outdated(hub)
        if not returning or time.monotonic() >= ends_at:
            return found, left + returning
        await asyncio.sleep(look_every_s)


async def _outdated(hub: Hub) -> tuple[list[str], list[str], list[str]]:
    """The ids of the outdated nodes that can be updated now. A text for each one that cannot, and for each that may be back in a moment."""
    found, left, returning = [], [], []
    async for node in hub.every("/nodes", "nodes"):
        policy = node["policy"] or {"mode": "", "verbs": []}
        if node["agent"] != "outdated":
            continue
        if node["state"] != "online" and time.time() - (node["last_seen_at"] or 0.0) < LATELY_S:
            returning.append(f"{node['name']} (not connected)")
        elif node["state"] != "online":
            left.append(f"{node['name']} (not connected)")
        elif policy["mode"] != "managed" or (policy["verbs"] and "update" not in policy["verbs"]):
            left.append(f"{node['name']} (its policy refuses updates)")
        else:
            found.append(node["id"])
    return found, left, returning
