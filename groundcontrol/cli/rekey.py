"""`stardust rekey`: gives a node the next generation of its keys."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Final

from groundcontrol.cli.client import Hub, node_of, shown
from groundcontrol.cli.run import tell_ordered
from groundcontrol.cli.watch import Watch
from groundcontrol.domain.jobs import TERMINAL

POLL_S: Final = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node", metavar="NODE", help="name or id")
    parser.add_argument("--no-wait", action="store_true", help="order it, print the id of the job, and do not wait for its end")


async def run(args: argparse.Namespace) -> int:
    """Exit status 0 when the node has its new keys."""
    async with Hub(args) as hub, Watch(hub, quiet=args.json) as watch:
        node = await node_of(hub, args.node)
        job = await watch.order(f"/nodes/{node['id']}/rekey", None)
        watch.follows(job["id"])
        if not args.json:
            tell_ordered(job, node)
        while not args.no_wait and job["state"] not in TERMINAL:
            await asyncio.sleep(POLL_S)
            job = await watch.get(f"/jobs/{job['id']}")
    if args.json:
        print(json.dumps(job))
    elif args.no_wait:
        print(job["id"])
    else:
        why = f": {job['error']['message']}" if job["error"] else ""
        print(shown(f"{node['name']}: {'it has new keys' if job['state'] == 'succeeded' else 'the job is ' + job['state']}{why}"))
    return 0 if args.no_wait or job["state"] == "succeeded" else 1
