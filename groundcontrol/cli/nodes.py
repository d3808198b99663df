"""`stardust nodes`: lists the nodes of the fleet, shows some, or changes, approves, rejects or removes some."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from groundcontrol.cli import removal
from groundcontrol.cli.answers import Columns, print_list
from groundcontrol.cli.client import CliError, Hub, node_of, nodes_of, selected, shown
from groundcontrol.cli.each import each_node
from groundcontrol.cli.formatting import LEVELS, MISSING, age, number_text, percent, ratio
from groundcontrol.cli.options import EXIT_SOME_FAILED, UsageError, add_act, add_acts, add_nodes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    listed = add_act(acts, "list", help="the nodes, the worst first", description="List the nodes, the worst first.")
    add_nodes(listed, nargs="*")
    listed.add_argument("--state", choices=("online", "offline", "pending"), help="only nodes in this state")
    listed.add_argument("--tag", help="only nodes with this tag")
    add_nodes(add_act(acts, "show", help="all that is known of nodes"))
    tag = add_act(acts, "tag", help="add or remove tags of nodes")
    add_nodes(tag)
    tag.add_argument("--add", action="append", default=[], metavar="TAG", help="may be repeated")
    tag.add_argument("--remove", action="append", default=[], metavar="TAG", help="may be repeated")
    rename = add_act(acts, "rename", help="change the name of a node on the page; its server keeps its own name")
    add_nodes(rename, "node", nargs=None)
    rename.add_argument("name", metavar="NAME")
    note = add_act(acts, "note", help="replace the note of nodes")
    add_nodes(note)
    note.add_argument("--text", required=True, help="the note; '' removes it, '-' reads it from standard input")
    location = add_act(acts, "location", help="say where nodes are: cloud, home, work or another word")
    add_nodes(location)
    location.add_argument("--text", required=True, help="the location; '' leaves it to the node's own file or its name")
    never = add_act(acts, "never", help="let no patch policy touch nodes: never by a schedule")
    add_nodes(never)
    never.add_argument("--text", required=True, help="why; '' lets patch policies touch them again")
    for act, about in (
        ("approve", "let nodes in that joined with an organisation secret"),
        ("reject", "refuse such nodes, and forget them"),
    ):
        add_nodes(add_act(acts, act, help=about))
    remove = add_act(acts, "remove", help="uninstall Spider from servers, then delete their nodes and history for ever")
    add_nodes(remove)
    removal.add_arguments(remove)


async def run(args: argparse.Namespace) -> int:
    """List nodes, show some, or change some."""
    match args.act:
        case "list":
            return await _list(args)
        case "show":
            return await _show(args)
        case "remove":
            return await removal.remove(args)
        case "approve" | "reject":
            return await _decide(args)
        case _:
            return await _edit(args)


async def _list(args: argparse.Namespace) -> int:
    async with Hub(args) as hub:
        known = [node async for node in hub.every("/nodes", "nodes")]
    nodes = [
        node
        for node in (selected(known, args.nodes) if args.nodes else known)
        if (args.state in (None, node["state"])) and (args.tag is None or args.tag in node["tags"])
    ]
    nodes.sort(key=severity)  # equal nodes stay in the order of the hub
    return print_list(args, "nodes", nodes, COLUMNS)


def severity(node: Mapping[str, Any]) -> tuple[bool, int, bool]:
    """Key that sorts the worst first: nodes with an alert that they are offline, then by the level of their health.

    An offline node without that alert may be back in seconds: it comes after critical nodes and before the others.
    """
    away = node["state"] == "offline" and not node.get("reconnecting")
    alerted = away and any(finding["kind"] == "offline" for finding in node["health"]["findings"])
    level = LEVELS.index(node["health"]["level"])
    return not alerted, min(level, LEVELS.index("warning")) if away else level, not away


def _state(node: Mapping[str, Any]) -> str:
    return "waiting" if node["waiting"] else "reconnecting" if node.get("reconnecting") else str(node["state"])


def health_text(health: Mapping[str, Any]) -> str:
    """The level, the worst finding, and the number of further findings."""
    findings = health["findings"]
    if not findings:
        return MISSING if health["level"] == "unknown" else str(health["level"])
    more = f" (+{len(findings) - 1})" if len(findings) > 1 else ""
    return f"{health['level']}: {findings[0]['cause']}{more}"


def updates_text(updates: Mapping[str, Any]) -> str:
    """The number of updates and, if the package manager can count them, of security updates."""
    secure = MISSING if updates["security"] is None else updates["security"]
    return MISSING if updates["total"] is None else f"{updates['total']} ({secure})"


def agent_text(node: Mapping[str, Any]) -> str:
    """The version of a node's agent, marked if the hub ships another version."""
    return f"{node['agent_version'] or MISSING}{' (outdated)' if node['agent'] == 'outdated' else ''}"


COLUMNS: Final[Columns] = {
    "NAME": "name", "STATE": _state, "HEALTH": lambda node: health_text(node["health"]), "ADDRESS": lambda node: node["address"],
    "CPU": lambda node: percent(node["latest"].get("cpu.total")), "LOAD": lambda node: number_text(node["latest"].get("load.1")),
    "MEM": lambda node: ratio(node["latest"].get("memory.used"), node["latest"].get("memory.total")),
    "UPDATES (SEC)": lambda node: updates_text(node["updates"]), "SYSTEM": lambda node: node["identity"]["os_name"] or MISSING,
    "SPIDER": agent_text, "SEEN": lambda node: age(node["last_seen_at"]), "ID": "id",
}  # fmt: skip


async def _show(args: argparse.Namespace) -> int:
    async with Hub(args) as hub:
        nodes = [await hub.get(f"/nodes/{node['id']}") for node in await nodes_of(hub, args.nodes)]
    if args.json:
        print(json.dumps({"nodes": nodes}))
    else:
        print("\n\n".join(node_text(node) for node in nodes))
    return 0


def node_text(node: Mapping[str, Any]) -> str:
    """What the hub knows of a node, a line each; what is not known is named so."""
    identity, latest, policy = node["identity"], node["latest"], node["policy"]
    verbs = f" ({', '.join(policy['verbs'])})" if policy and policy["verbs"] else ""
    lines = (
        ("name", node["name"]),
        ("id", node["id"]),
        ("state", f"{_state(node)}, seen {age(node['last_seen_at'])}"),
        *(("finding", f"{finding['level']}: {finding['cause']}") for finding in node["health"]["findings"]),
        ("tags", ", ".join(node["tags"]) or MISSING),
        ("note", node["note"] or MISSING),
        ("address", node["address"] or MISSING),
        ("system", f"{identity['os_name'] or MISSING}, kernel {identity['kernel'] or MISSING}, {identity['architecture'] or MISSING}"),
        ("location", _location(node)),
        ("revision", identity["revision"] or MISSING),
        ("cpu", percent(latest.get("cpu.total"))),
        ("load", number_text(latest.get("load.1"))),
        ("memory", ratio(latest.get("memory.used"), latest.get("memory.total"))),
        ("updates", f"{updates_text(node['updates'])} (total, security), reboot required: {node['reboot_required']}"),
        ("spider", f"{agent_text(node)}, unit files {node['units']}"),
        ("policy", MISSING if policy is None else f"{policy['mode']}{verbs}"),
        ("patching", _never(node)),
    )
    return "\n".join(f"{name:9} {shown(text)}" for name, text in lines)


def _never(node: Mapping[str, Any]) -> str:
    """Whether patch policies may touch a node."""
    mark = node["never_by_schedule"]
    return f"never by a schedule: {mark['reason']} ({mark['by']})" if mark else "patch policies may touch it"


def _location(node: Mapping[str, Any]) -> str:
    """Where a node is, and who says so."""
    found = node["location"]
    by = {"user": "set here", "node": "by the node", "name": "by its name"}
    return f"{found['location']} ({by[found['by']]})" if found else MISSING


async def _edit(args: argparse.Namespace) -> int:
    """Change tags, name, note, location or mark of the selected nodes."""
    if args.act == "tag" and not (args.add or args.remove):
        raise UsageError("nodes tag: give --add TAG or --remove TAG")
    text = sys.stdin.read() if args.act == "note" and args.text == "-" else getattr(args, "text", "")
    changed: list[Any] = []
    refused: list[dict[str, str]] = []
    async with Hub(args) as hub:
        nodes = [await node_of(hub, args.node)] if args.act == "rename" else await nodes_of(hub, args.nodes)

        async def one(node: Any) -> None:
            if args.act == "tag":
                body: dict[str, Any] = {"tags": [tag for tag in dict.fromkeys([*node["tags"], *args.add]) if tag not in args.remove]}
            else:
                field = "never_by_schedule" if args.act == "never" else args.act
                body = {"name": args.name} if args.act == "rename" else {field: text.strip()}
            after = await hub.patch(f"/nodes/{node['id']}", body)
            changed.append(after)
            if not args.json:
                what = {
                    "tag": f"tags: {', '.join(after['tags']) or MISSING}",
                    "note": f"note: {after['note'] or MISSING}",
                    "location": f"location: {_location(after)}",
                    "never": _never(after),
                }
                print(shown(f"{node['name']}: {what.get(args.act, 'is now ' + after['name'])}"), flush=True)

        await each_node(nodes, one, refused, quiet=args.json)
    if args.json:
        print(json.dumps({"nodes": changed, "refused": refused}))
    return EXIT_SOME_FAILED if refused else 0


async def _decide(args: argparse.Namespace) -> int:
    async with Hub(args) as hub:
        chosen = await nodes_of(hub, args.nodes)
        for node in chosen:
            if not node["waiting"]:
                raise CliError(f"{shown(node['name'])} does not wait for approval; nothing was done")
        done: list[str] = []
        refused: list[dict[str, str]] = []

        async def one(node: Any) -> None:
            await hub.post(f"/nodes/{node['id']}/{args.act}", None)
            done.append(node["id"])
            if not args.json:
                print(f"{shown(node['name'])} is {'approved' if args.act == 'approve' else 'rejected'}", flush=True)

        try:
            await each_node(chosen, one, refused, quiet=args.json)
        finally:
            if args.json and (done or refused):
                print(json.dumps({"nodes": done, "act": args.act, "refused": refused}))
    return EXIT_SOME_FAILED if refused else 0
