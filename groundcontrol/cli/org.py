"""`stardust org …`: the organisations of the hub. Runs on the hub's own machine."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Final

from groundcontrol.cli.answers import Columns, print_answer, print_list
from groundcontrol.cli.client import CliError, Hub, shown
from groundcontrol.cli.formatting import MISSING, moment
from groundcontrol.cli.options import add_act, add_acts, count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="all organisations with their counts")
    add_act(acts, "show", help="one organisation with its counts").add_argument("slug", metavar="NAME")
    create = add_act(acts, "create", help="create an organisation")
    create.add_argument("slug", metavar="NAME", help="short name: 2 to 40 of a-z, 0-9 and -")
    create.add_argument("--title", metavar="TEXT", help="the name that people see [the short name]")
    create.add_argument("--quota", type=int, metavar="NODES", help="the most nodes")
    create.add_argument("--admin", metavar="USER", help="its first admin: a new account, or an offer to a known user")
    edit = add_act(acts, "edit", help="rename an organisation, or change its quota")
    edit.add_argument("slug", metavar="NAME")
    edit.add_argument("--slug", dest="new_slug", metavar="NAME", help="a new short name")
    edit.add_argument("--title", metavar="TEXT", help="the name that people see")
    limit = edit.add_mutually_exclusive_group()
    limit.add_argument("--quota", type=int, metavar="NODES", help="the most nodes")
    limit.add_argument("--no-quota", action="store_true", help="any number of nodes")
    for name, about in (("add-admin", "make a user an admin of the hub"), ("remove-admin", "make an admin of the hub a plain user again")):
        add_act(acts, name, help=about).add_argument("user", metavar="USER")
    add_act(acts, "admins", help="the admins of the hub")
    add_act(acts, "audit", help="the latest rows of the hub's own audit log, the newest last").add_argument(
        "--limit", type=count, default=50, help="how many, up to 500 [50]"
    )
    for name, about in (
        ("suspend", "refuse its users, pause its roll-outs, and tell nobody of anything"),
        ("resume", "let its users in again; it starts nothing by itself"),
        ("remove-agents", "uninstall the agents of its connected nodes, before a deletion"),
    ):
        add_act(acts, name, help=about).add_argument("slug", metavar="NAME")
    delete = add_act(acts, "delete", help="delete an organisation with everything that it has")
    delete.add_argument("slug", metavar="NAME")
    delete.add_argument("--typed", metavar="NAME", help="the short name once more; without it you are asked")
    delete.add_argument("--abandon", action="store_true", help="also if it has nodes: their agents stay on their servers")


async def run(args: argparse.Namespace) -> int:
    """Run the act, and show its result."""
    if args.url is not None:
        raise CliError("organisations are managed in the page, or on the hub's own machine without --url")
    async with Hub(args) as hub:
        if args.act == "list":
            return print_list(args, "organisations", (await hub.get("/organisations"))["organisations"], COLUMNS)
        if args.act == "admins":
            return print_list(args, "admins", await _all_admins(hub), ADMIN_COLUMNS)
        if args.act == "audit":
            rows = (await hub.get("/instance-audit", {"limit": str(args.limit)}))["audit"]
            return print_list(args, "audit", rows[::-1], AUDIT_COLUMNS)
        made = await _act(hub, args)
    return print_answer(args, made, _sentence(args, made))


async def _all_admins(hub: Hub) -> list[Any]:
    found: list[Any] = []
    query = {"limit": "500"}
    while True:
        page = await hub.get("/instance-admins", query)
        found += page["admins"]
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]


async def _act(hub: Hub, args: argparse.Namespace) -> Any:
    if args.act in ("add-admin", "remove-admin"):
        admin = args.act == "add-admin"
        await hub.post("/instance-admins", {"username": args.user, "admin": admin})
        return {"username": args.user, "admin": admin}
    path = f"/organisations/{args.slug}"
    match args.act:
        case "show":
            return await hub.get(path)
        case "create":
            body = {"slug": args.slug, "name": args.title or args.slug, "node_quota": args.quota, "first_admin": args.admin}
            return await hub.post("/organisations", body)
        case "edit":
            return await hub.patch(path, await _patch(hub, args))
        case "delete":
            typed = args.typed if args.typed is not None else _asked(args.slug)
            await hub.delete(path, {"typed": typed, "abandon": args.abandon})
            return {"deleted": args.slug}
        case act:
            return await hub.post(f"{path}/{act}", None)


async def _patch(hub: Hub, args: argparse.Namespace) -> dict[str, Any]:
    change: dict[str, Any] = {"version": (await hub.get(f"/organisations/{args.slug}"))["version"]}
    change |= {} if args.new_slug is None else {"slug": args.new_slug}
    change |= {} if args.title is None else {"name": args.title}
    if args.no_quota or args.quota is not None:
        change["node_quota"] = None if args.no_quota else args.quota
    return change


def _asked(slug: str) -> str:
    if not sys.stdin.isatty():
        raise CliError("give the short name once more with --typed: nobody can be asked here")
    return input(f"This deletes everything of {slug}. Backups keep it until they age out. Type its short name: ").strip()


def _sentence(args: argparse.Namespace, made: Any) -> str:
    match args.act:
        case "create":
            return _created(args, made["first_admin"])
        case "add-admin" | "remove-admin":
            return f"{shown(args.user)} is {'an' if made['admin'] else 'no'} admin of the hub"
        case "delete":
            return f"the organisation {shown(args.slug)} is deleted; backups keep it until they age out"
        case "remove-agents":
            left = ", ".join(shown(name) for name in made["unreached"])
            return f"{len(made['removing'])} agents are being removed" + (f"; not reached: {left}" if left else "")
        case "show":
            counts = f"{made['nodes']} nodes, {made['members']} members, {made['jobs']} jobs, {made['events']} events"
            return f"{shown(made['slug'])}: {shown(made['name'])}, {made['state']}, {_quota(made)}; {counts}"
        case _:
            return f"{shown(made['slug'])}: {shown(made['name'])}, {made['state']}, {_quota(made)}"


def _created(args: argparse.Namespace, first: Any) -> str:
    what = f"the organisation {shown(args.slug)} is there"
    if first is None:
        return what
    name = shown(first["username"])
    if first["how"] == "created":
        return (
            f"{what}\none-time password of {name}, its admin: {first['password']}\nValid for 24 hours, and only to choose another password."
        )
    return f"{what}; {name} must accept to be its admin, under Account in the page"


def _quota(one: Any) -> str:
    return "any number of nodes" if one["node_quota"] is None else f"at most {one['node_quota']} nodes"


COLUMNS: Final[Columns] = {
    "NAME": "slug", "TITLE": "name", "STATE": "state", "NODES": lambda one: str(one["nodes"]),
    "QUOTA": lambda one: MISSING if one["node_quota"] is None else str(one["node_quota"]), "MEMBERS": lambda one: str(one["members"]),
    "JOBS": lambda one: str(one["jobs"]), "EVENTS": lambda one: str(one["events"]),
}  # fmt: skip
ADMIN_COLUMNS: Final[Columns] = {
    "USER": "username", "DISABLED": lambda one: "yes" if one["disabled"] else "no",
    "2FA": lambda one: "yes" if one["totp_enabled"] else "no", "SEEN": lambda one: moment(one["last_seen_at"]),
}  # fmt: skip
AUDIT_COLUMNS: Final[Columns] = {
    "N": lambda one: str(one["n"]), "AT": lambda one: moment(one["at"]), "ACTOR": "actor", "ACTION": "action", "TARGET": "target", "RESULT": "result",
    "DETAIL": lambda one: json.dumps(one["detail"], ensure_ascii=False),
}  # fmt: skip
