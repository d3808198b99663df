"""`stardust user …`: users, their roles and their grants. Acts that need a password check run on the hub's own machine only."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, Final

from groundcontrol.cli.answers import Columns, print_answer, print_list
from groundcontrol.cli.client import CliError, Hub, node_of, shown
from groundcontrol.cli.formatting import MISSING, age
from groundcontrol.cli.options import add_act, add_acts
from spider.wire.ids import is_id

ROLES: Final = ("admin", "operator", "viewer")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser)
    add_act(acts, "list", help="all users")
    add = add_act(acts, "add", help="make a user with a one-time password, shown once, valid for 24 hours")
    add.add_argument("username")
    add.add_argument("--role", choices=ROLES, default="viewer", help="[viewer]")
    add_grants(add)
    for name, about in (
        ("passwd", "set a one-time password, shown once, and end all sessions and tokens of the user"),
        ("reset", "set a lasting password, shown once, lift rate limits, and end all sessions and tokens of the user"),
        ("disable", "refuse log-ins of a user, and end all sessions of the user"),
        ("enable", "allow log-ins of a user again"),
        ("totp-reset", "remove a second factor whose app and recovery codes are lost, and end all sessions of the user"),
    ):
        add_act(acts, name, help=about).add_argument("username")
    role = add_act(acts, "role", help="change what a user may do, and on which nodes")
    role.add_argument("username")
    role.add_argument("role", choices=ROLES)
    role.add_argument("--all-nodes", action="store_true", help="remove the limit to some nodes")
    add_grants(role)


def add_grants(parser: argparse.ArgumentParser) -> None:
    """Add the flags that limit a user to some nodes."""
    parser.add_argument(
        "--node",
        action="append",
        default=[],
        metavar="NODE",
        help="limit to this node (name or id), and to others that are named; may be repeated",
    )
    parser.add_argument(
        "--tag",
        action="append",
        default=[],
        metavar="TAG",
        help="limit to nodes with this tag, and to others that are named; may be repeated",
    )


async def grants_of(hub: Hub, args: argparse.Namespace) -> dict[str, Any]:
    """The grants of `add_grants`' flags as a part of a request body; empty without these flags.

    Raises: CliError: there is no such node. An id may be of a node of another organisation.
    """
    nodes = [one if is_id(one) else (await node_of(hub, one))["id"] for one in args.node]
    return {"grants": {"nodes": nodes, "tags": args.tag}} if nodes or args.tag else {}


async def run(args: argparse.Namespace) -> int:
    """Run the act, and show its result."""
    if args.url is not None:
        raise CliError("users are managed in the page, or on the hub's own machine without --url")
    async with Hub(args) as hub:
        if args.act == "list":
            users = [user async for user in hub.every("/users", "users")]
            return print_list(args, "users", users, columns(await nodes_text_of(hub, users)))
        made = await _act(hub, args)
        sentence = _sentence(args.act, made) or await _changed(hub, made)
        owned = await _owned(hub, args.username) if args.act == "disable" or (args.act == "role" and args.role == "viewer") else []
    pausing = f"{args.username} owns the patch policies {', '.join(owned)}: they pause until an admin runs `stardust policy take-over`"
    return print_answer(args, made, sentence + (f"\n{shown(pausing)}" if owned else ""))


async def _owned(hub: Hub, username: str) -> list[str]:
    """The names of the patch policies that run with the rights of a user."""
    return [one["name"] for one in (await hub.get("/patch-policies"))["patch_policies"] if one["owner"] == username]


async def _act(hub: Hub, args: argparse.Namespace) -> Any:
    path = f"/users/{args.username}"
    match args.act:
        case "add":
            return await hub.post("/users", {"username": args.username, "role": args.role, **await grants_of(hub, args)})
        case "passwd":
            return await hub.post(f"{path}/password", None)
        case "reset":
            return await hub.post("/local/reset-user", {"username": args.username})
        case "totp-reset":
            return await hub.post(f"{path}/totp-reset", None)
        case "role":
            return await hub.patch(
                path, {"role": args.role, **await grants_of(hub, args), **({"all_nodes": True} if args.all_nodes else {})}
            )
        case act:
            return await hub.patch(path, {"disabled": act == "disable"})


def _sentence(act: str, made: Any) -> str:
    match act:
        case "add" | "passwd":
            name = shown(made["user"]["username"])
            return f"one-time password of {name}: {made['password']}\nValid for 24 hours, and only to choose another password."
        case "reset":
            name = shown(made["username"])
            return (
                f"new password of {name}: {made['password']}\nAll sessions and tokens of this user have ended; change it after the log-in."
            )
        case "totp-reset":
            return f"{shown(made['username'])} has no second factor any more; all sessions of this user have ended"
        case _:
            return ""


async def _changed(hub: Hub, user: Any) -> str:
    nodes_text = await nodes_text_of(hub, [user])
    return f"{shown(user['username'])} is {'disabled' if user['disabled'] else user['role']}, on {nodes_text(user)}"


async def nodes_text_of(hub: Hub, users: Sequence[Any]) -> Callable[[Any], str]:
    """A function that says on which nodes one of these users may act. Nodes have their names, or the id if there is no such node any more."""
    named = any(user["grants"] and user["grants"]["nodes"] for user in users)
    names = {node["id"]: shown(node["name"]) async for node in hub.every("/nodes", "nodes")} if named else {}

    def nodes_text(user: Any) -> str:
        grants = user["grants"]
        if grants is None:
            return "every node"
        return ", ".join([*(f"tag {shown(tag)}" for tag in grants["tags"]), *(names.get(node, node) for node in grants["nodes"])])

    return nodes_text


def columns(nodes_text: Callable[[Any], str]) -> Columns:
    return {
        "USER": "username", "ROLE": "role",
        "STATE": lambda user: "disabled" if user["disabled"] else "must change password" if user["must_change_password"] else "active",
        "2ND FACTOR": lambda user: "yes" if user["totp_enabled"] else "no", "NODES": nodes_text,
        "LAST SEEN": lambda user: age(user["last_seen_at"]) if user["last_seen_at"] else MISSING,
    }  # fmt: skip
