"""`stardust rules`: the rules of alerts, as a table or as a file that can be kept and applied."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

from groundcontrol.cli.client import CliError, Hub, shown
from groundcontrol.cli.formatting import MISSING, table
from groundcontrol.cli.options import add_act, add_acts, file_path

FIELDS: Final = ("name", "expr", "select", "when", "warn", "crit", "for_s", "clear_s", "enabled", "overrides")
"""What a file holds of a rule, beside its id."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="all rules")
    add_act(acts, "export", help="all rules as JSON, for `apply`")
    apply = add_act(acts, "apply", help="make the rules of the hub those of a file; rules that are not in it stay")
    apply.add_argument("file", type=file_path, metavar="FILE")
    apply.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")


async def run(args: argparse.Namespace) -> int:
    """List, export or apply rules."""
    async with Hub(args) as hub:
        rules = (await hub.get("/rules"))["rules"]
        if args.act == "apply":
            return await _apply(hub, args, rules)
    if args.act == "export":
        print(json.dumps({"rules": [_kept(rule) for rule in rules]}, indent=2, ensure_ascii=False))
        return 0
    if args.json:
        print(json.dumps({"rules": rules}))
        return 0
    rows = [
        [
            rule["id"], "on" if rule["enabled"] else "off", rule["name"], rule["expr"], _level(rule, "warn"), _level(rule, "crit"), rule["unit"] or MISSING,
            "changed" if rule["changed"] else rule["origin"],
        ]
        for rule in rules
    ]  # fmt: skip
    print(table(("RULE", "", "NAME", "VALUE", "WARNING", "CRITICAL", "UNIT", "ORIGIN"), rows))
    return 0


def _level(rule: Any, name: str) -> str:
    sign = ">" if rule["when"] == "above" else "<"
    return MISSING if rule[name] is None else f"{sign} {rule[name]['trigger']:g}"


def _kept(rule: Any) -> dict[str, Any]:
    return {"id": rule["id"], **{field: rule[field] for field in FIELDS}}


async def _apply(hub: Hub, args: argparse.Namespace, rules: list[Any]) -> int:
    wanted = _read(args.file)
    known: dict[str, Any] = {rule["id"]: rule for rule in rules}
    by_name: dict[str, Any] = {rule["name"]: rule for rule in rules}
    changes: list[dict[str, Any]] = []
    for rule in wanted:
        body = {field: rule[field] for field in FIELDS if field in rule}
        before = known.get(rule.get("id", "")) or by_name.get(rule.get("name", ""))
        if before is None:
            changes.append({"act": "create", "rule": rule.get("name", "")})
            if not args.dry_run:
                await hub.post("/rules", body)
            continue
        differing: dict[str, Any] = {field: value for field, value in body.items() if before[field] != value}
        if differing:
            changes.append({"act": "change", "rule": before["id"], "fields": sorted(differing)})
            if not args.dry_run:
                await hub.patch(f"/rules/{before['id']}", {"version": before["version"], **differing})
    if args.json:
        print(json.dumps({"changes": changes, "dry_run": args.dry_run}))
        return 0
    verb = "would " if args.dry_run else ""
    for change in changes:
        print(f"{verb}{change['act']} {shown(change['rule'])}" + (f": {', '.join(change['fields'])}" if "fields" in change else ""))
    print(f"{len(changes)} of {len(wanted)} rules {'would change' if args.dry_run else 'changed'}")
    return 0


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise CliError(f"{path} cannot be read as rules: {exc}") from exc
    rules = found.get("rules") if isinstance(found, dict) else None
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise CliError(f'{path} holds no rules: it must be {{"rules": [...]}}, as `stardust rules export` prints')
    return rules
