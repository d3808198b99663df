"""`stardust deadlines`: events that nodes must report by a time of day, such as a completed backup."""

from __future__ import annotations

import argparse
import json

from groundcontrol.cli.client import CliError, Hub, is_meant, nodes_of, shown
from groundcontrol.cli.formatting import MISSING, table
from groundcontrol.cli.maintenance import select_body, selection_text
from groundcontrol.cli.options import add_act, add_acts, add_nodes

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="all deadlines")
    add = add_act(acts, "add", help="expect an event of each node by a time of day")
    add.add_argument("name", metavar="NAME")
    add_nodes(add)
    add.add_argument("--event", required=True, help="type of event, such as backup_completed, or the name of a custom event")
    add.add_argument("--by", required=True, metavar="HH:MM", help="local time of day")
    add.add_argument("--zone", required=True, help="time zone, such as Europe/Budapest")
    add.add_argument("--from", dest="start", default="00:00", metavar="HH:MM", help="an earlier event does not count [00:00]")
    add.add_argument("--day", action="append", choices=_DAYS, help="only on this day; may be repeated [every day]")
    add.add_argument("--severity", choices=("warning", "critical"), default="critical", help="[critical]")
    for name, about in (("days", "how the nodes met a deadline on the last days"), ("remove", "remove a deadline")):
        add_act(acts, name, help=about).add_argument("deadline", metavar="DEADLINE", help="its name or id")


async def run(args: argparse.Namespace) -> int:
    """List deadlines, add or remove one, or show its days."""
    async with Hub(args) as hub:
        if args.act == "add":
            body = {"name": args.name, "event": args.event, "by": args.by, "zone": args.zone, "from": args.start, "severity": args.severity}
            select = select_body(await nodes_of(hub, args.nodes), args.nodes)
            made = await hub.post("/expectations", {**body, "select": select, **({"days": args.day} if args.day else {})})
            print(json.dumps(made) if args.json else f"{shown(made['name'])} {made['id']}")
            return 0
        found = (await hub.get("/expectations"))["expectations"]
        names = {node["id"]: node["name"] async for node in hub.every("/nodes", "nodes")}
        if args.act != "list":
            return await _one(hub, args, found, names)
    if args.json:
        print(json.dumps({"expectations": found}))
        return 0
    rows = [
        [
            one["name"], one["event"], f"{one['by']} {one['zone']}", "every day" if len(one["days"]) == 7 else ", ".join(one["days"]),
            selection_text(one["select"], names), one["severity"], one["id"],
        ]
        for one in found
    ]  # fmt: skip
    print(table(("DEADLINE", "EVENT", "BY", "DAYS", "NODES", "SEVERITY", "ID"), rows))
    return 0


async def _one(hub: Hub, args: argparse.Namespace, found: list[dict[str, str]], names: dict[str, str]) -> int:
    meant = next((one for one in found if is_meant(one, args.deadline)), None)
    if meant is None:
        raise CliError(f"there is no deadline {shown(args.deadline)!r}; `stardust deadlines` lists them", "not_found")
    if args.act == "remove":
        await hub.delete(f"/expectations/{meant['id']}")
        print(json.dumps({"removed": meant["id"]}) if args.json else f"the deadline {shown(meant['name'])} is removed")
        return 0
    answer = await hub.get(f"/expectations/{meant['id']}/days")
    if args.json:
        print(json.dumps(answer))
        return 0
    rows = [
        [
            day["date"], str(day["met"]), str(day["late"] + day["arrived_late"]), str(day["missed"]),
            ", ".join(f"{names.get(one['node_id'], one['node_id'])} {one['state']}" for one in day["nodes"]) or MISSING,
        ]
        for day in answer["days"]
    ]  # fmt: skip
    print(table(("DATE", "MET", "LATE", "MISSED", "NODES"), rows))
    return 0
