"""`stardust window`: windows and freezes of patching: list, freeze, open, end."""

from __future__ import annotations

import argparse
from typing import Any

from groundcontrol.cli.answers import Columns, print_answer, print_list
from groundcontrol.cli.client import Hub, nodes_of, one_named, shown
from groundcontrol.cli.formatting import MISSING, moment, span_s
from groundcontrol.cli.maintenance import select_body, selection_text
from groundcontrol.cli.options import SELECTOR, add_act, add_acts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="windows in which patching is allowed, and freezes in which nothing is upgraded or rebooted")
    freeze = add_act(acts, "freeze", help="freeze all nodes now, or some: no upgrade and no reboot until it is ended")
    freeze.add_argument("nodes", nargs="*", default=["*"], metavar="NODE", help=f"[every node]; {SELECTOR}")
    freeze.add_argument("--for", dest="span", default="", metavar="TIME", help="such as 8h or 2d [until it is ended]")
    opened = add_act(acts, "open", help="let roll-outs touch nodes now, although none of their windows is open")
    opened.add_argument("nodes", nargs="+", metavar="NODE", help=SELECTOR)
    opened.add_argument("--for", dest="span", default="1h", metavar="TIME", help="such as 30m or 8h, at most 24h [1h]")
    for act in (freeze, opened):
        act.add_argument("--reason", required=True, metavar="TEXT", help="why; the audit log keeps it")
    end = add_act(acts, "end", help="end a freeze or an opened window now, or delete a window")
    end.add_argument("window", metavar="WINDOW", help="a name or id of the list, or `freezes`: all that a person began now")


async def run(args: argparse.Namespace) -> int:
    """List windows and freezes, begin one now, or end some."""
    async with Hub(args) as hub:
        match args.act:
            case "freeze" | "open":
                return await _begin(hub, args)
            case "end":
                return await _end(hub, args)
        windows = (await hub.get("/windows"))["windows"]
        names = {node["id"]: node["name"] async for node in hub.every("/nodes", "nodes")}
    columns: Columns = {
        "NAME": "name", "KIND": "kind", "OPEN": lambda one: "now" if one["open"] else "", "NODES": lambda one: selection_text(one["select"], names),
        "WHEN": _times, "REASON": lambda one: one["reason"], "WINDOW": "id",
    }  # fmt: skip
    return print_list(args, "windows", windows, columns)


def _times(one: Any) -> str:
    if one["began_at"] is not None:
        return f"since {moment(one['began_at'])}, {'until it is ended' if one['until_at'] is None else 'until ' + moment(one['until_at'])}"
    upcoming = MISSING if one["next_at"] is None else moment(one["next_at"])
    return f"at {one['start']} {one['zone']} for {one['length_s'] / 3600:g} h, next {upcoming}"


async def _begin(hub: Hub, args: argparse.Namespace) -> int:
    nodes = [] if args.nodes == ["*"] else await nodes_of(hub, args.nodes)
    body = {
        "kind": args.act,
        "select": select_body(nodes, args.nodes),
        "reason": args.reason,
        "length_s": span_s(args.span, "window") if args.span else 0,
    }
    made = await hub.post("/windows/now", body)
    until = "until `stardust window end freezes`" if made["until_at"] is None else f"until {moment(made['until_at'])}"
    return print_answer(args, made, shown(f"{made['name']}: in force {until}"))


async def _end(hub: Hub, args: argparse.Namespace) -> int:
    windows = (await hub.get("/windows"))["windows"]
    if args.window == "freezes":
        found = [one for one in windows if one["kind"] == "freeze" and one["began_at"] is not None and one["open"]]
    else:
        found = [one_named(windows, args.window, "window", "window")]
    for one in found:
        await hub.delete(f"/windows/{one['id']}")
    names = ", ".join(one["name"] for one in found)
    return print_answer(args, {"ended": [one["id"] for one in found]}, shown(f"ended: {names}" if found else "nothing was frozen by hand"))
