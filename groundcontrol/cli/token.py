"""`stardust token …`: API tokens, with which programs log in. Runs on the hub's own machine."""

from __future__ import annotations

import argparse
from typing import Final

from groundcontrol.cli.answers import Columns, print_answer, print_list
from groundcontrol.cli.client import CliError, Hub, id_of, shown
from groundcontrol.cli.formatting import age, moment
from groundcontrol.cli.options import add_act, add_acts
from groundcontrol.cli.user import ROLES, add_grants, grants_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser)
    listed = add_act(acts, "list", help="all valid tokens")
    listed.add_argument("--user", default="*", metavar="NAME", help="only tokens of this user")
    new = add_act(acts, "new", help="make a token; it is printed once")
    new.add_argument("name", help="the purpose of the token")
    new.add_argument("--user", default="admin", metavar="NAME", help="the owner; the token never has more rights than the owner [admin]")
    new.add_argument("--role", choices=ROLES, default="viewer", help="[viewer]")
    new.add_argument("--days", type=int, default=90, help="days of validity, at most 365 [90]")
    new.add_argument("--sensitive", action="store_true", help="also allow actions that ask users for their password again")
    add_grants(new)
    add_act(acts, "revoke", help="revoke a token").add_argument("token", metavar="TOKEN", help="its id, or its name if no other has it")


async def run(args: argparse.Namespace) -> int:
    """List, create or revoke tokens."""
    if args.url is not None:
        raise CliError("tokens are managed in the page, or on the hub's own machine without --url")
    async with Hub(args) as hub:
        match args.act:
            case "list":
                tokens = [token async for token in hub.every("/tokens", "tokens", {"user": args.user})]
                return print_list(args, "tokens", tokens, COLUMNS)
            case "new":
                body = {"username": args.user, "name": args.name, "role": args.role, "days": args.days, "sensitive": args.sensitive}
                made = await hub.post("/local/tokens", {**body, **await grants_of(hub, args)})
                return print_answer(args, made, made["token"])
            case _:
                token = await id_of(hub, args.token, "/tokens", "tokens", noun="token", listed="token list", params={"user": "*"})
                await hub.delete(f"/tokens/{token}")
                return print_answer(args, {"revoked": token}, f"the token {shown(args.token)} is revoked")


COLUMNS: Final[Columns] = {
    "TOKEN": "id", "USER": "username", "FOR": "name", "ROLE": lambda token: token["role"] + (", sensitive" if token["sensitive"] else ""),
    "UNTIL": lambda token: moment(token["expires_at"]), "LAST USED": lambda token: age(token["last_used_at"] or None), "FROM": "last_address",
}  # fmt: skip
