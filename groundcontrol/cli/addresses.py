"""`stardust addresses`: the addresses of a hub that terminates TLS itself (`--lan`). Runs on the hub's own machine."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from typing import Final, NamedTuple

from groundcontrol.cli.client import UNREACHABLE, CliError, Hub, shown
from groundcontrol.cli.data_dir import become_owner, only_here, read_settings
from groundcontrol.cli.file_permissions import reason
from groundcontrol.cli.options import add_act, add_acts, add_settings
from groundcontrol.lan import LOOPBACK_NAMES, parse_addresses, store_addresses, stored_addresses
from groundcontrol.own_certificate import OwnCertificate, grouped, read_certificate

_MOST_NAMED: Final = 20


class Dialled(NamedTuple):
    """The address at which a node has reached the hub."""

    node_id: str
    name: str
    address: str | None
    """Host and port; None: the node is not connected."""
    is_other: bool
    """Whether the hub tells the node to dial another address."""
    follows: bool
    """Whether the node then moves to that address."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    acts = add_acts(parser, default="list")
    add_settings(add_act(acts, "list", help="the addresses, the nodes that dial each, and the certificate"), after_act=True)
    new = add_act(acts, "set", help="change the addresses from the hub's next start on; the certificate is then new, its key stays")
    add_settings(new, after_act=True)
    new.add_argument("address", nargs="+", metavar="ADDRESS", help="IP address or host name; new nodes dial the first")


async def run(args: argparse.Namespace) -> int:
    """Exit status 0, also if the addresses do not change."""
    only_here(args, "the hub's addresses are stored")
    settings = read_settings(args)
    folder = settings.data_dir
    become_owner(folder)
    addresses, certificate = stored_addresses(folder), read_certificate(folder)
    if not addresses or certificate is None:
        raise CliError(f"no hub that terminates TLS itself has run in {folder}: start it once with --lan")
    if args.act == "set":
        if settings.config is not None and settings.config.lan:
            raise CliError(f"the settings name the addresses ({', '.join(settings.config.lan)}): change lan there, and restart the hub")
        before = addresses
        try:
            addresses = parse_addresses(args.address)
            store_addresses(folder, addresses)
        except ValueError as exc:
            raise CliError(str(exc)) from exc
        except OSError as exc:
            raise CliError(f"the addresses cannot be stored in {folder}: {reason(exc)}") from exc
        if not args.json:
            _explain(before, addresses)
    restart = certificate.names != {*addresses, *LOOPBACK_NAMES}
    if args.json:
        document = {"addresses": addresses, "fingerprint": certificate.fingerprint, "pin": certificate.pin, "restart_needed": restart}
        nodes = await _read_nodes(args) if args.act == "list" else None
        print(json.dumps({**document, "nodes": None if nodes is None else [node._asdict() for node in nodes]}))
    elif args.act == "list":
        _print(addresses, certificate, await _read_nodes(args), restart=restart)
    return 0


async def _read_nodes(args: argparse.Namespace) -> list[Dialled] | None:
    """The address at which each node has reached the hub. None: the hub does not run."""
    try:
        async with Hub(args) as hub:
            dialled = {one.pop("node_id"): one for one in (await hub.get("/local/dialled"))["nodes"]}
            away = {"address": None, "is_other": False, "follows": False}
            return [Dialled(one["id"], one["name"], **dialled.get(one["id"], away)) async for one in hub.every("/nodes", "nodes")]
    except CliError as exc:
        if exc.code != UNREACHABLE:
            raise
        return None


def _print(addresses: tuple[str, ...], certificate: OwnCertificate, nodes: list[Dialled] | None, *, restart: bool) -> None:
    for name, text in (
        ("addresses", ", ".join(addresses)),
        *(("" if at else "nodes", line) for at, line in enumerate(describe(nodes))),
        ("certificate", f"SHA-256 {grouped(certificate.fingerprint)}"),
        ("key", f"SHA-256 {certificate.pin}, for --tls-pin"),
        *([("next", "restart the hub: its certificate is for other addresses")] if restart else []),
    ):
        print(f"{name:12} {text}")


def describe(nodes: list[Dialled] | None) -> list[str]:
    """A line for each address that nodes dial."""
    if nodes is None:
        return ["not known: the hub does not run"]
    groups: dict[tuple[bool, bool, bool, str], list[str]] = defaultdict(list)
    for node in nodes:
        groups[node.address is None, node.is_other, node.is_other and not node.follows, node.address or ""].append(node.name)
    lines = []
    for (_, is_other, stays, address), names in sorted(groups.items()):
        text = f"{len(names)} at {address}" if address else f"{len(names)} not connected, so their address is unknown"
        if is_other:
            text += ", cannot be told to move (update or redeploy)" if stays else ", told to move"
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        lines.append(f"{text}: {shown(', '.join(sorted(names)[:_MOST_NAMED]))}{more}" if is_other or not address else text)
    return lines or ["none yet"]


def _explain(before: tuple[str, ...], now: tuple[str, ...]) -> None:
    """Print the steps that follow a change of addresses."""
    gone = [address for address in before if address not in now]
    print(f"Restart the hub. New nodes then dial {now[0]}, and browsers ask once more: the certificate is new.")
    print(f"Its key is the same, so connected nodes move to {now[0]} by themselves. `stardust addresses` shows where each is connected.")
    if gone:
        print(f"Nodes that still dial {', '.join(gone)} lose the hub. To take them along, keep both addresses until they have moved:")
        print(f"  stardust addresses set {' '.join((*now, *gone))}")
