"""`stardust rekey`: gives a node the next generation of its keys."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Final

from groundcontrol.cli.client import Hub, node_of, shown
from groundcontrol.cli.run import tell_ordered
from groundcontrol.domain.jobs import TERMINAL

POLL_S: Final = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node", metavar="NODE", help="name or id")
    parser.add_argument("--no-wait", action="store_true", help="order it and return at once")


async def run(args: argparse.Namespace) -> int:
    """Exit status 0 when the node has its new keys."""
    async with Hub(args) as hub:
        node = await node_of(hub, args.node)
        job = await hub.post(f"/nodes/{node['id']}/rekey", None)
        if not args.json:
            tell_ordered(job, node)
        while not args.no_wait and job["state"] not in TERMINAL:
            await asyncio.sleep(POLL_S)
            job = await hub.get(f"/jobs/{job['id']}")
    if args.json:
        print(json.dumps(job))
    elif not args.no_wait:
        why = f": {job['error']['message']}" if job["error"] else ""
        print(shown(f"{node['name']}: {'it has new keys' if job['state'] == 'succeeded' else 'the job is ' + job['state']}{why}"))
    return 0 if args.no_wait or job["state"] == "succeeded" else 1
