"""`stardust status`: shows the hub's health and the number of its nodes."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Any

from groundcontrol.cli.client import CliError, Hub, shown
from groundcontrol.cli.formatting import LEVELS, UPDATE_OUTDATED, named_agents


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """The verb has no arguments."""


async def run(args: argparse.Namespace) -> int:
    """Exit status 1 while the hub is unhealthy. If its database cannot be read, values are shown as unknown."""
    unknown = ""
    states: Counter[str] = Counter()
    levels: Counter[str] = Counter()
    security = 0
    outdated: list[tuple[str, str]] = []
    async with Hub(args) as hub:
        status, health = await hub.health()
        page = await _page(hub, args)
        try:
            async for node in hub.every("/nodes", "nodes"):
                states["reconnecting" if node.get("reconnecting") else node["state"]] += 1
                levels[node["health"]["level"]] += 1
                security += node["updates"]["security"] or 0
                outdated += [(node["name"], node["agent_version"])] if node["agent"] == "outdated" else []
        except CliError as exc:
            if status == 200 and exc.code != "organisation.required":  # the health of the hub is known in any case
                raise
            unknown = str(exc)
    nodes = None if unknown else {state: states[state] for state in ("online", "reconnecting", "offline", "pending")}
    document = {
        "health": health,
        "page": page["address"] if page else args.url,
        "nodes": nodes,
        "security_updates": None if unknown else security,
    }
    document["health_levels"] = None if unknown else {level: levels[level] for level in LEVELS}
    document["outdated_agents"] = None if unknown else dict(outdated)
    if args.json:
        print(json.dumps(document))
    else:
        print(f"Ground Control {health['version']}: {health['status']}{'' if health['database'] else ' (the database refuses writes)'}")
        if unknown:
            print(f"nodes: unknown ({unknown})")
        else:
            back = f"{states['reconnecting']} reconnecting, " if states["reconnecting"] else ""
            print(f"nodes: {states['online']} online, {back}{states['offline']} offline, {states['pending']} pending")
            print(
                f"findings: {', '.join(f'{levels[level]} {level}' for level in LEVELS[:3])}; {levels['ok']} ok, {levels['unknown']} unknown"
            )
        if security and not unknown:
            print(f"security updates waiting: {security}")
        if outdated and not unknown:
            print(shown(f"outdated Spiders: {named_agents(outdated)}; {UPDATE_OUTDATED} updates them"))
        print(page_text(page["address"], page["port"], only_here=page["only_here"]) if page else f"page: {args.url or 'not known'}")
    return 0 if status == 200 else 1


async def _page(hub: Hub, args: argparse.Namespace) -> Any | None:
    """The address of the page; None: the hub is on another machine, or does not say it."""
    try:
        return None if args.url is not None else await hub.get("/local/page")
    except CliError:
        return None  # the health, which follows, says what is wrong


def page_text(address: str, port: int, *, only_here: bool) -> str:
    """How to open the page."""
    tunnel = f"\nfrom another machine: ssh -L {port}:localhost:{port} <this machine>, then the same address there" if only_here else ""
    return f"page: {address}{tunnel}"
