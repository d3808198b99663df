"""`stardust logs`: prints the latest events and follows new ones, or prints the last lines of a unit's journal on a node."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Final, NoReturn

from groundcontrol.cli.answers import print_answer
from groundcontrol.cli.client import TEMPORARY, CliError, Hub, node_of, shown
from groundcontrol.cli.formatting import moment, table
from groundcontrol.cli.options import MAX_COUNT, UsageError, count
from groundcontrol.cli.pause import pause
from spider.wire.report_messages import MAX_JOURNAL_LINES
from spider.wire.units import full_name

FOLLOW_S: Final = 2.0
"""Interval at which `--follow` reads new events."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node", help="only events of this node (name or id)")
    parser.add_argument("--unit", help="the last lines of this unit of systemd in the journal of --node, instead of events")
    parser.add_argument("--warnings", action="store_true", help="with --unit: only lines of warnings and errors")
    parser.add_argument("--follow", "-f", action="store_true", help="then print new events until Ctrl-C")
    parser.add_argument("--limit", type=count, help=f"how many [30; lines of a unit: {MAX_JOURNAL_LINES}]")


async def run(args: argparse.Namespace) -> int:
    """Print events or lines, oldest first."""
    if args.unit and not args.node:
        raise CliError("--unit needs a node: --node NAME --unit UNIT")
    if args.unit and args.follow:
        raise UsageError("logs: --follow is for events, not for --unit")
    async with Hub(args) as hub:
        if args.unit:
            return await _unit(hub, args)
        params = {"limit": str(args.limit or 30)}
        if args.node:
            params["node"] = (await node_of(hub, args.node))["id"]
        if args.follow:
            await _follow(hub, params, as_json=args.json)
        page = await hub.get("/events", params)
    rows = [[moment(one["at"]), one["severity"], one["type"], one["message"]] for one in reversed(page["events"])]
    return print_answer(args, page, table(("AT", "SEVERITY", "TYPE", "WHAT"), rows))


async def _follow(hub: Hub, params: dict[str, str], *, as_json: bool) -> NoReturn:
    """Print events, oldest first, and new ones until it is cancelled. An unreachable hub is asked again until it answers.

    Raises: CliError: the hub refused.
    """
    known: set[str] = set()
    away = False
    while True:
        try:
            page: list[dict[str, Any]] = (await hub.get("/events", params))["events"]
        except CliError as exc:
            if exc.code not in TEMPORARY:
                raise
            if not away:
                print(f"stardust: {exc}; trying again …", file=sys.stderr, flush=True)
            away = True
        else:
            away = False
            new = page[: next((at for at, one in enumerate(page) if one["id"] in known), len(page))]
            if known and len(new) == MAX_COUNT:
                print(f"stardust: more than {MAX_COUNT} events came at the same time; older ones are left out", file=sys.stderr, flush=True)
            for one in reversed(new):
                print(json.dumps(one) if as_json else _line(one), flush=True)
            known = {one["id"] for one in page}
            params = params | {"limit": str(MAX_COUNT)}
        await pause(FOLLOW_S)


def _line(one: dict[str, Any]) -> str:
    return f"{moment(one['at'])}  {one['severity']:<8}  {one['type']:<24}  {shown(one['message'])}"


async def _unit(hub: Hub, args: argparse.Namespace) -> int:
    node = await node_of(hub, args.node)
    body = {"unit": full_name(args.unit), "lines": args.limit or MAX_JOURNAL_LINES, "level": "warning" if args.warnings else "all"}
    found = await hub.post(f"/nodes/{node['id']}/journal", body)
    if args.json or found["lines"]:
        return print_answer(args, found, "\n".join(f"{moment(line['at'])} {shown(line['text'])}" for line in found["lines"]))
    return 0
