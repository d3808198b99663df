"""`stardust register`: joins this machine to a hub with the `install.sh` of this program instead of the hub's."""

from __future__ import annotations

import argparse
import os

from groundcontrol.cli.client import CliError
from groundcontrol.deployments.install_script import install_script


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "It reads an invite (stardust1.…) from standard input, and asks for it on a terminal. It must run as root."


async def run(args: argparse.Namespace) -> int:
    """Replace this process with the installer, which reads standard input and sets the exit status."""
    if args.url is not None:
        raise CliError("the invite has the hub's address: leave --url out")
    if args.json:
        raise CliError("the installer prints no JSON: leave --json out")
    if os.geteuid() != 0:
        raise CliError("run this as root: it installs a service")
    os.execv("/bin/sh", ["sh", "-c", install_script().decode(), "install.sh"])  # noqa: S606  # a fixed script; the invite stays on standard input
