"""`stardust backup`: both databases in one checked file, while the hub runs or not."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Final

from groundcontrol.cli.client import CliError, shown
from groundcontrol.cli.folder import become_owner, only_here, read_settings
from groundcontrol.cli.options import add_settings, count, file_path
from groundcontrol.cli.table import moment
from groundcontrol.store.sqlite import backup
from groundcontrol.store.sqlite.replacing import is_unfinished
from spider.version import VERSION

ENDING: Final = ".stardust-backup"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Copy everything that the hub holds into one file, checked, without stopping it. Passwords, keys and second factors stay sealed in it:"
        " to restore it, the secret that the hub has today is needed too. Keep that secret elsewhere than the backups."
    )
    parser.add_argument(
        "target",
        type=file_path,
        metavar="FILE|DIR",
        help=f"a file that is not there yet, or a folder: then the file is named by the time, {ENDING}",
    )
    parser.add_argument(
        "--keep", type=count, default=None, metavar="N", help="with a folder: afterwards remove all but its N newest backups"
    )
    add_settings(parser)


async def run(args: argparse.Namespace) -> int:
    """Make one, and tell what is in it."""
    only_here(args, "a backup is made")
    settings = read_settings(args)
    target: Path = args.target
    in_folder = await asyncio.to_thread(target.is_dir)
    if args.keep is not None and not in_folder:
        raise CliError(f"--keep goes with a folder, and {target} is none")
    if in_folder:
        target /= time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + ENDING
    if not settings.control_db.is_file():
        raise CliError(f"there is no database {settings.control_db}: nothing to back up")
    become_owner(settings.data_dir)
    if await asyncio.to_thread(is_unfinished, settings.control_db):
        raise CliError("a restore was cut short, so the databases may not belong together: start the hub, which finishes it first")

    def tell(text: str) -> None:
        print(f"stardust: {text} …", file=sys.stderr, flush=True)

    manifest = await asyncio.to_thread(backup.make, settings.control_db, target, VERSION, tell)
    removed = await asyncio.to_thread(_remove_old, target.parent, args.keep) if args.keep is not None else []
    size = target.stat().st_size
    if args.json:
        facts = {"file": str(target), "bytes": size, "made_at": manifest.made_at, "removed": [str(path) for path in removed]}
        print(json.dumps(facts | {"audit_heads": [head._asdict() for head in manifest.audit_heads]}))
        return 0
    print(f"{shown(str(target))}: {size / 1e6:.1f} MB, as of {moment(manifest.made_at)}")
    for head in manifest.audit_heads:
        print(f"audit head: {head.chain}:{head.n}:{head.hash}")
    for path in removed:
        print(f"removed: {shown(str(path))}")
    return 0


def _remove_old(folder: Path, keep: int) -> list[Path]:
    """Those that this command has named, all but the newest."""
    old = sorted(path for path in folder.glob(f"????????-??????{ENDING}") if path.is_file())[:-keep]
    for path in old:
        path.unlink()
    return old
