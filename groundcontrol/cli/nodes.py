"""`stardust nodes`: lists the nodes of the fleet, or approves, rejects or removes some."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from groundcontrol.cli import removal
from groundcontrol.cli.client import CliError, Hub, is_meant, shown
from groundcontrol.cli.each import each_node
from groundcontrol.cli.formatting import LEVELS, MISSING, age, number_text, percent, ratio, table
from groundcontrol.cli.options import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("act", nargs="?", choices=("list", "approve", "reject", "remove"), default="list", help="[list]")
    parser.add_argument("node", nargs="*", help="names or ids of the nodes to approve, reject or remove")
    parser.add_argument("--state", choices=("online", "offline", "pending"), help="only nodes in this state")
    parser.add_argument("--tag", help="only nodes with this tag")
    removal.add_arguments(parser)


async def run(args: argparse.Namespace) -> int:
    """List nodes, approve or reject waiting nodes, or remove nodes."""
    if args.act != "list" and (args.state or args.tag):
        raise UsageError(f"nodes: --state and --tag are for the list; name the nodes to {args.act}")
    if args.act != "list" and not args.node:
        raise UsageError(f"nodes: name the nodes to {args.act}; `stardust nodes` lists them")
    if args.act == "remove":
        return await removal.remove(args)
    if removal.is_given(args):
        raise UsageError("nodes: the flags of a removal are for remove alone")
    if args.act != "list":
        return await _decide(args)
    if args.node:
        raise UsageError("nodes: names are for approve, reject and remove")
    async with Hub(args) as hub:
        nodes = [
            node
            async for node in hub.every("/nodes", "nodes")
            if (args.state in (None, node["state"])) and (args.tag is None or args.tag in node["tags"])
        ]
    nodes.sort(key=severity)  # equal nodes stay in the order of the hub
    if args.json:
        print(json.dumps({"nodes": nodes}))
        return 0
    rows = []
    for node in nodes:
        latest = node["latest"]
        rows.append(
            [
                node["name"], _state(node), health_text(node["health"]), node["address"], percent(latest.get("cpu.total")), number_text(latest.get("load.1")),
                ratio(latest.get("memory.used"), latest.get("memory.total")), updates_text(node["updates"]), node["identity"]["os_name"] or MISSING,
                agent_text(node), age(node["last_seen_at"]), node["id"],
            ]
        )  # fmt: skip
    print(table(("NAME", "STATE", "HEALTH", "ADDRESS", "CPU", "LOAD", "MEM", "UPDATES (SEC)", "SYSTEM", "SPIDER", "SEEN", "ID"), rows))
    return 0


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


async def _decide(args: argparse.Namespace) -> int:
    chosen: dict[str, Any] = {}
    async with Hub(args) as hub:
        known = [node async for node in hub.every("/nodes", "nodes")]
        for word in args.node:
            found = [node for node in known if is_meant(node, word)]
            if not found:
                raise CliError(f"there is no node {shown(word)}; nothing was done")
            if not found[0]["waiting"]:
                raise CliError(f"{shown(found[0]['name'])} does not wait for approval; nothing was done")
            chosen[found[0]["id"]] = found[0]
        done: list[str] = []
        refused: list[dict[str, str]] = []

        async def one(node: Any) -> None:
            await hub.post(f"/nodes/{node['id']}/{args.act}", None)
            done.append(node["id"])
            if not args.json:
                print(f"{shown(node['name'])} is {'approved' if args.act == 'approve' else 'rejected'}", flush=True)

        try:
            await each_node(list(chosen.values()), one, refused, quiet=args.json)
        finally:
            if args.json and (done or refused):
                print(json.dumps({"nodes": done, "act": args.act, "refused": refused}))
    return 1 if refused else 0
