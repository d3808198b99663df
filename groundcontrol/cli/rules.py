"""`stardust rules`: shows the rules of alerts, exports them to a file, or applies a file."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final

from groundcontrol.cli.answers import Columns, print_list
from groundcontrol.cli.client import Hub
from groundcontrol.cli.formatting import MISSING
from groundcontrol.cli.hub_file import HubFile
from groundcontrol.cli.options import add_act, add_acts

FIELDS: Final = ("name", "expr", "select", "when", "warn", "crit", "for_s", "clear_s", "enabled", "overrides")
"""The fields of a rule in a file, besides its id."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="all rules")
    FILE.add_acts(acts)


async def run(args: argparse.Namespace) -> int:
    """List, export or apply rules."""
    async with Hub(args) as hub:
        if args.act == "apply":
            return await FILE.apply(hub, args)
        rules = (await hub.get("/rules"))["rules"]
    if args.act == "export":
        return FILE.export([_exported(rule) for rule in rules])
    columns: Columns = {
        "RULE": "id", "": lambda rule: "on" if rule["enabled"] else "off", "NAME": "name", "VALUE": "expr", "WARNING": lambda rule: _level(rule, "warn"),
        "CRITICAL": lambda rule: _level(rule, "crit"), "UNIT": "unit", "ORIGIN": lambda rule: "changed" if rule["changed"] else rule["origin"],
    }  # fmt: skip
    return print_list(args, "rules", rules, columns)


def _level(rule: Any, name: str) -> str:
    sign = ">" if rule["when"] == "above" else "<"
    return MISSING if rule[name] is None else f"{sign} {rule[name]['trigger']:g}"


def _exported(rule: Any) -> dict[str, Any]:
    return {"id": rule["id"], **{field: rule[field] for field in FIELDS}}


def _lines(rule: Any, verb: str) -> list[str]:
    """The changes of a rule, a line each; none if the rule stays the same."""
    if rule["act"] == "add":
        return [f"{verb}add {rule['name']}"]
    return [f"{verb}change {rule['id']}: {one['field']} {_value(one['before'])} -> {_value(one['after'])}" for one in rule["fields"]]


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


FILE: Final = HubFile("rules", "/rules", "rules", "rule", "rules", _lines)
