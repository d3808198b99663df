"""`stardust nodes remove`: uninstalls the agent from servers and deletes their nodes, or only deletes the nodes."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from groundcontrol.cli.client import CliError, Hub, nodes_of, shown
from groundcontrol.cli.each import each_node
from groundcontrol.cli.options import EXIT_SOME_FAILED, UsageError
from groundcontrol.cli.ssh_login import add_login, has_login, login_body

if TYPE_CHECKING:
    from groundcontrol.cli.watch import JobWatch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask; required without a terminal")
    parser.add_argument("--forget", action="store_true", help="only delete the node; its server is not contacted, and Spider stays on it")
    parser.add_argument("--no-wait", action="store_true", help="order it, print the ids of the deployments, and do not wait for their ends")
    add_login(parser)


async def remove(args: argparse.Namespace) -> int:
    """Exit status 0 if every node is removed; 1 if the only one is not; 5 if some of several are not."""
    if not args.yes and not sys.stdin.isatty():
        raise UsageError("nodes: remove asks on a terminal before it removes anything; without a terminal give --yes")
    if args.forget and has_login(args):
        raise UsageError("nodes: --forget contacts no server, so leave the flags for the log-in out")
    from groundcontrol.cli.watch import JobWatch, end_of_deployment  # noqa: PLC0415  # a list of nodes must not wait for asyncio

    rows: dict[str, Any] = {}
    refused: list[dict[str, str]] = []
    async with Hub(args) as hub, JobWatch(hub, quiet=args.json) as watch:
        nodes = await nodes_of(hub, args.nodes)
        if len(nodes) > 1 and has_login(args):
            raise UsageError("nodes: flags for the log-in are for one node at a time")
        if not args.yes and not _confirmed(nodes, args, given=has_login(args)):
            raise CliError("nothing was removed")
        body = login_body(args) or None

        async def one(node: Any) -> None:
            row = rows[node["id"]] = await _ordered(hub, watch, node, body, forget=args.forget)
            if not args.no_wait:
                row = rows[node["id"]] = await end_of_deployment(watch, row, refuse_unknown_host=True)
            if not args.json:
                print(row["id"] if args.no_wait else shown(_sentence(node, row)), flush=True)

        try:
            await each_node(nodes, one, refused, quiet=args.json)
        finally:  # also if the hub is unreachable or the user ends the command: removed nodes stay removed
            for one_refused in refused:
                rows.pop(one_refused["node_id"], None)  # its deployment needed the confirmation of a host key, and was cancelled
            if args.json and (rows or refused):
                print(json.dumps({"deployments": list(rows.values()), "refused": refused}))
    if not refused and (args.no_wait or all(row["state"] == "succeeded" for row in rows.values())):
        return 0
    return EXIT_SOME_FAILED if len(nodes) > 1 else 1


async def _ordered(hub: Hub, watch: JobWatch, node: Any, body: object, *, forget: bool) -> Any:
    async def ask() -> list[Any]:
        return [await hub.delete(f"/nodes/{node['id']}", body, {"force": "true"} if forget else {})]

    try:
        [row] = await watch.begin("remove", [node["id"]], ask)
    except CliError as exc:
        if exc.code != "credentials_required":
            raise
        raise CliError(
            f"{exc} (here: --username with --key or --password, or --forget; root on the server can run `stardust-spider uninstall`)",
            exc.code,
        ) from exc
    return row


def _confirmed(nodes: list[Any], args: argparse.Namespace, *, given: bool) -> bool:
    """Ask for confirmation on standard error, since standard output has only the result."""
    for node in nodes:
        print(
            shown(f"{node['name']} ({node['address'] or 'no address'}, {node['state']}): {_removal_text(node, args, given=given)}"),
            file=sys.stderr,
        )
    print("The history is deleted for ever. Type yes to continue: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() == "yes"


def _removal_text(node: Any, args: argparse.Namespace, *, given: bool) -> str:
    if args.forget:
        return "it is only deleted here; Spider stays on its server"
    if given or node["credentials_kept"]:
        return f"Spider is removed from its server over SSH, with the {'given' if given else 'stored'} credentials"
    if node["state"] == "online":
        return "Spider is removed from its server through the node's own connection"
    return "it is not connected and no credentials are stored: the hub needs credentials, or --forget"


def _sentence(node: Any, row: Any) -> str:
    if row["state"] != "succeeded":
        why = f": {row['error']['message']}" if row["error"] else ""
        return f"{node['name']}: it was not removed, the deployment has {row['state']}{why}"
    notes = [step["detail"] for step in row["steps"] if step["detail"]]
    if row["forced"]:
        return f"{node['name']}: deleted. {notes[-1] if notes else 'Spider stays on its server: stardust-spider uninstall removes it'}"
    return f"{node['name']}: removed, and Spider is uninstalled{'; ' + notes[-1] if notes else ''}"
