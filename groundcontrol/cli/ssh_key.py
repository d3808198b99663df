"""`stardust ssh-key`: shows or changes the hub's own SSH key, with which it logs in to servers that accept the key."""

from __future__ import annotations

import argparse
import json

from groundcontrol.cli.client import CliError, Hub, shown
from groundcontrol.cli.formatting import moment
from groundcontrol.cli.options import add_act, add_acts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, default="show")
    add_act(acts, "show", help="the public half, as a line for ~/.ssh/authorized_keys on a server")
    add_act(acts, "new", help="make the key")
    add_act(acts, "replace", help="make another key, and destroy the earlier one; servers then need the new line")
    add_act(acts, "remove", help="destroy the key, so that the hub cannot log in with it any more")


async def run(args: argparse.Namespace) -> int:
    """Exit status 0 if the hub has a key, or the key was removed."""
    if args.act != "show" and args.url is not None:
        raise CliError("change the hub's SSH key in the page, or on the hub's own machine without --url")
    async with Hub(args) as hub:
        if args.act == "remove":
            await hub.delete("/hub-key")
            print(
                json.dumps({"key": None})
                if args.json
                else "The hub has no SSH key now. Remove its line from authorized_keys on the servers."
            )
            return 0
        state = await (hub.get("/hub-key") if args.act == "show" else hub.post("/hub-key", {"replace": args.act == "replace"}))
    key = state["key"]
    if args.json:
        print(json.dumps(state))
    elif key is None:
        raise CliError("this hub has no SSH key of its own: make it with stardust ssh-key new")
    else:
        print(f"{shown(key['fingerprint'])}, made {moment(key['created_at'])} by {shown(key['created_by'])}")
        print("Add this line to ~/.ssh/authorized_keys of the account that the hub logs in with:")
        print(shown(key["authorized_keys"]))
    return 0 if key is not None else 1
