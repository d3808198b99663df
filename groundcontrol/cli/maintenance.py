"""`stardust maintenance`: windows in which alerts of some nodes are shown but not sent."""

from __future__ import annotations

import argparse
import time
from typing import Any

from groundcontrol.cli.answers import Columns, print_answer, print_list
from groundcontrol.cli.client import Hub, nodes_of, shown
from groundcontrol.cli.formatting import MISSING, moment, span_s
from groundcontrol.cli.options import add_act, add_acts, add_nodes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="open and future windows, and those of the last week")
    start = add_act(acts, "start", help="open a window now")
    add_nodes(start)
    start.add_argument("--for", dest="span", default="1h", metavar="TIME", help="such as 30m, 8h or 2d [1h]")
    start.add_argument("--reason", default="", help="a text for the others")
    add_act(acts, "end", help="end a window now").add_argument("window", metavar="WINDOW", help="an id of the list")


async def run(args: argparse.Namespace) -> int:
    """List windows, open one, or end one."""
    async with Hub(args) as hub:
        match args.act:
            case "start":
                select = select_body(await nodes_of(hub, args.nodes), args.nodes)
                until_at = time.time() + span_s(args.span, "maintenance")
                made = await hub.post("/maintenance", {"select": select, "until_at": until_at, "reason": args.reason})
                return print_answer(args, made, f"maintenance {made['id']} until {moment(made['until_at'])}")
            case "end":
                await hub.delete(f"/maintenance/{args.window}")
                return print_answer(args, {"ended": args.window}, f"the window {shown(args.window)} is over")
        windows = (await hub.get("/maintenance"))["maintenance"]
        names = {node["id"]: node["name"] async for node in hub.every("/nodes", "nodes")}
    columns: Columns = {
        "WINDOW": "id", "STATE": lambda one: "open" if one["active"] else "over" if one["next_from_at"] is None else "planned",
        "NODES": lambda one: selection_text(one["select"], names), "FROM": lambda one: moment(one["next_from_at"] or one["from_at"]),
        "UNTIL": lambda one: moment(one["next_until_at"] or one["closed_at"] or one["until_at"]), "BY": "created_by", "REASON": "reason",
    }  # fmt: skip
    return print_list(args, "maintenance", windows, columns)


def select_body(nodes: list[Any], selectors: list[str]) -> dict[str, Any]:
    """The selection of a request. Tags, and `*` for every node, stay what they are, so that later nodes are selected too."""
    words = [part.strip() for word in selectors for part in word.split(",")]
    if words == ["*"]:
        return {"all": True}
    if all(word.startswith("tag:") for word in words):
        return {"tags": [word.removeprefix("tag:") for word in words]}
    return {"nodes": [node["id"] for node in nodes]}


def selection_text(select: Any, names: dict[str, str]) -> str:
    """A selection of nodes as text."""
    if select["all"]:
        return "every node"
    return ", ".join([*(f"tag:{tag}" for tag in select["tags"]), *(names.get(node, node) for node in select["nodes"])]) or MISSING
