"""`stardust restore`: makes a data folder from a backup, while no hub runs on it. The old databases are moved aside."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from groundcontrol.cli.client import CliError, shown
from groundcontrol.cli.data_dir import become_owner, lock_holder, only_here, read_settings, valid_config
from groundcontrol.cli.formatting import moment
from groundcontrol.cli.options import add_settings, file_path, progress_printer
from groundcontrol.cli.typed import given_secret
from groundcontrol.config import Config, Secret
from groundcontrol.core.database import RestoreReport
from groundcontrol.core.errors import ConfigError
from groundcontrol.core.scope import DEFAULT_ORG, Actor, Scope
from groundcontrol.data_dir import check_folders, user_name
from groundcontrol.lifecycle import apply_process_limits
from groundcontrol.offline import (
    WORK,
    Inspection,
    Manifest,
    ReportProgress,
    check_no_hard_links,
    find_earlier,
    finish_replacement,
    go_back,
    is_unfinished,
    lock_folders,
    make_private_folder,
    open_vault_of,
    opened_database,
    replace_databases,
    samples_beside,
    unpack_backup,
)
from groundcontrol.vault import Vault, open_existing_vault, prepare_rotation
from spider.wire.ids import new_time_id

Asker = Callable[[str], Secret | None]
"""(reason) -> the hub's secret at the time of the backup; None: no user can answer. A user who is asked sees the reason."""


class RestoreDone(NamedTuple):
    manifest: Manifest
    settled: RestoreReport
    resealed: bool
    """Whether the backup had an old secret, so that its secrets were sealed again under the hub's secret."""
    aside: list[Path]
    """The paths to which the old databases were moved."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make a data folder from a backup, while no hub runs on it. Give the secret with which the hub will start"
        " (STARDUST_SECRET_FILE, STARDUST_SECRET or a systemd credential). A backup from before a rotation also needs the old secret, and is"
        " sealed again under the hub's secret. Open jobs are closed, and all users must log in again."
    )
    parser.add_argument("file", nargs="?", type=file_path, metavar="FILE", help="a file that `stardust backup` has made")
    parser.add_argument(
        "--before-upgrade",
        action="store_true",
        help="instead of a backup: the databases as they were before the last upgrade, for the earlier version. What came since is kept aside",
    )
    parser.add_argument("--replace", action="store_true", help="replace an existing database, which is renamed")
    parser.add_argument(
        "--old-secret-file",
        default=None,
        metavar="FILE",
        help="read the hub's secret at the time of the backup from this file; without it, the command asks",
    )
    add_settings(parser)


async def run(args: argparse.Namespace) -> int:
    """Restore, all or nothing: existing data changes only after the backup has passed every check."""
    only_here(args, "a backup is restored")
    if (args.file is None) != args.before_upgrade:
        raise CliError("name the file of a backup, or give --before-upgrade", "command.usage")
    apply_process_limits()
    config = valid_config(read_settings(args))
    ask = _asker(args)
    await asyncio.to_thread(make_private_folder, config.data_dir)
    become_owner(config.data_dir)
    if args.file is not None:
        _check_readable(args.file)
    check_folders(config.data_dir, config.control_db.parent, volatile=True)  # a hub refuses a folder in memory when it starts
    for folder in (config.data_dir, config.control_db.parent):
        holder = lock_holder(folder)
        if holder is not None:
            raise ConfigError(f"a hub is running on the folder {folder} (process {holder}): stop it first")

    report = progress_printer(as_json=args.json)
    actor = Actor("local", str(os.getuid()), f"local:{os.getuid()}", "admin")
    await asyncio.to_thread(check_no_hard_links, config.control_db, samples_beside(config.control_db))
    locks = lock_folders(config.data_dir, config.control_db.parent)
    try:
        if await asyncio.to_thread(is_unfinished, config.control_db):
            report("finishing an earlier, interrupted restore")
        await asyncio.to_thread(finish_replacement, config.control_db)
        if args.before_upgrade:
            return await asyncio.to_thread(_go_back, config, as_json=args.json)
        if config.control_db.exists() and not args.replace:
            raise CliError(f"{config.control_db} already exists: with --replace it is renamed, and the backup replaces it")
        with tempfile.TemporaryDirectory(prefix=WORK, dir=config.control_db.parent) as work:
            done = await _restore(config, ask, args.file, Path(work), Scope(actor, DEFAULT_ORG), report)
    finally:
        for lock in locks:
            lock.release()
    print(json.dumps(_to_json(done)) if args.json else _summary(done, config))
    return 0


def _go_back(config: Config, *, as_json: bool) -> int:
    earlier = find_earlier(config.control_db)
    with tempfile.TemporaryDirectory(prefix=WORK, dir=config.control_db.parent) as work:
        aside = go_back(config.control_db, earlier, Path(work))
    if as_json:
        print(json.dumps({"made_at": earlier.made_at, "aside": [str(path) for path in aside]}))
        return 0
    print(f"The databases are as they were before the upgrade of {moment(earlier.made_at)}.")
    print("What came since is lost to the earlier version, except what nodes have not sent yet. Jobs of that time are not run again.")
    for path in aside:
        print(f"The previous database is {shown(str(path))}")
    print("Install the earlier version before the hub starts: this one would upgrade them again.")
    return 0


def _asker(args: argparse.Namespace) -> Asker:
    """Return a function that gives the old secret. A secret file is read now, while this process may still be root."""
    if args.old_secret_file is not None:
        old = given_secret(args.old_secret_file, "old secret")
        return lambda _why: old

    def ask(why: str) -> Secret | None:
        if args.json or not sys.stdin.isatty():
            return None
        print(f"stardust: {why}", file=sys.stderr)
        return given_secret(None, "old secret")

    return ask


def _check_readable(file: Path) -> None:
    """Check that the owner of the data folder may read the file. Call this after `become_owner`. A missing file is reported later.

    Raises: CliError: the owner may not read the file.
    """
    try:
        if not file.exists() or os.access(file, os.R_OK):
            return
        remedy = f"chown {user_name(os.geteuid())} {file}"
    except PermissionError:
        remedy = "move it to a folder that this user may read"
    raise CliError(f"{file} cannot be read by the user {user_name(os.geteuid())}, who owns the data folder: {remedy}")


async def _restore(config: Config, ask: Asker, source: Path, folder: Path, scope: Scope, report: ReportProgress) -> RestoreDone:
    manifest = await asyncio.to_thread(unpack_backup, source, folder, report)
    control = folder / "control.db"
    os.rename(folder / "samples.db", samples_beside(control))
    report("opening the vault and verifying the audit log")
    vault, own = await _open_and_verify(config, ask, control, manifest)
    if not own:
        report("sealing all secrets again under the hub's secret")
        vault = await _reseal(folder, control, vault, config.secret, scope)
    report("closing open jobs and sessions")
    settled = await _settle(folder, control, vault, scope, manifest)
    return RestoreDone(manifest, settled, not own, await asyncio.to_thread(replace_databases, control, config.control_db))


async def _open_and_verify(config: Config, ask: Asker, control: Path, manifest: Manifest) -> tuple[Vault, bool]:
    """Open the vault of the backup, and verify its audit log. Returns the vault, and whether the hub's own secret opens it.

    Raises: ConfigError: no given secret opens the vault, or the audit log is damaged.
    """
    async with await Inspection.open(control) as inspection:
        try:
            vault, own = await open_vault_of(config.secret, inspection), True
        except ConfigError as exc:
            another = f"this backup opens with another secret, that of the hub at the time of the backup ({moment(manifest.made_at)})"
            old = ask(another)
            if old is None:
                raise ConfigError(f"{another}: give it with --old-secret-file") from exc
            try:
                vault, own = await open_vault_of(old, inspection), False
            except ConfigError:
                raise ConfigError(f"{another}, and the given old secret is wrong") from None
        fault = await inspection.verify_audit((vault.audit_key, *vault.earlier_audit_keys), manifest.audit_heads)
    if fault is not None:
        raise ConfigError(f"the audit log in this backup does not hold: {shown(fault)}")
    return vault, own


async def _reseal(folder: Path, control: Path, old: Vault, secret: Secret, scope: Scope) -> Vault:
    """Seal all secrets in the unpacked databases again under the hub's secret, as `stardust rotate-secret` does."""
    async with opened_database(folder, control) as database:
        keyring = await database.secrets.keyring()
        assert keyring is not None
        await database.secrets.rotate(scope, keyring, await prepare_rotation(old, secret.reveal()), new_time_id())
        return await open_existing_vault(secret.reveal(), database.secrets)


async def _settle(folder: Path, control: Path, vault: Vault, scope: Scope, manifest: Manifest) -> RestoreReport:
    """Migrate the unpacked databases to this program's schema, and close open jobs and sessions in them."""
    async with opened_database(folder, control) as database:
        return await database.settle_restored(
            audit_key=vault.audit_key,
            chain=new_time_id(),
            scope=scope,
            made_at=manifest.made_at,
            earlier_audit_keys=vault.earlier_audit_keys,
        )


def _to_json(done: RestoreDone) -> dict[str, object]:
    return {
        "made_at": done.manifest.made_at,
        **done.settled._asdict(),
        "resealed": done.resealed,
        "aside": [str(path) for path in done.aside],
    }


def _summary(done: RestoreDone, config: Config) -> str:
    settled = done.settled
    lines = [
        f"Restored as of {moment(done.manifest.made_at)} into {shown(str(config.data_dir))}: {settled.nodes} nodes, audit log verified.",
        f"{settled.jobs} open jobs were closed and do not start again. {settled.sessions} log-in sessions have ended.",
        "The hub does not know nodes that were added after the backup: deploy them again. Until then their Spiders refuse this hub.",
        "Samples and jobs from after the backup are lost, except those that nodes have not sent yet.",
        f"{settled.tokens} API tokens are valid, including those revoked after the backup: check them (stardust token list).",
    ]
    if done.resealed:
        lines.append("All secrets were sealed again under the hub's secret; the backup itself still opens only with the old secret.")
    lines += [f"The previous database is {shown(str(path))}" for path in done.aside]
    return "\n".join([*lines, "Start the hub."])
