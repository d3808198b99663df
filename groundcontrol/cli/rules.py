"""`stardust rules`: shows the rules of alerts, exports them to a file, or applies a file."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

from groundcontrol.cli.client import CliError, Hub, shown
from groundcontrol.cli.formatting import MISSING, table
from groundcontrol.cli.options import add_act, add_acts, file_path

FIELDS: Final = ("name", "expr", "select", "when", "warn", "crit", "for_s", "clear_s", "enabled", "overrides")
"""The fields of a rule in a file, besides its id."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="all rules")
    add_act(acts, "export", help="all rules as JSON, for `apply`")
    apply = add_act(acts, "apply", help="apply the rules of a file, all or none; other rules of the hub stay")
    apply.add_argument("file", type=file_path, metavar="FILE")
    apply.add_argument("--dry-run", action="store_true", help="check the file and print what it would change; change nothing")


async def run(args: argparse.Namespace) -> int:
    """List, export or apply rules."""
    async with Hub(args) as hub:
        if args.act == "apply":
            return await _apply(hub, args)
        rules = (await hub.get("/rules"))["rules"]
    if args.act == "export":
        print(json.dumps({"rules": [_exported(rule) for rule in rules]}, indent=2, ensure_ascii=False))
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


def _exported(rule: Any) -> dict[str, Any]:
    return {"id": rule["id"], **{field: rule[field] for field in FIELDS}}


async def _apply(hub: Hub, args: argparse.Namespace) -> int:
    try:
        answer = await hub.post("/rules/apply", {"rules": _read(args.file), "dry_run": args.dry_run})
    except CliError as exc:
        faults = exc.facts.get("faults")
        if args.json or not faults:
            raise
        lines = [shown(f"rule {fault['number']} ({fault['rule']}): {fault['fault']}") for fault in faults]
        raise CliError("\n".join([f"{args.file} was not applied, and nothing was changed:", *lines]), exc.code) from exc
    if args.json:
        print(json.dumps(answer))
        return 0
    for rule in answer["rules"]:
        for line in _lines(rule, "would " if args.dry_run else ""):
            print(shown(line))
    acts = Counter(rule["act"] for rule in answer["rules"])
    done = "would be added, " if args.dry_run else "added, "
    print(
        f"{acts['add']} {done}{acts['change']} {'would be ' if args.dry_run else ''}changed, {acts['keep']} are the same;"
        f" {len(answer['left'])} rules of the hub are not in the file and stay"
    )
    return 0


def _lines(rule: Any, verb: str) -> list[str]:
    """The changes of a rule, a line each; none if the rule stays the same."""
    if rule["act"] == "add":
        return [f"{verb}add {rule['name']}"]
    return [f"{verb}change {rule['id']}: {one['field']} {_value(one['before'])} -> {_value(one['after'])}" for one in rule["fields"]]


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise CliError(f"{path} cannot be read as rules: {exc}") from exc
    rules = found.get("rules") if isinstance(found, dict) else None
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise CliError(f'{path} contains no rules: it must be {{"rules": [...]}}, as `stardust rules export` prints')
    return rules
