"""`stardust run ACTION`: orders jobs and shows their progress. For one node it shows the output, filtered for the terminal; for many nodes,
their lines with the node's name in front, above a live block on a terminal."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, Protocol

from groundcontrol.cli.client import CliError, Hub, is_pattern, nodes_of, shown
from groundcontrol.cli.formatting import MISSING, table
from groundcontrol.cli.live import Keys, Outputs, Screen, block_of
from groundcontrol.cli.options import EXIT_SOME_FAILED, SELECTOR, UsageError
from groundcontrol.cli.terminal import AnsiFilter
from groundcontrol.cli.typed import answered
from groundcontrol.cli.watch import JobWatch
from groundcontrol.core.verbs import JOBS, PLANNED
from groundcontrol.jobs.model import TERMINAL
from spider.wire.arg_kinds import ARG_KINDS
from spider.wire.text import decimal_size
from spider.wire.verbs import VERBS

POLL_S: Final = 0.25
BATCH_POLL_S: Final = 1.0
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=JOBS)
    parser.add_argument(
        "words",
        nargs="*",
        metavar=" | ".join(["NODE", *(kind.noun.upper() for kind in ARG_KINDS)]),
        help=f"the nodes, unless --node or --tag names them ({SELECTOR}); then what the action names: packages, units of systemd, one container",
    )
    parser.add_argument("--node", action="append", default=[], metavar="NAME", help="on these nodes (as NODE); may be repeated")
    parser.add_argument("--tag", action="append", default=[], metavar="TAG", help="on every node with this tag; may be repeated")
    parser.add_argument("--for", dest="for_action", choices=PLANNED, help="with plan: the action that is planned [upgrade]")
    parser.add_argument("--plan", metavar="DIGEST", help="run only if the plan still has this digest")
    parser.add_argument(
        "--reboot",
        action="store_true",
        help="after the upgrade, reboot if that is required; held while packages are broken or the kernel failed",
    )
    parser.add_argument(
        "--override-freeze", metavar="REASON", help="change nodes in spite of a freeze, as an admin; the audit log keeps why"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before a pattern orders a job on several nodes")
    parser.add_argument("--no-wait", action="store_true", help="order it, print the id of the job or batch, and do not wait for its end")


async def run(args: argparse.Namespace) -> int:
    """Exit status 0: every job succeeded, or was only ordered (`--no-wait`). 1: a job did not succeed, or a node refused it."""
    named, packages = list(args.node), list(args.words)
    if not named and not args.tag:
        if not packages:
            raise UsageError("run: name a node, or several with --node or --tag")
        named.append(packages.pop(0))
    request: dict[str, object] = {"action": args.action}
    if args.action == "plan":
        request["for"] = args.for_action or "upgrade"
    elif args.for_action:
        raise UsageError("run: --for is for the action plan")
    planned = str(request.get("for", args.action))
    kind = VERBS[planned].kind
    if packages and kind is None:
        raise CliError(f"{planned} takes no packages: leave them out; name further nodes with --node", "request.invalid")
    if kind is not None and kind.single and len(packages) != 1:
        raise CliError(f"{planned} needs one {kind.noun}: name it after the node", "request.invalid")
    if kind is not None and packages:
        words = [kind.complete(word) for word in packages]
        request[kind.name] = words[0] if kind.single else words
    given = (("plan", args.plan), ("reboot", args.reboot), ("override_freeze", args.override_freeze))
    request |= {name: value for name, value in given if value}
    async with Hub(args) as hub, JobWatch(hub, quiet=args.json) as watch:
        if packages and not args.json:
            await _warn_of_node_names(hub, packages)
        names = await _chosen(hub, named, args.tag)
        _confirm(args, named, names)
        if len(named) == 1 and not args.tag and not is_pattern(named):
            [node] = names
            return await _one(watch, args, await hub.get(f"/nodes/{node}"), request)
        return await _many(watch, args, names, request)


async def _warn_of_node_names(hub: Hub, packages: list[str]) -> None:
    """Warn if a word that counts as a package is also the name of a node."""
    names = {node["name"] async for node in hub.every("/nodes", "nodes")}
    for word in packages:
        if word in names:
            print(f"{shown(word)} counts as a package, although a node has this name: name further nodes with --node", file=sys.stderr)


# -- one node ----------------------------------------------------------------------------------------


async def _one(watch: JobWatch, args: argparse.Namespace, node: Any, request: dict[str, object]) -> int:
    job = await watch.order(f"/nodes/{node['id']}/jobs", request)
    if not args.json:
        print_ordered(job, node)
    if args.no_wait:
        print(json.dumps(job) if args.json else job["id"])
        return 0
    return await follow_job(watch, job, as_json=args.json)


async def follow_job(watch: JobWatch, job: Any, *, as_json: bool) -> int:
    """Show a job until its end. Returns the exit status of the command."""
    watch.follows(job["id"])
    job = await _follow_until_end(watch, job, print_output=not as_json)
    if as_json:
        print(json.dumps(job))
    else:
        await print_result(watch, job)
    return 0 if job["state"] == "succeeded" else 1


def print_ordered(job: Any, node: Any) -> None:
    """Print an ordered job on standard error, and whether it waits for its node."""
    name = shown(node["name"])
    waiting = "" if node["state"] == "online" else f" (waits for {name}, which is not connected)"
    print(f"job {job['id']}: {job['action']} on {name}{waiting}", file=sys.stderr)


async def _follow_until_end(watch: JobWatch, job: Any, *, print_output: bool) -> Any:
    offset, cleaner, last_text, ends_open = 0, AnsiFilter(), None, False

    def take(piece: bytes) -> None:
        nonlocal ends_open
        text = cleaner.feed(piece)
        sys.stdout.write(text)
        sys.stdout.flush()
        seen = COLOUR.sub("", text)
        ends_open = not seen.endswith("\n") if seen else ends_open

    while True:
        job = await watch.get(f"/jobs/{job['id']}")
        if print_output and job["state"] not in TERMINAL and (job["state"], job["phase"], job["stop"]) != last_text:
            last_text = (job["state"], job["phase"], job["stop"])
            if job["phase"] == "waiting_lock" or job["stop"]:
                print(f"[{_state_text(job)}]", file=sys.stderr)
        if print_output and job["output_bytes"] > offset:
            offset = await watch.pieces(f"/jobs/{job['id']}/output", offset, take)
        elif job["state"] in TERMINAL:
            if ends_open:  # text about the job begins on a new line
                print(flush=True)
            return job
        else:
            await asyncio.sleep(POLL_S)


def _state_text(job: Any) -> str:
    stop = f", stop: {job['stop']['state']}" if job["stop"] else ""
    return shown(f"{job['phase'] or job['state']}{stop}{': ' + job['note'] if job['note'] else ''}")


class Reads(Protocol):
    """A `Hub`, or a `JobWatch`, which repeats failed reads."""

    async def get(self, path: str) -> Any: ...


async def print_result(hub: Reads, job: Any) -> None:
    """Print the result of an ended job and its report on standard error, and its plan on standard output."""
    if job["action"] == "plan" and job["plan_digest"]:
        print(plan_text(await hub.get(f"/jobs/{job['id']}/plan")))
    for change in job["changes"]:
        before, after = shown(change["from"]) or "(new)", shown(change["to"]) or "(removed)"
        print(f"  {shown(change['package'])}  {before} -> {after}", file=sys.stderr)
    if job["has_report"]:
        for line in report_lines(await hub.get(f"/jobs/{job['id']}/report")):
            print(f"  {line}", file=sys.stderr)
    why = f": {shown(job['error']['message'])}" if job["error"] else ""
    code = "" if job["exit_code"] is None else f", exit code {job['exit_code']}"
    lost = ", not everything came back" if job["lost"] else ""
    print(f"{job['state']}{lost}{code}{why}", file=sys.stderr)


def plan_text(plan: Any) -> str:
    """A plan as text."""
    rows = [
        [
            step["package"], step["from"] or "(new)", step["to"] or "(removed)",
            {"yes": "security", "no": ""}.get(step["security"], ""), step["repository"],
        ]
        for step in plan["steps"]
    ]  # fmt: skip
    kept = [[package["package"], package["version"], package["reason"]] for package in plan["kept"]]
    counts = plan["counts"]
    parts = [table(("PACKAGE", "FROM", "TO", "", "REPOSITORY"), rows)] if rows else []
    parts += ["kept back:\n" + table(("PACKAGE", "VERSION", "WHY"), kept)] if kept else []
    size = "" if plan["download_bytes"] is None else f", {decimal_size(plan['download_bytes'])} to download"
    reboot = {"yes": ", a reboot is expected", "no": ""}.get(plan["reboot"], ", whether a reboot is due is not known")
    what = f"{counts['upgrades']} upgrades, {counts['new']} new, {counts['removals']} removals"
    secure = f"{counts['security']} for security"
    if any(step["security"] == "unknown" for step in plan["steps"] if step["from"] and step["to"]):
        secure = f"at least {secure}" if counts["security"] else "security updates are unknown"
    parts.append(f"{what}, {secure}, {counts['kept']} kept back{size}{reboot}\nplan {plan['digest']}")
    return "\n".join(parts)


def report_lines(report: Any) -> list[str]:
    """A report as lines that are safe for a terminal."""
    lines = []
    if report["reboot"] != "no":
        why = f": {report['reboot_why']}" if report["reboot_why"] else ""
        lines.append(f"reboot required: {report['reboot']}{why}")
    lines += [f"still runs replaced code: {unit}" for unit in report["services"]]
    lines += [f"failed since: {unit}" for unit in report["failed_units"]]
    for file in report["config_files"]:
        lines += [f"new configuration file: {file['path']}", *(f"    {line}" for line in file["diff"].expandtabs().splitlines())]
    return [shown(line) for line in (*lines, *report["notes"])]


# -- many nodes --------------------------------------------------------------------------------------


async def _many(watch: JobWatch, args: argparse.Namespace, names: dict[str, str], request: dict[str, object]) -> int:
    batch = await watch.order("/jobs", {**request, "nodes": list(names)})
    if not args.json:
        print(f"batch {batch['id']}: {args.action} on {len(names)} nodes", file=sys.stderr)
        for refused in batch["refused"]:
            print(f"  {shown(names.get(refused['node_id'], refused['node_id']))}: refused: {shown(refused['message'])}", file=sys.stderr)
    if args.no_wait:
        print(json.dumps(batch) if args.json else batch["id"])
        return 0
    return await follow_batch(watch, batch, names, as_json=args.json)


async def follow_batch(watch: JobWatch, batch: Any, names: Mapping[str, str], *, as_json: bool) -> int:
    """Show the jobs of a batch until their ends. Returns the exit status of the command."""
    watch.follows(batch["id"])
    keys, screen, outputs = Keys(), Screen(), Outputs(names, watch.pieces)
    states: dict[str, str] = {}
    with contextlib.nullcontext() if as_json else keys.watched():
        while True:
            batch = await watch.get(f"/batches/{batch['id']}")
            if not as_json:
                lines = await outputs.new_lines(batch["jobs"])
                screen.show(lines + _state_lines(batch["jobs"], states, names), block_of(batch["jobs"], names, keys.notice))
            if batch["state"] == "done":
                break
            if keys.leaves:
                raise KeyboardInterrupt
            if keys.cancels:
                keys.cancels = False
                await watch.post(f"/batches/{batch['id']}/cancel")
            await asyncio.sleep(BATCH_POLL_S)
    print(json.dumps(batch) if as_json else batch_table(batch, names))
    failed = any(job["state"] != "succeeded" for job in batch["jobs"]) or bool(batch["refused"])
    return EXIT_SOME_FAILED if failed else 0


async def _chosen(hub: Hub, named: list[str], tags: list[str]) -> dict[str, str]:
    """Id -> name of the chosen nodes.

    Raises: CliError: a selector or a tag matches no node.
    """
    found = await nodes_of(hub, [*named, *(f"tag:{tag}" for tag in tags)])
    return {node["id"]: node["name"] for node in found}


def _confirm(args: argparse.Namespace, selectors: list[str], names: Mapping[str, str]) -> None:
    """Ask before a pattern, which may match more nodes than the user thinks of, orders a job on several.

    Raises: CliError: the user declined; UsageError: nobody can be asked.
    """
    if len(names) < 2 or args.yes or not is_pattern(selectors):
        return
    if not sys.stdin.isatty():
        raise UsageError(f"run: {' '.join(selectors)} matches {len(names)} nodes: without a terminal, give --yes")
    shown_names = shown(", ".join(sorted(names.values())))
    if answered(f"{args.action} on {len(names)} nodes: {shown_names}? Type yes to continue:") != "yes":
        raise CliError("nothing was ordered")


def _state_lines(jobs: list[Any], states: dict[str, str], names: Mapping[str, str]) -> list[str]:
    """A line for each job whose state has changed."""
    lines = []
    for job in jobs:
        if states.get(job["id"]) != job["state"]:
            states[job["id"]] = job["state"]
            why = f": {shown(job['error']['message'])}" if job["error"] else ""
            lines.append(f"  {shown(names.get(job['node_id'], job['node_id']))}: {job['state']}{why}")
    return lines


def batch_table(batch: Any, names: Mapping[str, str]) -> str:
    """A table with the result of each node, and the number of jobs in each state."""
    rows = [
        [
            names.get(job["node_id"], job["node_id"]), job["state"], job["phase"] or MISSING, str(job["changes"]),
            job["error"]["message"] if job["error"] else MISSING, job["id"],
        ]
        for job in batch["jobs"]
    ]  # fmt: skip
    rows += [[names.get(one["node_id"], one["node_id"]), "refused", MISSING, "0", one["message"], MISSING] for one in batch["refused"]]
    counts = ", ".join(f"{count} {state}" for state, count in sorted(batch["counts"].items()))
    return table(("NODE", "STATE", "PHASE", "CHANGES", "ERROR", "JOB"), rows) + f"\n{counts or 'no job'}; {len(batch['refused'])} refused"
