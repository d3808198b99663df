"""`stardust jobs`: the latest jobs."""

from __future__ import annotations

import argparse
import json

from groundcontrol.cli.client import Hub, node_of
from groundcontrol.cli.options import count
from groundcontrol.cli.table import MISSING, moment, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node", help="only those of this node (name or id)")
    parser.add_argument("--limit", type=count, default=20, help="how many [20]")


async def run(args: argparse.Namespace) -> int:
    """List them, newest first."""
    async with Hub(args) as hub:
        params = {"limit": str(args.limit)}
        if args.node:
            params["node"] = (await node_of(hub, args.node))["id"]
        page = await hub.get("/jobs", params)
        names = {node["id"]: node["name"] async for node in hub.every("/nodes", "nodes")}
    if args.json:
        print(json.dumps(page))
        return 0
    rows = [
        [
            job["id"], names.get(job["node_id"], job["node_id"]), job["action"], job["state"], moment(job["created_at"]),
            str(len(job["changes"])), job["error"]["message"] if job["error"] else MISSING,
        ]
        for job in page["jobs"]
    ]  # fmt: skip
    print(table(("JOB", "NODE", "ACTION", "STATE", "ORDERED", "CHANGES", "ERROR"), rows))
    return 0
