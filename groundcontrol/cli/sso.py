"""`stardust sso …`: providers of single sign-on. Runs on the hub's own machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from groundcontrol.cli.answers import Columns, print_answer, print_list
from groundcontrol.cli.client import CliError, Hub, shown
from groundcontrol.cli.formatting import moment
from groundcontrol.cli.options import add_act, add_acts
from groundcontrol.cli.user import ROLES, add_grants, grants_of

PROVIDERS = "/auth/oidc/providers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="all providers, with the reason if one does not answer")
    for name, about in (
        ("show", "a provider: the addresses to enter there, and its groups"),
        ("check", "ask a provider for its description and keys now"),
        ("attempts", "the last log-ins through a provider, with the groups that came and the reasons of refusals"),
        ("remove", "remove a provider; its sessions and the rights of its groups end"),
    ):
        add_act(acts, name, help=about).add_argument("name")
    add = add_act(acts, "add", help="add a provider")
    add.add_argument("name", help="its name in addresses, such as company")
    add.add_argument("--issuer", required=True, help="exactly as the provider calls itself, with or without the slash at its end")
    add.add_argument("--client-id", required=True)
    edit = add_act(acts, "set", help="change a provider; what is not given stays, the client secret too")
    edit.add_argument("name")
    edit.add_argument("--issuer")
    edit.add_argument("--client-id")
    edit.add_argument("--enabled", choices=("yes", "no"), help="whether its button is shown")
    for one in (add, edit):
        one.add_argument("--title", help="the text of its button")
        one.add_argument("--secret-file", metavar="FILE", help="a file with the client secret; - reads standard input")
        one.add_argument("--ca-file", metavar="FILE", help="certificates of the authorities that sign its certificate, in PEM form")
        one.add_argument("--scope", action="append", metavar="SCOPE", help="may be repeated [openid profile]")
        one.add_argument("--create-accounts", choices=("yes", "no"), help="whether an unknown user with rights by a group gets an account")
    grant = add_act(acts, "map", help="give members of a group a membership; of the rows for one organisation the first that fits counts")
    grant.add_argument("name")
    grant.add_argument("claim", metavar="CLAIM", help="such as groups or realm_access.roles")
    grant.add_argument("value", metavar="VALUE", help="the group, exactly")
    grant.add_argument("role", choices=ROLES)
    add_grants(grant)
    ungrant = add_act(acts, "unmap", help="remove the rows of a group for one organisation")
    ungrant.add_argument("name")
    ungrant.add_argument("claim", metavar="CLAIM")
    ungrant.add_argument("value", metavar="VALUE")
    for one in (grant, ungrant):
        one.add_argument("--organisation", metavar="NAME", help="where they are members by it [the one of --org, or the only one]")
    only = add_act(acts, "only", help="let members log in through providers only, but one admin; off: with passwords too")
    only.add_argument("state", choices=("on", "off"))
    only.add_argument("--local-admin", metavar="USER", help="the admin who may still use a password")


async def run(args: argparse.Namespace) -> int:
    """Run the act, and show its result."""
    if args.url is not None:
        raise CliError("providers are managed in the page, or on the hub's own machine without --url")
    path = f"{PROVIDERS}/{getattr(args, 'name', '')}"
    async with Hub(args) as hub:
        match args.act:
            case "list":
                columns: Columns = {
                    "PROVIDER": "name", "TITLE": "title", "ISSUER": "issuer", "STATE": lambda one: "on" if one["enabled"] else "off",
                    "GROUPS": lambda one: str(len(one["groups"])), "FAILURE": "failure",
                }  # fmt: skip
                return print_list(args, "providers", (await hub.get(PROVIDERS))["providers"], columns)
            case "attempts":
                attempts = (await hub.get(f"{path}/attempts"))["attempts"]
                columns = {
                    "AT": lambda one: moment(one["at"]), "RESULT": "result", "USER": lambda one: shown(one["username"] or one["shown"]),
                    "SUBJECT": "subject", "GROUPS": _groups, "REASON": "reason",
                }  # fmt: skip
                return print_list(args, "attempts", attempts, columns)
            case "check":
                seen = await hub.post(f"{path}/check", None)
                return print_answer(
                    args, seen, f"{args.name} answers, with {seen['keys']} keys; log-in at {seen['authorization_endpoint']}"
                )
            case "remove":
                await hub.delete(path)
                return print_answer(args, {"removed": args.name}, f"the provider {shown(args.name)} is removed")
            case "only":
                body = {"sso_only": args.state == "on", "local_admin": args.local_admin}
                rule = await hub.patch("/auth/oidc/rule", body)
                text = (
                    f"only {rule['local_admin']} may log in with a password" if rule["sso_only"] else "everybody may log in with a password"
                )
                return print_answer(args, rule, text)
        provider = await _edited(hub, args, path)
    return print_answer(args, provider, _about(provider))


async def _edited(hub: Hub, args: argparse.Namespace, path: str) -> Any:
    """The provider after an act that shows or changes one."""
    if args.act == "add":
        return await hub.post(PROVIDERS, {"name": args.name, "title": args.title or args.name, **_settings(args)})
    before = await hub.get(path)
    if args.act == "show":
        return before
    change: dict[str, Any] = {"version": before["version"]}
    if args.act == "set":
        change |= {**({"title": args.title} if args.title else {}), **_settings(args)}
        if args.enabled:
            change["enabled"] = args.enabled == "yes"
    elif args.act == "map":
        row = {
            "claim": args.claim,
            "value": args.value,
            "organisation": await _organisation(hub, args),
            "role": args.role,
            **await grants_of(hub, args),
        }
        change["groups"] = [*before["groups"], row]
    else:
        gone = (args.claim, args.value, await _organisation(hub, args))
        change["groups"] = [row for row in before["groups"] if (row["claim"], row["value"], row["organisation"]) != gone]
        if len(change["groups"]) == len(before["groups"]):
            raise CliError(f"no row gives {shown(args.value)} a membership in {gone[2]}: stardust sso show {args.name}")
    return await hub.patch(path, change)


async def _organisation(hub: Hub, args: argparse.Namespace) -> str:
    """The organisation in which a group gives a membership. Raises: CliError: none is named, and there are several."""
    named = args.organisation or hub.named.get("Stardust-Organisation")
    if named is not None:
        return str(named)
    known = [one["slug"] for one in (await hub.get("/organisations"))["organisations"]]
    if len(known) > 1:
        raise CliError(f"name the organisation of the members with --organisation NAME: {', '.join(known)}")
    return str(known[0])


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    found = {
        "issuer": args.issuer, "client_id": args.client_id, "scopes": args.scope, "client_secret": _read(args.secret_file),
        "ca_pem": _read(args.ca_file), "create_accounts": None if args.create_accounts is None else args.create_accounts == "yes",
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def _read(file: str | None) -> str | None:
    if file is None:
        return None
    try:
        return (sys.stdin.read() if file == "-" else Path(file).read_text()).strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise CliError(f"{file} cannot be read: {exc}") from exc


def _groups(one: Any) -> str:
    return "; ".join(f"{shown(claim)}: {shown(', '.join(values)) or 'none'}" for claim, values in one["claims"].items()) or "-"


def _about(one: Any) -> str:
    lines = [
        f"{shown(one['title'])} ({one['name']}): {one['issuer']}", "Enter at the provider:", f"  redirect address      {one['redirect_uri']}",
        f"  after sign-out        {one['signed_out_uri']}", f"  back-channel log-out  {one['backchannel_uri']}",
        *(f"group {shown(row['claim'])} = {shown(row['value'])}: {row['role']} in {row['organisation']}" for row in one["groups"]),
    ]  # fmt: skip
    return "\n".join(lines)
