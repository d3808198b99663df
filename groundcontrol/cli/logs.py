"""`stardust logs`: the latest events, or the last lines of a unit's journal on a node."""

from __future__ import annotations

import argparse
import json

from groundcontrol.cli.client import CliError, Hub, node_of, shown
from groundcontrol.cli.formatting import moment, table
from groundcontrol.cli.options import count
from spider.wire.frames import MAX_JOURNAL_LINES
from spider.wire.units import full_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node", help="only those of this node (name or id)")
    parser.add_argument("--unit", help="the last lines of this unit of systemd in the journal of --node, instead of events")
    parser.add_argument("--warnings", action="store_true", help="only warnings and worse of the lines of --unit")
    parser.add_argument("--limit", type=count, help=f"how many [30; lines of a unit: {MAX_JOURNAL_LINES}]")


async def run(args: argparse.Namespace) -> int:
    """List events or lines, oldest first, so that the newest is last."""
    if args.unit and not args.node:
        raise CliError("name the node, too: --node NAME --unit UNIT")
    async with Hub(args) as hub:
        if args.unit:
            return await _unit(hub, args)
        params = {"limit": str(args.limit or 30)}
        if args.node:
            params["node"] = (await node_of(hub, args.node))["id"]
        page = await hub.get("/events", params)
    if args.json:
        print(json.dumps(page))
        return 0
    rows = [[moment(one["at"]), one["severity"], one["type"], one["message"]] for one in reversed(page["events"])]
    print(table(("AT", "SEVERITY", "TYPE", "WHAT"), rows))
    return 0


async def _unit(hub: Hub, args: argparse.Namespace) -> int:
    node = await node_of(hub, args.node)
    body = {"unit": full_name(args.unit), "lines": args.limit or MAX_JOURNAL_LINES, "level": "warning" if args.warnings else "all"}
    found = await hub.post(f"/nodes/{node['id']}/journal", body)
    if args.json:
        print(json.dumps(found))
        return 0
    for line in found["lines"]:
        print(moment(line["at"]), shown(line["text"]))
    return 0
