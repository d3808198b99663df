"""`stardust deadlines`: events that nodes must report by a time of day, such as a completed backup."""

from __future__ import annotations

import argparse

from groundcontrol.cli.answers import Columns, list_text, print_answer, print_list
from groundcontrol.cli.client import Hub, nodes_of, one_named, shown
from groundcontrol.cli.formatting import MISSING
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
            return print_answer(args, made, f"{shown(made['name'])} {made['id']}")
        found = (await hub.get("/expectations"))["expectations"]
        names = {node["id"]: node["name"] async for node in hub.every("/nodes", "nodes")}
        if args.act != "list":
            return await _one(hub, args, found, names)
    columns: Columns = {
        "DEADLINE": "name", "EVENT": "event", "BY": lambda one: f"{one['by']} {one['zone']}",
        "DAYS": lambda one: "every day" if len(one["days"]) == 7 else ", ".join(one["days"]),
        "NODES": lambda one: selection_text(one["select"], names), "SEVERITY": "severity", "ID": "id",
    }  # fmt: skip
    return print_list(args, "expectations", found, columns)


async def _one(hub: Hub, args: argparse.Namespace, found: list[dict[str, str]], names: dict[str, str]) -> int:
    meant = one_named(found, args.deadline, "deadline", "deadlines")
    if args.act == "remove":
        await hub.delete(f"/expectations/{meant['id']}")
        return print_answer(args, {"removed": meant["id"]}, f"the deadline {shown(meant['name'])} is removed")
    answer = await hub.get(f"/expectations/{meant['id']}/days")
    columns: Columns = {
        "DATE": "date", "MET": lambda day: str(day["met"]), "LATE": lambda day: str(day["late"] + day["arrived_late"]), "MISSED": lambda day: str(day["missed"]),
        "NODES": lambda day: ", ".join(f"{names.get(one['node_id'], one['node_id'])} {one['state']}" for one in day["nodes"]) or MISSING,
    }  # fmt: skip
    return print_answer(args, answer, list_text(answer["days"], columns))
