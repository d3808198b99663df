"""`stardust patch-status`: how each node stands with its security updates."""

from __future__ import annotations

import argparse
import json
from typing import Any

from groundcontrol.cli.client import Hub
from groundcontrol.cli.formatting import MISSING, age, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--late", action="store_true", help="only nodes that are late or not known")


async def run(args: argparse.Namespace) -> int:
    """Print the status of each node, and the share in time."""
    async with Hub(args) as hub:
        answer = await hub.get("/patch-status")
    nodes = [one for one in answer["nodes"] if not args.late or one["in_time"] != "in_time"]
    if args.json:
        print(json.dumps({**answer, "nodes": nodes}))
        return 0
    print(table(("NODE", "", "SECURITY", "OLDEST", "PROMISED", "PATCHED", "BY", "SUPPORTED UNTIL", "NOTES"), [_row(one) for one in nodes]))
    print()
    print(table(("RELEASE", "NODES", "SUPPORTED UNTIL", ""), [_release(one) for one in answer["support"]]))
    print()
    total = answer["total"]
    fresh = total["in_time"] + total["late"]
    print(f"{total['in_time']} of {fresh} nodes with fresh lists are in time; {total['unknown']} have none")
    return 0


def _release(one: Any) -> list[str]:
    left = one["left_days"]
    words = "not known" if left is None else f"ended {-left} d ago" if left < 0 else f"{left} d left"
    release = f"{one['os_id']} {one['os_version']}".strip() or MISSING
    return [release, str(len(one["nodes"])), one["supported_until"] or MISSING, words]


def _notes(one: Any) -> str:
    notes = [
        one["held"], one["kept_back"], "" if one["reboot_due_since_at"] is None else f"reboot due since {age(one['reboot_due_since_at'])}",
        f"also patched by {one['other_patcher']}" if one["other_patcher"] else "", "" if one["policies"] else "under no patch policy",
    ]  # fmt: skip
    return "; ".join(filter(None, notes))


def _row(one: Any) -> list[str]:
    waiting = MISSING if one["security_waiting"] is None else str(one["security_waiting"])
    oldest = MISSING if one["age_days"] is None else f"{one['age_days']:.0f} d"
    patched = MISSING if one["last_patched_at"] is None else age(one["last_patched_at"])
    return [
        one["name"], one["in_time"].replace("_", " "), waiting, oldest, f"{one['promise_days']} d", patched, one["by_policy"] or MISSING,
        one["supported_until"] or MISSING, _notes(one),
    ]  # fmt: skip
