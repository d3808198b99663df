"""`stardust nodes`: the servers of the fleet."""

from __future__ import annotations

import argparse
import json

from groundcontrol.cli.client import Hub
from groundcontrol.cli.table import MISSING, age, figure, percent, ratio, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", choices=("online", "offline", "pending"), help="only these")
    parser.add_argument("--tag", help="only those with this tag")


async def run(args: argparse.Namespace) -> int:
    """List them."""
    async with Hub(args) as hub:
        nodes = [
            node
            async for node in hub.every("/nodes", "nodes")
            if (args.state in (None, node["state"])) and (args.tag is None or args.tag in node["tags"])
        ]
    if args.json:
        print(json.dumps({"nodes": nodes}))
        return 0
    rows = []
    for node in nodes:
        latest, updates = node["latest"], node["updates"]
        waiting = MISSING if updates["total"] is None else f"{updates['total']} ({updates['security'] or 0})"
        rows.append(
            [
                node["name"], node["state"], node["address"], percent(latest.get("cpu.total")), figure(latest.get("load.1")),
                ratio(latest.get("memory.used"), latest.get("memory.total")), waiting, node["identity"]["os_name"] or MISSING,
                age(node["last_seen_at"]), node["id"],
            ]
        )  # fmt: skip
    print(table(("NAME", "STATE", "ADDRESS", "CPU", "LOAD", "MEM", "UPDATES (SEC)", "SYSTEM", "SEEN", "ID"), rows))
    return 0
