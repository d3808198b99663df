"""`stardust status`: how the hub is, and how many nodes it sees."""

from __future__ import annotations

import argparse
import json
from collections import Counter

from groundcontrol.cli.client import Hub


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """None of its own."""


async def run(args: argparse.Namespace) -> int:
    """Exit status 1 while the hub is not well."""
    async with Hub(args) as hub:
        status, health = await hub.health()
        states: Counter[str] = Counter()
        security = 0
        if health["database"]:
            async for node in hub.every("/nodes", "nodes"):
                states[node["state"]] += 1
                security += node["updates"]["security"] or 0
    facts = {"health": health, "nodes": {state: states[state] for state in ("online", "offline", "pending")}, "security_updates": security}
    if args.json:
        print(json.dumps(facts))
    else:
        print(f"Ground Control {health['version']}: {health['status']}{'' if health['database'] else ' (the database takes nothing)'}")
        print(f"nodes: {states['online']} online, {states['offline']} offline, {states['pending']} pending")
        if security:
            print(f"security updates waiting: {security}")
    return 0 if status == 200 else 1
