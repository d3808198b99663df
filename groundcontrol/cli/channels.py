"""`stardust channels`: lists the channels of notifications, or tests one."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any, Final

from groundcontrol.cli.client import CliError, Hub, is_meant, shown
from groundcontrol.cli.formatting import MISSING, age, table
from groundcontrol.cli.options import add_act, add_acts

WAIT_S: Final = 30.0
"""How long `test` waits for the receiver's answer."""
POLL_S: Final = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="all channels, with their state")
    add_act(acts, "test", help="send a test message, and wait for the receiver's answer").add_argument(
        "channel", metavar="CHANNEL", help="its name or id"
    )


async def run(args: argparse.Namespace) -> int:
    """List channels, or test one."""
    async with Hub(args) as hub:
        channels = (await hub.get("/channels"))["channels"]
        if args.act == "test":
            return await _test(hub, args, channels)
    if args.json:
        print(json.dumps({"channels": channels}))
        return 0
    rows = [
        [
            one["name"], one["kind"], one["state"] if one["enabled"] else "off", one["min_severity"], one["target_masked"], age(one["tested_at"]),
            one["state_reason"] or MISSING, one["id"],
        ]
        for one in channels
    ]  # fmt: skip
    print(table(("CHANNEL", "KIND", "STATE", "FROM", "TARGET", "TESTED", "REASON", "ID"), rows))
    return 0


async def _test(hub: Hub, args: argparse.Namespace, channels: list[Any]) -> int:
    found = next((channel for channel in channels if is_meant(channel, args.channel)), None)
    if found is None:
        raise CliError(f"there is no channel {shown(args.channel)}; `stardust channels` lists them", "not_found")
    wanted = (await hub.post(f"/channels/{found['id']}/test", None))["delivery_id"]
    delivery: Any = None
    for _ in range(int(WAIT_S / POLL_S)):
        await asyncio.sleep(POLL_S)
        page = await hub.get("/deliveries", {"channel": found["id"]})
        delivery = next((one for one in page["deliveries"] if one["id"] == wanted), None)
        if delivery is not None and delivery["state"] in ("sent", "failed", "skipped"):
            break
    if delivery is None or delivery["state"] != "sent":
        reason = "no answer yet" if delivery is None else shown(delivery["reason"])
        raise CliError(f"{shown(found['name'])}: not sent: {reason}")
    print(json.dumps(delivery) if args.json else f"{shown(found['name'])}: the receiver accepted the test message")
    return 0
