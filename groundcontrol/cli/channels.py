"""`stardust channels`: lists the channels of notifications, or tests one."""

from __future__ import annotations

import argparse
from typing import Any, Final

from groundcontrol.cli.answers import Columns, print_answer, print_list
from groundcontrol.cli.client import CliError, Hub, one_named, shown
from groundcontrol.cli.formatting import age
from groundcontrol.cli.options import add_act, add_acts
from groundcontrol.cli.pause import pause

WAIT_S: Final = 30.0
"""How long `test` waits for the receiver's answer."""
POLL_S: Final = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="all channels, with their state")
    add_act(acts, "test", help="send a test message, and wait for the receiver's answer").add_argument(
        "channel", metavar="CHANNEL", help="its name or id"
    )
    mark = add_act(acts, "hub", help="whether a channel also tells of the hub itself: its disk, backup, clock, audit log")
    mark.add_argument("channel", metavar="CHANNEL", help="its name or id")
    mark.add_argument("on", choices=("on", "off"))


async def run(args: argparse.Namespace) -> int:
    """List channels, or test one."""
    async with Hub(args) as hub:
        channels = (await hub.get("/channels"))["channels"]
        if args.act == "test":
            return await _test(hub, args, channels)
        if args.act == "hub":
            after = await hub.patch(f"/channels/{_named(args, channels)['id']}", {"instance": args.on == "on"})
            return print_answer(
                args, after, f"{shown(after['name'])} {'also tells' if after['instance'] else 'does not tell'} of the hub itself"
            )
    columns: Columns = {
        "CHANNEL": "name", "KIND": "kind", "STATE": lambda one: one["state"] if one["enabled"] else "off", "FROM": "min_severity",
        "TARGET": "target_masked", "TESTED": lambda one: age(one["tested_at"]), "REASON": "state_reason", "ID": "id",
    }  # fmt: skip
    return print_list(args, "channels", channels, columns)


def _named(args: argparse.Namespace, channels: list[Any]) -> Any:
    return one_named(channels, args.channel, "channel", "channels")


async def _test(hub: Hub, args: argparse.Namespace, channels: list[Any]) -> int:
    found = _named(args, channels)
    wanted = (await hub.post(f"/channels/{found['id']}/test", None))["delivery_id"]
    delivery: Any = None
    for _ in range(int(WAIT_S / POLL_S)):
        await pause(POLL_S)
        page = await hub.get("/deliveries", {"channel": found["id"]})
        delivery = next((one for one in page["deliveries"] if one["id"] == wanted), None)
        if delivery is not None and delivery["state"] in ("sent", "failed", "skipped"):
            break
    if delivery is None or delivery["state"] != "sent":
        reason = "no answer yet" if delivery is None else shown(delivery["reason"])
        raise CliError(f"{shown(found['name'])}: not sent: {reason}")
    return print_answer(args, delivery, f"{shown(found['name'])}: the receiver accepted the test message")
