"""`stardust clock accept`: confirms that the hub's clock is right, although the audit log is ahead of it. Runs on the hub's own machine."""

from __future__ import annotations

import argparse
import json

from groundcontrol.cli.client import CliError, Hub
from groundcontrol.cli.options import add_act, add_acts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser)
    add_act(acts, "accept", help="accept the clock as it is now; check it first: sessions that had expired by a later time are valid again")


async def run(args: argparse.Namespace) -> int:
    """Exit status 0, also if there was nothing to accept."""
    if args.url is not None:
        raise CliError("the clock is accepted on the hub's own machine only, without --url")
    async with Hub(args) as hub:
        answer = await hub.post("/local/clock", None)
    if args.json:
        print(json.dumps(answer))
    elif answer["behind_seconds"]:
        print(f"accepted: users can log in; the clock was {answer['behind_seconds'] / 3600:.1f} hours behind the audit log")
    else:
        print("there is nothing to accept: the clock is not behind the audit log")
    return 0
