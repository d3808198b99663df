"""`stardust rotate-secret`: everything that the old secret opens is sealed anew under another one, while no hub runs."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from groundcontrol.cli.client import CliError, shown
from groundcontrol.cli.folder import become_owner, lock_holder, need, only_here, read_settings
from groundcontrol.cli.options import add_settings
from groundcontrol.config import Config, Secret
from groundcontrol.datadir import check_folders
from groundcontrol.domain.scope import DEFAULT_ORG, Actor, Scope
from groundcontrol.errors import ConfigError
from groundcontrol.lifecycle import harden
from groundcontrol.store.sqlite import Database, open_database
from groundcontrol.store.sqlite.inspection import Inspection, KeptCredential, copy_database
from groundcontrol.vault import check_secret, open_existing_vault, prepare_rotation
from spider.clock import SystemClock
from spider.wire.ids import new_time_id

_LIMIT_BYTES = 4096


class Done(NamedTuple):
    """What a rotation did."""

    records: int
    copy: Path
    """The database of before, which opens with the old secret."""
    credentials: Sequence[KeptCredential]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Seal everything anew under a new secret, while the hub is stopped. The old secret comes from where the hub has it"
        " (STARDUST_SECRET_FILE, STARDUST_SECRET or a systemd credential), the new one from standard input."
    )
    parser.add_argument("--new-secret-file", default=None, metavar="FILE", help="read the new secret from here, not from standard input")
    add_settings(parser)


async def run(args: argparse.Namespace) -> int:
    """Rotate; a second run after one that was cut off finds what the first has done."""
    only_here(args, "a secret is rotated")
    harden()
    config = need(read_settings(args))
    actor = Actor("local", str(os.getuid()), f"local:{os.getuid()}", "admin")
    new = _checked(_new_secret(args.new_secret_file))
    if new.reveal() == check_secret(config.secret.reveal()):
        raise CliError("the new secret is the old one; make another with: stardust secret new")
    become_owner(config.data_dir)
    done = await rotate(config, new, Scope(actor, DEFAULT_ORG))
    if args.json:
        print(json.dumps({"rotated": done is not None, **({} if done is None else _facts(done))}))
    elif done is None:
        print("The new secret opens this data folder already; nothing was changed. Start the hub with it.")
    else:
        print(_told(done))
    return 0


async def rotate(config: Config, new: Secret, scope: Scope) -> Done | None:
    """Do it, all or nothing.

    Returns: None: it was done before.
    Raises:  ConfigError, HubError: in one sentence why nothing was changed.
    """
    if not config.control_db.is_file():
        raise ConfigError(f"there is no database {config.control_db}: nothing to rotate")
    check_folders(config.data_dir, config.control_db.parent, volatile=True)
    holder = lock_holder(config.data_dir)
    if holder is not None:
        raise ConfigError(f"a hub is running on the folder {config.data_dir} (process {holder}): stop it first")
    database = await open_database(config.data_dir, clock=SystemClock(), control=config.control_db)
    try:
        return await _rotate(database, config, new, scope)
    finally:
        await database.close()


async def _rotate(database: Database, config: Config, new: Secret, scope: Scope) -> Done | None:
    keyring = await database.secrets.keyring()
    try:
        old = await open_existing_vault(config.secret.reveal(), database.secrets)
    except ConfigError:
        try:
            await open_existing_vault(new.reveal(), database.secrets)
        except ConfigError:
            pass  # neither opens it: the first refusal is the one to tell
        else:
            return None
        raise
    assert keyring is not None
    rotation = await prepare_rotation(old, new.reveal())
    copy = config.control_db.with_name(f"{config.control_db.name}.before-rotation-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")
    await copy_database(config.control_db, copy)
    records = await database.secrets.rotate(scope, keyring, rotation, new_time_id())
    async with await Inspection.open(config.control_db) as inspection:
        return Done(records, copy, await inspection.kept_credentials())


def _new_secret(file: str | None) -> str:
    """Where the new secret comes from: a file, a pipe, or a person."""
    if file is None and sys.stdin.isatty():
        text = getpass.getpass("new secret: ")
        if getpass.getpass("once more: ") != text:
            raise CliError("the two are not the same; nothing was changed")
        return text
    try:
        with open(0 if file is None else file, "rb", closefd=file is not None) as source:
            raw = source.read(_LIMIT_BYTES + 1)
        if len(raw) > _LIMIT_BYTES:
            raise CliError(f"the new secret is longer than {_LIMIT_BYTES} bytes")
        return raw.decode()
    except UnicodeDecodeError:
        raise CliError("the new secret is not a UTF-8 text") from None
    except OSError as exc:
        raise CliError(f"the new secret cannot be read from {file or 'standard input'}: {exc.strerror}") from exc


def _checked(text: str) -> Secret:
    try:
        return Secret(check_secret(text.removesuffix("\n").removesuffix("\r")))
    except ConfigError as exc:
        raise CliError(
            str(exc).replace("STARDUST_SECRET is not set", "no new secret was given").replace("STARDUST_SECRET", "the new secret")
        ) from None


def _facts(done: Done) -> dict[str, object]:
    return {"records": done.records, "copy": str(done.copy), "credentials": [kept._asdict() for kept in done.credentials]}


def _told(done: Done) -> str:
    lines = [
        f"Sealed anew: {done.records} value{'' if done.records == 1 else 's'}. Every log-in session has ended. The old secret opens nothing here any more.",
        "Next: put the new secret where the hub reads it (STARDUST_SECRET_FILE, or the file of LoadCredential=), then start the hub.",
        f"The database of before is {done.copy}; it opens with the old secret: delete it once the hub runs.",
        "",
        "If the old secret has leaked together with a copy of the database, what was sealed in it is known to whoever has both. Then also replace:",
        "  on every node: its keys derive from the fleet key, which this does not change; deploy the nodes again from a hub with a new data folder",
        "  the password and the second factor of every user: hashes can be guessed at, and the seeds of the codes were sealed in it",
    ]
    by_node: dict[str, list[str]] = {}
    for kept in done.credentials:
        if kept.field != "way":
            by_node.setdefault(kept.node, []).append({"private_key": "the SSH key"}.get(kept.field, kept.field.replace("_", " ")))
    lines += [f"  {shown(node)}: {', '.join(fields)}" for node, fields in by_node.items()]
    return "\n".join(lines)
