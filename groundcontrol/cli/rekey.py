"""`stardust rekey`: rotates a node's keys to the next generation."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any, Final

from groundcontrol.cli.client import Hub, node_of, shown
from groundcontrol.cli.run import print_ordered
from groundcontrol.cli.watch import JobWatch
from groundcontrol.jobs.model import TERMINAL

POLL_S: Final = 0.25
BACK_LIMIT_S: Final = 90.0
"""Time limit for a node to reconnect with its new keys."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node", metavar="NODE", help="name or id")
    parser.add_argument("--no-wait", action="store_true", help="order it, print the id of the job, and do not wait for its end")


async def run(args: argparse.Namespace) -> int:
    """Exit status 0 if the node has reconnected with its new keys."""
    async with Hub(args) as hub, JobWatch(hub, quiet=args.json) as watch:
        node = await node_of(hub, args.node)
        job = await watch.order(f"/nodes/{node['id']}/rekey", None)
        watch.follows(job["id"])
        if not args.json:
            print_ordered(job, node)
        while not args.no_wait and job["state"] not in TERMINAL:
            await asyncio.sleep(POLL_S)
            job = await watch.get(f"/jobs/{job['id']}")
        back = not args.no_wait and job["state"] == "succeeded" and await _is_back(watch, node)
    if args.json:
        print(json.dumps(job))
    elif args.no_wait:
        print(job["id"])
    else:
        print(shown(f"{node['name']}: {_outcome_text(job, back=back)}"))
    return 0 if args.no_wait or back else 1


def _outcome_text(job: Any, *, back: bool) -> str:
    if job["state"] != "succeeded":
        return f"the job is {job['state']}" + (f": {job['error']['message']}" if job["error"] else "")
    if back:
        return "it is back with its new keys"
    return f"it has new keys, but has not come back with them for {BACK_LIMIT_S:.0f} s; see the log of Spider there"


async def _is_back(watch: JobWatch, node: Any) -> bool:
    """Wait until the node has proved the next generation of its keys; False: it did not within `BACK_LIMIT_S`."""
    ends_at = time.monotonic() + BACK_LIMIT_S
    while True:
        now = await watch.get(f"/nodes/{node['id']}")
        if now["keys_generation"] > node["keys_generation"] and now["state"] == "online":
            return True
        if time.monotonic() >= ends_at:
            return False
        await asyncio.sleep(POLL_S)
