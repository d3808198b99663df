"""`stardust recovery …`: the printed key that brings all nodes back to a rebuilt hub."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import time
from typing import Final

from groundcontrol.cli.client import CliError, Hub
from groundcontrol.cli.data_dir import become_owner, only_here, read_settings, valid_config
from groundcontrol.cli.options import add_act, add_acts, add_settings
from groundcontrol.config import Config
from groundcontrol.core.errors import ConfigError
from groundcontrol.data_dir import check_folders
from groundcontrol.lifecycle import apply_process_limits
from groundcontrol.offline import opened_database
from groundcontrol.vault import Recovery, create_keyring, parse_recovery

DAYS: Final = 30
"""Default of `--days`."""
_LIMIT_BYTES: Final = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser)
    shown = add_act(acts, "print", help="print the recovery key once; a person with this key controls every node")
    shown.add_argument("--again", action="store_true", help="print it although it was printed before")
    made = add_act(
        acts, "restore", help="make a new data folder for the same fleet, with the recovery key from standard input, while no hub runs"
    )
    made.add_argument("--days", type=int, default=DAYS, metavar="N", help=f"days in which nodes of the fleet may come back [{DAYS}]")
    add_settings(made)
    add_act(acts, "end", help="accept no further nodes of the old hub")


async def run(args: argparse.Namespace) -> int:
    """Print the key, or start a new hub with it."""
    only_here(args, "the recovery key is used")
    if args.act == "restore":
        return await _restore(args)
    async with Hub(args) as hub:
        if args.act == "end":
            await hub.delete("/local/recovery")
            print(json.dumps({"ended": True}) if args.json else "From now on the hub accepts only nodes that it knows.")
            return 0
        made = await hub.post("/local/recovery", {"again": args.again})
    if args.json:
        print(json.dumps(made))
        return 0
    print(made["recovery"])
    print(
        "Print this key, and keep it away from the hub's machine. Whoever has it controls every node. `stardust recovery restore` uses it"
        " to bring all nodes back to a new hub. It is not shown again, except with --again.",
        file=sys.stderr,
    )
    return 0


async def _restore(args: argparse.Namespace) -> int:
    apply_process_limits()
    config = valid_config(read_settings(args))
    if not 1 <= args.days <= 400:
        raise CliError("--days is 1 to 400")
    if config.control_db.exists():
        raise ConfigError(f"there is a database {config.control_db} already: a fleet is restored into a new data folder; nothing was done")
    if config.data_dir.exists():
        become_owner(config.data_dir)
    check_folders(config.data_dir, config.control_db.parent, volatile=config.allow_volatile)
    recovery = _typed()
    await _begin(config, recovery, args.days)
    if args.json:
        print(json.dumps({"restored": str(config.data_dir), "adopts_for_days": args.days}))
    else:
        print(
            f"{config.data_dir} is now a data folder of the same fleet. Start the hub with the same server_url. For {args.days} days, nodes come"
            " back by themselves, each within eleven minutes. The recovery key restores no users, no history, no stored credentials and no SSH"
            " key of the hub.\n"
            "A node that was removed while it was unreachable also comes back: check the list of nodes, then run `stardust recovery end`."
        )
    return 0


async def _begin(config: Config, recovery: Recovery, days: int) -> None:
    fresh = await create_keyring(config.secret.reveal(), recovery=recovery)
    async with opened_database(config.data_dir, config.control_db) as database:
        await database.secrets.restore_keyring(fresh.keyring, fresh.fleet, time.time() + days * 86_400)


def _typed() -> Recovery:
    """Read the key from a pipe or a terminal, never from an argument.

    Raises: CliError: the text is no recovery key.
    """
    if sys.stdin.isatty():
        text = getpass.getpass("recovery key (not shown): ")
    else:
        text = sys.stdin.buffer.read(_LIMIT_BYTES).decode("ascii", "replace")
    try:
        return parse_recovery(text)
    except ValueError as exc:
        raise CliError(str(exc)) from None
