"""`stardust stop`: stops the hub on this machine."""

from __future__ import annotations

import argparse
import json
import os
import signal
from typing import Final

from groundcontrol.cli.client import CliError, hub_location
from groundcontrol.cli.data_dir import lock_holder, only_here, written_pid
from groundcontrol.cli.hub_process import systemctl, until
from groundcontrol.cli.installed import SERVICE

LIMIT_S: Final = 40.0
"""A hub that stops sends what it has and closes its sessions; its unit allows 30 s."""


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """The verb has no arguments."""


async def run(args: argparse.Namespace) -> int:
    """Exit status 0 once no hub runs, also if none ran."""
    only_here(args, "the hub is stopped")
    stopped = await stop_hub(args)
    print(json.dumps({"stopped": stopped}) if args.json else "the hub has stopped" if stopped else "no hub runs here")
    return 0


async def stop_hub(args: argparse.Namespace) -> bool:
    """Stop the hub and wait for its end. Returns: whether one ran.

    Raises: CliError: it does not end, or this user may not stop it.
    """
    location = hub_location(args)
    holder = lock_holder(location.folder)
    if location.service is not None:
        systemctl("stop", SERVICE)
        return holder is not None
    if holder is None:
        return False
    if str(holder) != written_pid(location.folder):
        raise CliError(f"process {holder} holds the lock of {location.folder}, but is not the hub: see ps {holder}")
    try:
        os.kill(holder, signal.SIGTERM)
    except PermissionError as exc:
        raise CliError(f"this user may not stop the hub, process {holder}") from exc
    if not await until(lambda: lock_holder(location.folder) != holder, LIMIT_S):
        raise CliError(f"the hub, process {holder}, has not ended within {LIMIT_S:.0f} s")
    return True
