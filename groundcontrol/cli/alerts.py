"""`stardust alerts`: shows alerts, lets a user handle them, and explains who was notified."""

from __future__ import annotations

import argparse
import time
from typing import Any

from groundcontrol.cli.answers import Columns, print_answer, print_list
from groundcontrol.cli.client import Hub, shown
from groundcontrol.cli.formatting import LEVELS, MISSING, age, span_s
from groundcontrol.cli.options import add_act, add_acts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    listed = add_act(acts, "list", help="the alerts that fire, the worst first")
    listed.add_argument("--all", action="store_true", help="also those that have ended, newest first")
    ack = add_act(acts, "ack", help="take charge of alerts; their messages are not repeated any more")
    ack.add_argument("alert", nargs="+", metavar="ALERT", help="an id of the list")
    ack.add_argument("--note", default="", help="a note for the others")
    snooze = add_act(acts, "snooze", help="hold the messages of an alert back")
    snooze.add_argument("alert", metavar="ALERT")
    snooze.add_argument("--for", dest="span", default="1h", metavar="TIME", help="such as 30m, 8h or 2d [1h]")
    add_act(acts, "unsnooze", help="end a snooze").add_argument("alert", metavar="ALERT")
    add_act(acts, "explain", help="for each channel: when it was notified, or why not").add_argument("alert", metavar="ALERT")


async def run(args: argparse.Namespace) -> int:
    """List alerts, handle some, or explain one."""
    async with Hub(args) as hub:
        match args.act:
            case "list":
                return await _list(hub, args)
            case "ack":
                answer = await hub.post("/alerts/acknowledge", {"ids": args.alert, "note": args.note})
                return print_answer(args, answer, f"{len(answer['alerts'])} acknowledged")
            case "snooze":
                until_at = time.time() + span_s(args.span, "alerts")
                answer = await hub.post(f"/alerts/{args.alert}/snooze", {"until_at": until_at})
                return print_answer(args, answer, f"snoozed for {args.span}")
            case "unsnooze":
                return print_answer(args, await hub.post(f"/alerts/{args.alert}/unsnooze", None), "the snooze is over")
            case _:
                answer = await hub.get(f"/alerts/{args.alert}/explain")
                lines = [shown(channel["sentence"]) for channel in answer["channels"]]
                return print_answer(args, answer, "\n".join(lines) or "there is no channel: alerts are shown and sent nowhere")


async def _list(hub: Hub, args: argparse.Namespace) -> int:
    params = {} if args.all else {"state": "firing"}
    alerts = [alert async for alert in hub.every("/alerts", "alerts", params)]
    if not args.all:
        alerts.sort(key=lambda alert: (LEVELS.index(level_of(alert)), alert["since_at"]))
    if args.json or not alerts:
        return print_answer(args, {"alerts": alerts}, "nothing fires")
    names = {node["id"]: node["name"] async for node in hub.every("/nodes", "nodes")}
    columns: Columns = {
        "ALERT": "id", "LEVEL": level_of, "NODE": lambda alert: "hub" if alert["node_id"] is None else names.get(alert["node_id"], alert["node_id"]),
        "WHAT": "rule_name", "OF": "object", "STATE": "state", "SINCE": lambda alert: age(alert["since_at"]), "FLAGS": _flags,
    }  # fmt: skip
    return print_list(args, "alerts", alerts, columns)


def level_of(alert: Any) -> str:
    """The level of an alert; `notice` if its rule makes notices."""
    return "notice" if alert["notice"] else str(alert["level"])


def _flags(alert: Any) -> str:
    """The names of the set flags."""
    flags = alert["flags"]
    words = [word for word in ("acknowledged", "stale", "flapping", "maintenance") if flags[word]]
    if flags["snoozed_until"] and flags["snoozed_until"] > time.time():
        words.append("snoozed")
    if flags["suppressed_by"]:
        words.append(f"explained by {flags['suppressed_by']}")
    return ", ".join(words) or MISSING
