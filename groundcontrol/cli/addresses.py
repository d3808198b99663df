"""`stardust addresses`: where a hub that ends TLS itself (`--lan`) is reached. Runs on the hub's own machine."""

from __future__ import annotations

import argparse
import json

from groundcontrol.cli.client import CliError
from groundcontrol.cli.data_dir import become_owner, only_here, read_settings
from groundcontrol.cli.file_permissions import reason
from groundcontrol.cli.options import add_act, add_acts, add_settings
from groundcontrol.lan import LOOPBACK_NAMES, keep_addresses, kept_addresses, parse_addresses
from groundcontrol.own_certificate import OwnCertificate, grouped, read_certificate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    acts = add_acts(parser, default="list")
    add_settings(add_act(acts, "list", help="the addresses, and the certificate for them"), behind=True)
    new = add_act(acts, "set", help="reach the hub at these from its next start; its certificate is issued anew, with the same key")
    add_settings(new, behind=True)
    new.add_argument("address", nargs="+", metavar="ADDRESS", help="IP address or host name; new nodes dial the first")


async def run(args: argparse.Namespace) -> int:
    """Exit status 0, also if the addresses are the same."""
    only_here(args, "the hub's addresses are kept")
    settings = read_settings(args)
    folder = settings.data_dir
    become_owner(folder)
    addresses, certificate = kept_addresses(folder), read_certificate(folder)
    if not addresses or certificate is None:
        raise CliError(f"no hub that ends TLS itself has run in {folder}: start it once with --lan")
    if args.act == "set":
        if settings.config is not None and settings.config.lan:
            raise CliError(f"the settings name the addresses ({', '.join(settings.config.lan)}): change lan there, and restart the hub")
        before = addresses
        try:
            addresses = parse_addresses(args.address)
            keep_addresses(folder, addresses)
        except ValueError as exc:
            raise CliError(str(exc)) from exc
        except OSError as exc:
            raise CliError(f"the addresses cannot be kept in {folder}: {reason(exc)}") from exc
        if not args.json:
            _explain(before, addresses)
    restart = certificate.names != {*addresses, *LOOPBACK_NAMES}
    if args.json:
        told = {"addresses": addresses, "fingerprint": certificate.fingerprint, "pin": certificate.pin, "restart_needed": restart}
        print(json.dumps(told))
    elif args.act == "list":
        _print(addresses, certificate, restart=restart)
    return 0


def _print(addresses: tuple[str, ...], certificate: OwnCertificate, *, restart: bool) -> None:
    for name, text in (
        ("addresses", ", ".join(addresses)),
        ("certificate", f"SHA-256 {grouped(certificate.fingerprint)}"),
        ("key", f"SHA-256 {certificate.pin}, for --tls-pin"),
        *([("next", "restart the hub: its certificate is for other addresses")] if restart else []),
    ):
        print(f"{name:12} {text}")


def _explain(before: tuple[str, ...], now: tuple[str, ...]) -> None:
    """What is left to do after a change."""
    gone = [address for address in before if address not in now]
    print(f"Restart the hub. New nodes then dial {now[0]}, and browsers ask once more: the certificate is new.")
    print("Its key is the same, so nodes and unused invites need no other pin.")
    if gone:
        print(f"Nodes that dial {', '.join(gone)} stay away from then on. For each of them:")
        print("  stardust redeploy NODE")
        print(f"or, on the node, write {now[0]} into the url of /etc/stardust/spider.conf and restart stardust-spider.")
        print(f"To move without a gap, keep both until that is done: stardust addresses set {' '.join((*now, *gone))}")
