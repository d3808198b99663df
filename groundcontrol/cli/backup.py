"""`stardust backup`: makes one checked file of both databases, whether or not the hub runs."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Final

from groundcontrol.cli.client import CliError, shown
from groundcontrol.cli.data_dir import become_owner, only_here, read_settings
from groundcontrol.cli.file_permissions import reason
from groundcontrol.cli.formatting import moment
from groundcontrol.cli.options import add_settings, complain, count, file_path, progress_printer
from groundcontrol.core.errors import ConfigError, HubError
from groundcontrol.core.last_backup import record_backup
from groundcontrol.data_dir import user_name
from groundcontrol.offline import BackupCancelled, Cancellation, Inspection, is_unfinished, make_backup, manifest_of
from groundcontrol.vault import fleet_of
from spider.version import VERSION

ENDING: Final = ".stardust-backup"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Copy all data of the hub into one checked file, without stopping the hub. Passwords, keys and second factors stay sealed in the file:"
        " a restore also needs the current secret of the hub. Keep that secret and the backups in different places."
    )
    parser.add_argument(
        "target",
        type=file_path,
        metavar="FILE|DIR",
        help=f"a new file; or a folder, in which the file gets the time as its name, and {ENDING}",
    )
    parser.add_argument(
        "--keep",
        type=count,
        default=None,
        metavar="N",
        help="with a folder: then remove all of this hub's backups in it, except the N newest",
    )
    add_settings(parser)


async def run(args: argparse.Namespace) -> int:
    """Make a backup. Print its file, its size, its time, and the last row of each chain of the audit log (audit heads).

    Exit status 128 + the signal's number if a signal ended the backup.
    """
    only_here(args, "a backup is made")
    settings = read_settings(args)
    target: Path = args.target
    in_folder = await asyncio.to_thread(target.is_dir)
    if args.keep is not None and not in_folder:
        raise CliError(f"--keep needs a folder, and {target} is not a folder")
    target = backup_file(target)
    try:
        found = settings.control_db.is_file()
    except OSError as exc:
        raise CliError(f"the database {settings.control_db} cannot be examined: {reason(exc)}") from exc
    if not found:
        raise CliError(f"there is no database {settings.control_db}: nothing to back up")
    become_owner(settings.data_dir)
    if await asyncio.to_thread(is_unfinished, settings.control_db):
        raise CliError("a restore was interrupted, so the databases may not belong together: start the hub, which finishes it first")

    report = progress_printer(as_json=args.json)
    fleet = await fleet_in(settings.control_db)
    cancellation, caught = Cancellation(), list[int]()
    _end_at_signals(cancellation, caught)
    try:
        manifest = await asyncio.to_thread(
            make_backup, settings.control_db, target, VERSION, report, fleet=fleet, cancellation=cancellation
        )
    except BackupCancelled:
        complain("command.interrupted", "no backup was made: a signal ended it, and all its files are removed", as_json=args.json)
        return 128 + caught[0]
    try:
        record_backup(settings.data_dir, manifest.made_at)
    except OSError as exc:  # a backup matters most if the disk of the data folder is broken
        report(f"the hub does not learn of this backup: {settings.data_dir}: {exc.strerror}")
    removed, later = await asyncio.to_thread(_remove_old, target, manifest.made_at, fleet, args.keep) if args.keep is not None else ([], [])
    size = target.stat().st_size
    if args.json:
        document = {"file": str(target), "bytes": size, "made_at": manifest.made_at, "removed": [str(path) for path in removed]}
        document["dated_later"] = [str(path) for path in later]
        print(json.dumps(document | {"audit_heads": [head._asdict() for head in manifest.audit_heads]}))
        return 0
    print(f"{shown(str(target))}: {size / 1e6:.1f} MB, as of {moment(manifest.made_at)}")
    for head in manifest.audit_heads:
        print(f"audit head: {head.chain}:{head.n}:{head.hash}")
    for path in removed:
        print(f"removed: {shown(str(path))}")
    for path in later:
        print(f"neither counted nor removed: {shown(str(path))} is dated later than this backup, so a clock was or is wrong")
    return 0


def _end_at_signals(cancellation: Cancellation, caught: list[int]) -> None:
    """End the backup at a signal, so that its copies of both databases are removed."""

    def end(number: int) -> None:
        caught.append(number)
        cancellation.request()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end, number)


def backup_file(target: Path) -> Path:
    """The file to write for a target. In a folder its name is the current time."""
    return target / (time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + ENDING) if target.is_dir() else target


def check_target(file: Path) -> None:
    """Check before the work that a backup can be written to this file.

    Raises: CliError.
    """
    if file.exists():
        raise CliError(f"{file} already exists: a backup never replaces another file; nothing was changed")
    if not file.parent.is_dir():
        raise CliError(f"there is no folder {file.parent} for a backup; nothing was changed")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise CliError(f"the user {user_name(os.geteuid())}, who owns the data folder, cannot write to {file.parent}; nothing was changed")


async def fleet_in(control: Path) -> str:
    """The id of the database's fleet; empty: there is no keyring, or it cannot be read. Without the id no older backup is removed."""
    async with await Inspection.open(control) as inspection:
        try:
            keyring = await inspection.secrets.keyring()
            return "" if keyring is None else fleet_of(keyring)
        except (ConfigError, HubError):
            return ""


def _remove_old(made: Path, made_at: float, fleet: str, keep: int) -> tuple[list[Path], list[Path]]:
    """Remove backups of this hub whose file names are those of `backup_file`. The `keep` newest stay, `made` among them.

    Other hubs may use the folder, so the fleet id in a file decides. An unreadable file stays. A backup dated later than `made` stays and
    does not count among the newest: after a day with a fast clock, the backups of that day count as newer than all real ones.

    Returns: the removed files, and the files that are dated later.
    """
    found = {path: manifest_of(path) for path in made.parent.glob(f"????????-??????{ENDING}") if path != made}
    own = [(manifest.made_at, path) for path, manifest in found.items() if manifest is not None and fleet and manifest.fleet == fleet]
    later = [path for at, path in sorted(own) if at > made_at]
    old = [path for at, path in sorted(own, reverse=True) if at <= made_at][keep - 1 :]
    for path in old:
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise CliError(f"{made} was made, but {path} cannot be removed: {exc.strerror}") from exc
    return old, later
