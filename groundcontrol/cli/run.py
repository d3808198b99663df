"""`stardust run ACTION NODE`: orders a job and shows what it prints, byte for byte, made safe for this terminal."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any, Final

from groundcontrol.cli.client import Hub, node_of, shown
from groundcontrol.cli.terminal import Cleaner
from groundcontrol.domain.jobs import ACTIONS, TERMINAL

POLL_S: Final = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("node", help="name or id")
    parser.add_argument("packages", nargs="*", help="for upgrade: only these; without any, all")
    parser.add_argument("--no-wait", action="store_true", help="order it and return at once")


async def run(args: argparse.Namespace) -> int:
    """Exit status 0 when the job succeeded, 1 when it did not."""
    async with Hub(args) as hub:
        node = await node_of(hub, args.node)
        wish: dict[str, object] = {"action": args.action}
        if args.packages:
            wish["packages"] = args.packages
        job = await hub.post(f"/nodes/{node['id']}/jobs", wish)
        if not args.json:
            waiting = "" if node["state"] == "online" else f" (waits for {shown(node['name'])}, which is not connected)"
            print(f"job {job['id']}: {args.action} on {shown(node['name'])}{waiting}", file=sys.stderr)
        if not args.no_wait:
            job = await _follow(hub, job, show=not args.json)
    if args.json:
        print(json.dumps(job))
    elif not args.no_wait:
        _report(job)
    return 0 if args.no_wait or job["state"] == "succeeded" else 1


async def _follow(hub: Hub, job: Any, *, show: bool) -> Any:
    offset, cleaner = 0, Cleaner()
    while True:
        job = await hub.get(f"/jobs/{job['id']}")
        if show and job["output_bytes"] > offset:
            part = await hub.raw(f"/jobs/{job['id']}/output", {"offset": str(offset)})
            offset += len(part)
            sys.stdout.write(cleaner.feed(part))
            sys.stdout.flush()
        elif job["state"] in TERMINAL:
            return job
        else:
            await asyncio.sleep(POLL_S)


def _report(job: Any) -> None:
    for change in job["changes"]:
        before, after = shown(change["from"]) or "(new)", shown(change["to"]) or "(removed)"
        print(f"  {shown(change['package'])}  {before} -> {after}", file=sys.stderr)
    why = f": {shown(job['error']['message'])}" if job["error"] else ""
    code = "" if job["exit_code"] is None else f", exit code {job['exit_code']}"
    print(f"{job['state']}{code}{why}", file=sys.stderr)
