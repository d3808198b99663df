"""`stardust update`: updates the agents of nodes to the version that the hub ships, first one node, then the others."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from groundcontrol.cli.client import CliError, Hub, nodes_of, shown
from groundcontrol.cli.options import SELECTOR
from groundcontrol.cli.updating import how_installed
from groundcontrol.cli.watch import JobWatch, deployment_line, end_of_deployment


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
    """Exit status 0 if every node runs the new version, 1 if one does not."""
    if args.hub:
        way = how_installed()
        print(json.dumps(way._asdict()) if args.json else f"this program was installed as: {way.name}\nto update it: {way.update}")
        return 0
    async with Hub(args) as hub, JobWatch(hub, quiet=args.json) as watch:
        chosen = [node["id"] for node in await nodes_of(hub, args.nodes)] if args.nodes else []
        if args.tag:
            chosen += [node["id"] async for node in hub.every("/nodes", "nodes") if set(args.tag) & set(node["tags"])]
        if args.outdated:
            found, left = await _outdated(hub)
            chosen += found
            if left:
                print(shown(f"stardust: left out: {', '.join(left)}"), file=sys.stderr)
            if not chosen:
                print(
                    json.dumps({"deployments": []}) if args.json else "No node can be updated." if left else "Every node runs this version."
                )
                return 1 if left else 0
        if not chosen:
            raise CliError("name nodes, or their tag with --tag, or give --outdated")
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
    return 0 if args.no_wait or all(row["state"] == "succeeded" for row in rows) else 1


async def _outdated(hub: Hub) -> tuple[list[str], list[str]]:
    """The ids of the outdated nodes that can be updated now, and a text for each outdated node that cannot."""
    found, left = [], []
    async for node in hub.every("/nodes", "nodes"):
        policy = node["policy"] or {"mode": "", "verbs": []}
        if node["agent"] != "outdated":
            continue
        if node["state"] != "online":
            left.append(f"{node['name']} (not connected)")
        elif policy["mode"] != "managed" or (policy["verbs"] and "update" not in policy["verbs"]):
            left.append(f"{node['name']} (its policy refuses updates)")
        else:
            found.append(node["id"])
    return found, left
