"""`stardust jobs`: the latest jobs, or all about one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from groundcontrol.cli.client import Hub, shown
from groundcontrol.cli.client import node_of as find_node
from groundcontrol.cli.options import count
from groundcontrol.cli.run import plan_text, report
from groundcontrol.cli.table import MISSING, moment, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", nargs="?", help="all about this one (its id)")
    parser.add_argument("--node", help="only those of this node (name or id)")
    parser.add_argument("--limit", type=count, default=20, help="how many [20]")


async def run(args: argparse.Namespace) -> int:
    """List them, newest first; or show one with its plan and its report."""
    async with Hub(args) as hub:
        return await (_one(hub, args) if args.job else _list(hub, args))


async def _list(hub: Hub, args: argparse.Namespace) -> int:
    params = {"limit": str(args.limit)}
    if args.node:
        params["node"] = (await find_node(hub, args.node))["id"]
    page = await hub.get("/jobs", params)
    if args.json:
        print(json.dumps(page))
        return 0
    names = {node["id"]: node["name"] async for node in hub.every("/nodes", "nodes")}
    rows = [
        [
            job["id"], names.get(job["node_id"], job["node_id"]), job["action"], job["state"], moment(job["created_at"]),
            str(len(job["changes"])), job["error"]["message"] if job["error"] else MISSING,
        ]
        for job in page["jobs"]
    ]  # fmt: skip
    print(table(("JOB", "NODE", "ACTION", "STATE", "ORDERED", "CHANGES", "ERROR"), rows))
    return 0


def where(job: Mapping[str, Any]) -> str:
    """Where a job stands, in a line: its phase, and the share, the package and the note where it tells them."""
    percent = job["progress_percent"]
    told = (job["phase"], None if percent is None else f"{percent} %", job["package"], job["note"])
    return " ".join(["phase", *(part for part in told if part)])


async def _one(hub: Hub, args: argparse.Namespace) -> int:
    job = await hub.get(f"/jobs/{args.job}")
    if args.json:
        for what, there in (("plan", job["plan_digest"]), ("report", job["has_report"])):
            job[f"{what}_told"] = await hub.get(f"/jobs/{args.job}/{what}") if there else None
        print(json.dumps(job))
        return 0
    node = await hub.get(f"/nodes/{job['node_id']}")
    print(f"{job['action']} {shown(' '.join(job['packages']))}".strip() + f" on {shown(node['name'])}, by {shown(job['created_by'])}")
    stood = (
        ("ordered", job["created_at"]),
        ("began", job["started_at"]),
        ("ended", job["ended_at"]),
        ("printed last", job["last_output_at"]),
    )
    print(", ".join(f"{word} {moment(at)}" for word, at in stood if at is not None))
    if job["phase"]:
        print(shown(where(job)))
    if job["stop"]:
        print(shown(f"stop: {job['stop']['state']}, by {job['stop']['by']} {job['stop']['why']}").rstrip())
    print(f"output: {job['output_bytes']} bytes held of {job['output_total_bytes']}")
    if job["plan_digest"] and job["action"] != "plan":
        print(plan_text(await hub.get(f"/jobs/{args.job}/plan")))
    sys.stdout.flush()
    await report(hub, job)
    return 0
