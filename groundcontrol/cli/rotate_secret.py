"""`stardust rotate-secret`: seals all secrets again under a new secret, while no hub runs."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from groundcontrol.cli.backup import backup_file, check_target, fleet_in
from groundcontrol.cli.client import CliError, shown
from groundcontrol.cli.data_dir import become_owner, lock_holder, only_here, read_settings, valid_config
from groundcontrol.cli.options import add_settings, file_path, progress_printer
from groundcontrol.cli.typed import answered, given_secret
from groundcontrol.config import Config, Secret
from groundcontrol.core.database import OfflineDatabase
from groundcontrol.core.errors import ConfigError
from groundcontrol.core.scope import DEFAULT_ORG, Actor, Scope
from groundcontrol.data_dir import check_folders
from groundcontrol.lifecycle import apply_process_limits
from groundcontrol.offline import CredentialEntry, Inspection, copy_database, make_backup, opened_database
from groundcontrol.vault import check_secret, open_existing_vault, prepare_rotation
from spider.version import VERSION
from spider.wire.ids import new_time_id

_BACKUPS = (
    "Backups from before a rotation open only with the old secret. Keep the old secret as long as these backups (stardust restore"
    " --old-secret-file), or make a new backup after the rotation."
)


class RotationDone(NamedTuple):
    """The result of a rotation."""

    records: int
    copy: Path
    """The copy of the old database, which opens with the old secret."""
    credentials: Sequence[CredentialEntry]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Seal all secrets again under a new secret, while the hub is stopped. The old secret comes from the hub's own source"
        " (STARDUST_SECRET_FILE, STARDUST_SECRET or a systemd credential), the new secret from standard input."
    )
    parser.add_argument(
        "--new-secret-file", default=None, metavar="FILE", help="read the new secret from this file, not from standard input"
    )
    parser.add_argument(
        "--backup", type=file_path, default=None, metavar="FILE|DIR", help="make a new backup afterwards, as `stardust backup` does"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask; without a terminal this is the default")
    add_settings(parser)


async def run(args: argparse.Namespace) -> int:
    """Rotate the secret. If an interrupted run has rotated it already, this run reports that and changes nothing."""
    only_here(args, "a secret is rotated")
    apply_process_limits()
    config = valid_config(read_settings(args))
    actor = Actor("local", str(os.getuid()), f"local:{os.getuid()}", "admin")
    new = given_secret(args.new_secret_file, "new secret", twice=True)
    if new.reveal() == check_secret(config.secret.reveal()):
        raise CliError("the new secret equals the old one; make another secret with: stardust secret new")
    become_owner(config.data_dir)
    check_rotatable(config)
    confirms = sys.stdin.isatty() and not args.json and not args.yes
    target: Path | None = args.backup
    if not args.json:
        print(_BACKUPS, file=sys.stderr)
    if confirms and answered("Rotate the secret? [y/N]").lower() not in ("y", "yes"):
        raise CliError("nothing was changed")
    if confirms and target is None:
        answer = answered("A folder or file for a new backup after the rotation (empty: no backup):")
        target = file_path(answer) if answer else None
    if target is not None:
        check_target(backup_file(target))
    done = await rotate(config, new, Scope(actor, DEFAULT_ORG))
    if target is not None:
        target = backup_file(target)  # again, since the rotation took seconds: the name is the time of the content
        await _back_up(config, target, as_json=args.json)
    if args.json:
        document = {"rotated": done is not None, **({} if done is None else _to_json(done))}
        print(json.dumps(document if target is None else document | {"backup": str(target)}))
    else:
        print(
            "The new secret opens this data folder already; nothing was changed. Start the hub with it." if done is None else _summary(done)
        )
        if target is not None:
            print(f"A backup that opens with the new secret: {shown(str(target))}")
    return 0


async def _back_up(config: Config, target: Path, *, as_json: bool) -> None:
    """Make the backup after the rotation.

    Raises: CliError: the backup failed; the rotation stays in effect.
    """
    try:
        fleet = await fleet_in(config.control_db)
        await asyncio.to_thread(make_backup, config.control_db, target, VERSION, progress_printer(as_json=as_json), fleet=fleet)
    except ConfigError as exc:
        raise CliError(f"the secret was rotated: start the hub with the new secret. But no backup was made: {exc}") from exc


def check_rotatable(config: Config) -> None:
    """Raises: ConfigError: no rotation is possible; the text says why."""
    if not config.control_db.is_file():
        raise ConfigError(f"there is no database {config.control_db}: nothing to rotate")
    check_folders(config.data_dir, config.control_db.parent, volatile=True)
    holder = lock_holder(config.data_dir)
    if holder is not None:
        raise ConfigError(f"a hub is running on the folder {config.data_dir} (process {holder}): stop it first")


async def rotate(config: Config, new: Secret, scope: Scope) -> RotationDone | None:
    """Rotate, all or nothing.

    Returns: None: nothing was changed, since the new secret opens the vault already.
    Raises:  ConfigError, HubError: no secret was changed; the text says why.
    """
    async with opened_database(config.data_dir, config.control_db) as database:
        return await _rotate(database, config, new, scope)


async def _rotate(database: OfflineDatabase, config: Config, new: Secret, scope: Scope) -> RotationDone | None:
    keyring = await database.secrets.keyring()
    try:
        old = await open_existing_vault(config.secret.reveal(), database.secrets)
    except ConfigError:
        try:
            await open_existing_vault(new.reveal(), database.secrets)
        except ConfigError:
            pass  # neither secret opens it: report the first error
        else:
            return None
        raise
    assert keyring is not None
    rotation = await prepare_rotation(old, new.reveal())
    copy = config.control_db.with_name(f"{config.control_db.name}.before-rotation-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")
    await copy_database(config.control_db, copy)
    async with await Inspection.open(config.control_db) as inspection:
        credentials = await inspection.stored_credentials()  # before the rotation: after it nothing may fail any more
    records = await database.secrets.rotate(scope, keyring, rotation, new_time_id())
    return RotationDone(records, copy, credentials)


def _to_json(done: RotationDone) -> dict[str, object]:
    return {"records": done.records, "copy": str(done.copy), "credentials": [credential._asdict() for credential in done.credentials]}


def _summary(done: RotationDone) -> str:
    lines = [
        f"Sealed again: {done.records} value{'' if done.records == 1 else 's'}. Every log-in session has ended. The old secret is not valid here any more.",
        "Next: put the new secret where the hub reads it (STARDUST_SECRET_FILE, or the file of LoadCredential=), then start the hub.",
        f"The old database is {done.copy}; it opens with the old secret: delete it once the hub runs.",
        "",
        "Whoever has the old secret and a copy of the old database knows the secrets in it. If both have leaked, also replace:",
        "  on every node: its keys derive from the fleet key, which a rotation does not change; deploy the nodes again from a hub with a new data folder",
        "  the hub's own SSH key, if it has one: stardust ssh-key replace",
        "  the password and the second factor of every user: passwords can be guessed from their hashes, and the seeds of the codes were in the database",
    ]
    by_node: dict[str, list[str]] = {}
    for credential in done.credentials:
        if credential.field != "way":
            by_node.setdefault(credential.node, []).append(
                {"private_key": "the SSH key"}.get(credential.field, credential.field.replace("_", " "))
            )
    lines += [f"  {shown(node)}: {', '.join(fields)}" for node, fields in by_node.items()]
    return "\n".join(lines)
