"""`stardust jobs`: lists the latest jobs, or shows one; `jobs follow` shows a running job to its end."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from groundcontrol.cli.client import CliError, Hub, shown
from groundcontrol.cli.client import node_of as find_node
from groundcontrol.cli.formatting import MISSING, moment, table
from groundcontrol.cli.options import UsageError, count
from spider.wire.arg_kinds import ARG_KINDS
from spider.wire.ids import is_id

if TYPE_CHECKING:
    from groundcontrol.cli.watch import JobWatch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "stardust jobs [--node NODE] [--limit LIMIT] | JOB | follow ID"
    parser.add_argument(
        "words",
        nargs="*",
        metavar="JOB | follow ID",
        help="show this job; or follow the job, batch or deployment with this id to its end, with its whole output",
    )
    parser.add_argument("--node", help="only jobs of this node (name or id)")
    parser.add_argument("--limit", type=count, default=20, help="how many [20]")


def run(args: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """List jobs, newest first; show one job with its plan and its report; or follow a job."""
    if args.words:
        import groundcontrol.cli.run  # noqa: F401, PLC0415  # with asyncio, whose loop must run before the verb; a list must not wait for it
    return _run(args)


async def _run(args: argparse.Namespace) -> int:
    words = args.words
    if words[:1] == ["follow"]:
        from groundcontrol.cli.watch import JobWatch  # noqa: PLC0415  # see above

        if len(words) != 2:
            raise UsageError("jobs: follow needs one id, of a job, a batch or a deployment")
        async with Hub(args) as hub, JobWatch(hub, quiet=args.json) as watch:
            return await _follow(hub, watch, words[1], as_json=args.json)
    if len(words) > 1:
        raise UsageError("jobs: name one job, or leave it out for a list")
    async with Hub(args) as hub:
        return await (_one(hub, args, words[0]) if words else _list(hub, args))


async def _follow(hub: Hub, watch: JobWatch, wanted: str, *, as_json: bool) -> int:
    """Follow a job, a batch or a deployment. Returns the exit status of the command that ordered it."""
    from groundcontrol.cli.run import follow_batch, follow_job  # noqa: PLC0415  # see `run`
    from groundcontrol.cli.watch import deployment_line, end_of_deployment  # noqa: PLC0415

    nothing = CliError("there is no job, batch or deployment with this id; `stardust jobs` lists jobs", "not_found")
    if not is_id(wanted):
        raise nothing
    job = await _found(hub, f"/jobs/{wanted}")
    if job is not None:
        return await follow_job(watch, job, as_json=as_json)
    batch = await _found(hub, f"/batches/{wanted}")
    if batch is not None:
        names = {node["id"]: node["name"] async for node in hub.every("/nodes", "nodes")}
        return await follow_batch(watch, batch, names, as_json=as_json)
    row = await _found(hub, f"/deployments/{wanted}")
    if row is None:
        raise nothing
    row = await end_of_deployment(watch, row)
    print(json.dumps(row) if as_json else shown(deployment_line(row)))
    return 0 if row["state"] == "succeeded" else 1


async def _found(hub: Hub, path: str) -> Any | None:
    try:
        return await hub.get(path)
    except CliError as exc:
        if exc.code != "not_found":
            raise
        return None


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
            str(len(job["changes"])), job["error"]["message"] if job["error"] else "not everything came back" if job["lost"] else MISSING,
        ]
        for job in page["jobs"]
    ]  # fmt: skip
    print(table(("JOB", "NODE", "ACTION", "STATE", "ORDERED", "CHANGES", "ERROR"), rows))
    return 0


def phase_line(job: Mapping[str, Any]) -> str:
    """The phase of a job, and its progress, package and note if known."""
    percent = job["progress_percent"]
    parts = (job["phase"], None if percent is None else f"{percent} %", job["package"], job["note"])
    return " ".join(["phase", *(part for part in parts if part)])


def names_of(job: Any) -> list[str]:
    """What a job names, of any kind."""
    return [name for kind in ARG_KINDS for name in ([job[kind.name] or ""] if kind.single else job[kind.name])]


async def _one(hub: Hub, args: argparse.Namespace, wanted: str) -> int:
    from groundcontrol.cli.run import plan_text, print_result  # noqa: PLC0415  # see `run`

    job = await hub.get(f"/jobs/{wanted}")
    if args.json:
        for what, there in (("plan", job["plan_digest"]), ("report", job["has_report"])):
            job[f"{what}_told"] = await hub.get(f"/jobs/{wanted}/{what}") if there else None
        print(json.dumps(job))
        return 0
    node = await hub.get(f"/nodes/{job['node_id']}")
    print(f"{job['action']} {shown(' '.join(names_of(job)))}".strip() + f" on {shown(node['name'])}, by {shown(job['created_by'])}")
    times = (
        ("ordered", job["created_at"]),
        ("began", job["started_at"]),
        ("ended", job["ended_at"]),
        ("last output", job["last_output_at"]),
    )
    print(", ".join(f"{word} {moment(at)}" for word, at in times if at is not None))
    if job["phase"]:
        print(shown(phase_line(job)))
    if job["stop"]:
        print(shown(f"stop: {job['stop']['state']}, by {job['stop']['by']} {job['stop']['why']}").rstrip())
    print(f"output: {job['output_bytes']} of {job['output_total_bytes']} bytes are stored")
    if job["plan_digest"] and job["action"] != "plan":
        print(plan_text(await hub.get(f"/jobs/{wanted}/plan")))
    sys.stdout.flush()
    await print_result(hub, job)
    return 0
