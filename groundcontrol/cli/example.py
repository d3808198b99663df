"""`stardust example`: prints files for an installation of the hub, such as units and proxy configurations."""

from __future__ import annotations

import argparse
import json
from importlib import resources
from typing import Final

from groundcontrol.cli.client import CliError
from groundcontrol.cli.formatting import table
from groundcontrol.cli.options import file_path

ABOUT: Final = {
    "Caddyfile": "a TLS proxy in front of the hub: Caddy",
    "nginx.conf": "a TLS proxy in front of the hub: nginx",
    "stardust-hub.service": "the hub as a service of systemd",
    "stardust-hub-backup.service": "a backup of that hub",
    "stardust-hub-backup.timer": "the times of that backup",
    "ansible.yaml": "lets many servers join the hub, by Ansible",
    "cloud-init.yaml": "lets a new server join the hub, by cloud-init",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print an example file, for instance: stardust example stardust-hub.service --output /etc/systemd/system/stardust-hub.service"
    )
    parser.add_argument(
        "--output",
        type=file_path,
        metavar="FILE",
        help="write it there, whole or not at all; an empty unit is one that systemd calls masked",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the file to print; without it the files are listed")


async def run(args: argparse.Namespace) -> int:
    """List the files, or print one unchanged."""
    if args.name is None:
        print(json.dumps({"examples": ABOUT}) if args.json else table(("NAME", "WHAT FOR"), list(ABOUT.items())))
        return 0
    if args.name not in ABOUT:
        raise CliError(f"there is no example {args.name!r}; `stardust example` lists them")
    text = resources.files("groundcontrol").joinpath("examples", args.name).read_text(encoding="utf-8")
    if args.output is not None:
        fresh = args.output.with_name(f"{args.output.name}.new")
        try:
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(args.output)
        except OSError as exc:
            raise CliError(f"{args.output} cannot be written: {exc.strerror}") from exc
    elif args.json:
        print(json.dumps({"name": args.name, "text": text}))
    else:
        print(text, end="")
    return 0
