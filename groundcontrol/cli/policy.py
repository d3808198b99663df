"""`stardust policy`: patch policies: list, show, export, apply, run, skip, approve, take-over, resume."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Final

from groundcontrol.cli.answers import Columns, print_answer, print_list
from groundcontrol.cli.client import CliError, Hub, node_of, one_named, shown
from groundcontrol.cli.formatting import MISSING, moment
from groundcontrol.cli.hub_file import HubFile
from groundcontrol.cli.options import add_act, add_acts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="all patch policies, and when each is due")
    show = add_act(acts, "show", help="what a patch policy would do, or which policies select a node")
    show.add_argument("policy", nargs="?", metavar="POLICY", help="a name or id of the list")
    show.add_argument("--node", metavar="NODE", help="only what concerns this node: a name or id")
    FILE.add_acts(acts)
    add_act(acts, "run", help="run a patch policy now, within its windows").add_argument("policy", metavar="POLICY")
    add_act(acts, "skip", help="skip the next time of a patch policy").add_argument("policy", metavar="POLICY")
    add_act(acts, "approve", help="approve the packages that the notice of its next time named").add_argument("policy", metavar="POLICY")
    take = add_act(acts, "take-over", help="run a patch policy with your rights, such as one whose owner left")
    take.add_argument("policy", metavar="POLICY")
    take.add_argument("--rollouts", action="store_true", help="its roll-outs that have not ended, too")
    add_act(acts, "resume", help="let the policies run again that a restore of the hub or a suspension paused")


async def run(args: argparse.Namespace) -> int:
    """List, show, export, apply, run or skip."""
    async with Hub(args) as hub:
        if args.act == "apply":
            return await FILE.apply(hub, args)
        if args.act == "resume":
            return print_answer(args, await hub.post("/patch-policies/resume", {}), "patch policies run again")
        policies = (await hub.get("/patch-policies"))["patch_policies"]
        if args.act == "list":
            return print_list(args, "patch_policies", policies, COLUMNS)
        if args.act == "export":
            beyond = [one["name"] for one in policies if not one["whole"]]
            if beyond:
                print(shown(f"left out, since they select servers beyond your rights: {', '.join(beyond)}"), file=sys.stderr)
            return FILE.export([one for one in policies if one["whole"]])
        return await _of_one(hub, args, policies)


async def _of_one(hub: Hub, args: argparse.Namespace, policies: list[Any]) -> int:
    if args.act == "show":
        return await _show(hub, args, policies)
    one = one_named(policies, args.policy, "patch policy", "policy")
    if args.act in ("skip", "approve"):
        return await _decide(hub, args, one)
    if args.act == "take-over":
        taken = await hub.patch(f"/patch-policies/{one['id']}", {"version": one["version"], "take_over": True})
        said = [f"{taken['name']} runs with the rights of {taken['owner']}"]
        for live in (await hub.get(f"/rollouts?policy={one['id']}"))["rollouts"]:
            if live["ended_at"] is None and live["owner"] != taken["owner"] and args.rollouts:
                moved = await hub.post(f"/rollouts/{live['id']}/take-over", None)
                said.append(f"so does its roll-out {live['id']} ({moved['state']}): stardust rollout resume {live['id']}")
            elif live["ended_at"] is None and live["owner"] != taken["owner"]:
                said.append(f"its roll-out {live['id']} still has the rights of {live['owner']}: stardust rollout take-over {live['id']}")
        return print_answer(args, taken, shown("\n".join(said)))
    made = await hub.post("/rollouts", {"policy_id": one["id"]})
    return print_answer(args, made, shown(f"the roll-out {made['id']} began: stardust rollout watch {made['id']}"))


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


COLUMNS: Final[Columns] = {
    "NAME": "name", "": lambda one: "off" if not one["enabled"] else one["paused"] or "on", "WHAT": "what", "WHEN": _when, "ZONE": "zone",
    "OWNER": "owner", "POLICY": "id",
}  # fmt: skip


PAUSES: Final = {
    "owner": "its owner may no longer act: `stardust policy take-over`",
    "restored": "the hub was restored from a backup: `stardust policy resume`",
    "suspended": "the organisation was suspended: `stardust policy resume`",
    "stopped": "its last roll-out was stopped: look at it, then save the policy again",
}
MOST_LINES: Final = 20


def _few(lines: list[str]) -> list[str]:
    """The first of these lines, and how many more there are."""
    return lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES], f"and {len(lines) - MOST_LINES} more"]


def _ripe(each: Any) -> str:
    return "(never old enough: each version is replaced before)" if each["superseded"] else f"until {moment(each['ripe_at'])}"


def _of_node(row: Any) -> list[str]:
    """The patch policies of a node, when the first of them is due, and what keeps it from them."""
    due = f"; next {moment(row['next_at'])}" if row["next_at"] is not None else ""
    return [f"{row['name']}: {', '.join(row['policies']) or 'under no patch policy'}{due}", *filter(None, (row["held"], row["kept_back"]))]


async def _show(hub: Hub, args: argparse.Namespace, policies: list[Any]) -> int:
    if args.policy is None and args.node is None:
        raise CliError("name a patch policy, or a node with --node", "command.usage")
    if args.policy is None:
        node = await node_of(hub, args.node)
        rows = [row for row in (await hub.get("/patch-status"))["nodes"] if row["node_id"] == node["id"]]
        return print_answer(args, rows[0], "\n".join(map(shown, _of_node(rows[0]))))
    one = one_named(policies, args.policy, "patch policy", "policy")
    body = {name: value for name, value in one.items() if name not in ("id", "owner", "paused", "next_at", "whole", "version")}
    answer = await hub.post("/patch-policies/preview", {"policy": body, "id": one["id"]})
    if args.node is not None:
        node = await node_of(hub, args.node)
        if node["id"] not in {each["node_id"] for each in (*answer["nodes"], *answer["held"])}:
            raise CliError(f"{one['name']} does not select {node['name']}", "selector.nothing")
        body["select"] = {**one["select"], "all": False, "tags": [], "nodes": [node["id"]]}
        answer = await hub.post("/patch-policies/preview", {"policy": body, "id": one["id"]})
    if args.json:
        print(json.dumps(answer))
        return 0
    waves = f"in waves of {', '.join(map(str, answer['waves']))}" if answer["waves"] else "can take part"
    lines = [f"{one['name']}: {one['what']}, {_when(one)} ({one['zone']}), {len(answer['nodes']) or 'no'} nodes {waves}"]
    if not one["enabled"] or one["paused"]:
        lines.append(f"does not run: {PAUSES[one['paused']] if one['enabled'] else 'it is off'}")
    lines += [f"next: {each['local']} {each['zone']} {each['shifted']}".rstrip() for each in answer["next"]]
    lines += _few([f"takes: {each['package']} {each['version']} on {each['nodes']}" for each in answer["packages"]])
    lines += _few([f"waits for its age: {each['package']} {each['version']} {_ripe(each)}" for each in answer["waiting_for_age"]])
    names = {node["id"]: node["name"] async for node in hub.every("/nodes", "nodes")} if answer["held"] else {}
    lines += _few([f"left out: {words}" for words in sorted({each["kept_back"] for each in answer["nodes"]} - {""})])
    held: dict[str, list[str]] = {}
    for each in answer["held"]:
        why = each["words"] + (f"; what helps: {each['remedy']}" if each["remedy"] else "")
        held.setdefault(why, []).append(names.get(each["node_id"], each["node_id"]))
    lines += [f"held: {', '.join(found)}: {why}" for why, found in held.items()]
    lines += [f"warning: {each['words']}" for each in answer["warnings"]]
    print("\n".join(map(shown, lines)))
    return 0


async def _decide(hub: Hub, args: argparse.Namespace, one: Any) -> int:
    """Skip or approve the next time of a policy."""
    found = (await hub.get(f"/patch-policies/{one['id']}/occurrences"))["occurrences"]
    ahead = [each for each in found if each["state"] in ("planned", "waiting_approval")]
    if not ahead:
        raise CliError(f"{one['name']} has no time ahead", "not_found")
    due = ahead[0]
    when = f"{due['local']} {due['zone']}"
    path = f"/patch-policies/{one['id']}/occurrences/{due['due_at']:.0f}/{args.act}"
    answer = await hub.post(path, {} if args.act == "skip" else None)
    approved = f"{one['name']} at {when} is approved by {len(answer['approvals'])} of {answer['approvals_needed']}"
    return print_answer(args, answer, shown(f"{one['name']} does not run at {when}" if args.act == "skip" else approved))


def _lines(one: Any, verb: str) -> list[str]:
    """The change of a policy in one line; none if it stays the same."""
    return [] if one["act"] == "keep" else [f"{verb}{one['act']} {one['name']}{': ' + ', '.join(one['fields']) if one['fields'] else ''}"]


FILE: Final = HubFile("policy", "/patch-policies", "policies", "policy", "patch policies", _lines)
