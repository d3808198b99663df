"""`stardust member …`: the members of an organisation. Runs on the hub's own machine."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from groundcontrol.cli.answers import Columns, print_answer, print_list
from groundcontrol.cli.client import CliError, Hub, shown
from groundcontrol.cli.formatting import MISSING, moment
from groundcontrol.cli.options import add_act, add_acts
from groundcontrol.cli.user import ROLES, add_grants, grants_of, nodes_text_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="all members, and open offers")
    add = add_act(acts, "add", help="offer a membership to a user, who must accept")
    add.add_argument("username", help="or with --provider an address of e-mail there")
    add.add_argument("--provider", metavar="NAME", help="the provider of single sign-on that knows the address")
    add.add_argument("--role", choices=ROLES, default="viewer", help="[viewer]")
    add_grants(add)
    role = add_act(acts, "role", help="change what a member may do, and on which nodes")
    role.add_argument("username")
    role.add_argument("role", choices=ROLES)
    role.add_argument("--all-nodes", action="store_true", help="remove the limit to some nodes")
    add_grants(role)
    remove = add_act(acts, "remove", help="remove a member, or withdraw an offer; the account stays")
    remove.add_argument("username")
    remove.add_argument("--issuer", metavar="URL", help="of an offer to an address: the issuer that `list --json` shows")


async def run(args: argparse.Namespace) -> int:
    """Run the act, and show its result."""
    if args.url is not None:
        raise CliError("members are managed in the page, or on the hub's own machine without --url")
    async with Hub(args) as hub:
        match args.act:
            case "list":
                members = await _listed(hub)
                return print_list(args, "members", members, columns(await nodes_text_of(hub, members)))
            case "add":
                await hub.post(
                    "/members", {"username": args.username, "provider": args.provider, "role": args.role, **await grants_of(hub, args)}
                )
                return print_answer(args, {"offered": args.username}, f"if there is a user {shown(args.username)}, they can accept now")
            case "role":
                body = {"role": args.role, **await grants_of(hub, args), **({"all_nodes": True} if args.all_nodes else {})}
                made = await hub.patch(f"/members/{args.username}", body)
                nodes_text = await nodes_text_of(hub, [made])
                return print_answer(args, made, f"{shown(made['username'])} is {made['role']}, on {nodes_text(made)}")
            case _:
                issuer = f"?{urlencode({'issuer': args.issuer})}" if args.issuer else ""
                await hub.delete(f"/members/{args.username}{issuer}")
                return print_answer(args, {"removed": args.username}, f"{shown(args.username)} is no member any more")


async def _listed(hub: Hub) -> list[Any]:
    members: list[Any] = []
    offers: list[Any] = []
    cursor: str | None = None
    while True:
        page = await hub.get("/members", {"limit": "500", **({"cursor": cursor} if cursor else {})})
        members += page["members"]
        offers = page["offers"]
        if not (cursor := page["next"]):
            return [*members, *({**one, "source": "offered", "until": None} for one in offers)]


def columns(nodes_text: Callable[[Any], str]) -> Columns:
    return {
        "USER": "username", "ROLE": "role", "NODES": nodes_text, "FROM": "source",
        "UNTIL": lambda one: MISSING if one["until"] is None else moment(one["until"]),
    }  # fmt: skip
