"""`stardust policy`: patch policies: list, show, export, apply, run, skip, resume."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from groundcontrol.cli.client import CliError, Hub, shown
from groundcontrol.cli.formatting import MISSING, table
from groundcontrol.cli.options import add_act, add_acts, file_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="all patch policies, and when each is due")
    show = add_act(acts, "show", help="what a patch policy would do, or which policies select a node")
    show.add_argument("policy", nargs="?", metavar="POLICY", help="a name or id of the list")
    show.add_argument("--node", metavar="NODE", help="only what concerns this node: a name or id")
    add_act(acts, "export", help="all patch policies as JSON, for `apply`")
    apply = add_act(acts, "apply", help="apply the patch policies of a file, all or none; others of the hub stay")
    apply.add_argument("file", type=file_path, metavar="FILE")
    apply.add_argument("--dry-run", action="store_true", help="check the file and print what it would change; change nothing")
    add_act(acts, "run", help="run a patch policy now, within its windows").add_argument("policy", metavar="POLICY")
    add_act(acts, "skip", help="skip the next time of a patch policy").add_argument("policy", metavar="POLICY")
    add_act(acts, "resume", help="let the policies run again that a restore of the hub paused")


async def run(args: argparse.Namespace) -> int:
    """List, show, export, apply, run or skip."""
    async with Hub(args) as hub:
        if args.act == "apply":
            return await _apply(hub, args)
        if args.act == "resume":
            return _print(args, await hub.post("/patch-policies/resume", {}), "patch policies run again")
        policies = (await hub.get("/patch-policies"))["patch_policies"]
        if args.act == "list":
            return _list(args, policies)
        if args.act == "export":
            print(json.dumps({"policies": policies}, indent=2, ensure_ascii=False))
            return 0
        return await _of_one(hub, args, policies)


async def _of_one(hub: Hub, args: argparse.Namespace, policies: list[Any]) -> int:
    if args.act == "show":
        return await _show(hub, args, policies)
    one = _find(policies, args.policy)
    if args.act == "skip":
        return await _skip(hub, args, one)
    made = await hub.post("/rollouts", {"policy_id": one["id"]})
    return _print(args, made, f"the roll-out {made['id']} began: stardust rollout watch {made['id']}")


def _print(args: argparse.Namespace, answer: Any, text: str) -> int:
    print(json.dumps(answer) if args.json else shown(text))
    return 0


def _find(policies: list[Any], name: str) -> Any:
    found = [one for one in policies if name in (one["id"], one["name"])]
    if not found:
        raise CliError(f"there is no patch policy {name}; `stardust policy list` shows them", "not_found")
    return found[0]


def _list(args: argparse.Namespace, policies: list[Any]) -> int:
    if args.json:
        print(json.dumps({"patch_policies": policies}))
        return 0
    rows = [
        [one["name"], "off" if not one["enabled"] else one["paused"] or "on", one["what"], _when(one), one["zone"], one["owner"], one["id"]]
        for one in policies
    ]
    print(table(("NAME", "", "WHAT", "WHEN", "ZONE", "OWNER", "POLICY"), rows))
    return 0


def _when(one: Any) -> str:
    when = one["when"]
    if when["weekly"]:
        days = ",".join(when["weekly"])
    elif when["monthly"]:
        days = f"{when['monthly']['nth']} {when['monthly']['day']}"
    elif when["every_weeks"]:
        days = f"every {when['every_weeks']['weeks']} weeks {','.join(when['every_weeks']['days'])}"
    else:
        days = when["once"] or MISSING
    return f"{days} {one['start']}"


async def _show(hub: Hub, args: argparse.Namespace, policies: list[Any]) -> int:
    if args.policy is None and args.node is None:
        raise CliError("name a patch policy, or a node with --node", "command.usage")
    if args.policy is None:
        rows = [row for row in (await hub.get("/patch-status"))["nodes"] if args.node in (row["node_id"], row["name"])]
        if not rows:
            raise CliError(f"there is no node {args.node}", "selector.nothing")
        return _print(args, rows[0], f"{rows[0]['name']}: {', '.join(rows[0]['policies']) or 'under no patch policy'}")
    one = _find(policies, args.policy)
    body = {name: value for name, value in one.items() if name not in ("id", "owner", "paused", "next_at", "version")}
    answer = await hub.post("/patch-policies/preview", {"policy": body, "id": one["id"]})
    if args.json:
        print(json.dumps(answer))
        return 0
    lines = [f"{one['name']}: {one['what']}, {_when(one)} ({one['zone']}), {len(answer['nodes'])} nodes in waves of {answer['waves']}"]
    lines += [f"next: {each['local']} {each['zone']} {each['shifted']}".rstrip() for each in answer["next"]]
    lines += [f"takes: {each['package']} {each['version']} on {each['nodes']}" for each in answer["packages"][:20]]
    lines += [f"waits for its age: {each['package']} {each['version']}" for each in answer["waiting_for_age"][:20]]
    lines += [f"held: {each['node_id']}: {each['words']}" for each in answer["held"][:50]]
    lines += [f"warning: {each['words']}" for each in answer["warnings"]]
    print("\n".join(map(shown, lines)))
    return 0


async def _skip(hub: Hub, args: argparse.Namespace, one: Any) -> int:
    found = (await hub.get(f"/patch-policies/{one['id']}/occurrences"))["occurrences"]
    ahead = [each for each in found if each["state"] in ("planned", "waiting_approval")]
    if not ahead:
        raise CliError(f"{one['name']} has no time ahead that could be skipped", "not_found")
    due = ahead[0]
    answer = await hub.post(f"/patch-policies/{one['id']}/occurrences/{due['due_at']:.0f}/skip", {})
    return _print(args, answer, f"{one['name']} does not run at {due['local']} {due['zone']}")


async def _apply(hub: Hub, args: argparse.Namespace) -> int:
    try:
        answer = await hub.post("/patch-policies/apply", {"policies": _read(args.file), "dry_run": args.dry_run})
    except CliError as exc:
        faults = exc.facts.get("faults")
        if args.json or not faults:
            raise
        lines = [shown(f"policy {fault['number']} ({fault['policy']}): {fault['fault']}") for fault in faults]
        raise CliError("\n".join([f"{args.file} was not applied, and nothing was changed:", *lines]), exc.code) from exc
    if args.json:
        print(json.dumps(answer))
        return 0
    would = "would " if args.dry_run else ""
    for one in answer["policies"]:
        if one["act"] != "keep":
            print(shown(f"{would}{one['act']} {one['name']}{': ' + ', '.join(one['fields']) if one['fields'] else ''}"))
    acts = Counter(one["act"] for one in answer["policies"])
    print(
        f"{acts['add']} {would}added, {acts['change']} {would}changed, {acts['keep']} are the same; {len(answer['left'])} are not in the file and stay"
    )
    return 0


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise CliError(f"{path} cannot be read as patch policies: {exc}") from exc
    policies = found.get("policies") if isinstance(found, dict) else None
    if not isinstance(policies, list) or not all(isinstance(one, dict) for one in policies):
        raise CliError(f'{path} contains no patch policies: it must be {{"policies": [...]}}, as `stardust policy export` prints')
    return policies
