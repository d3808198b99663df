"""`stardust uninstall`: takes the hub off this machine: its service, its account, its settings and its data."""

from __future__ import annotations

import argparse
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from groundcontrol.cli.client import CliError, HubLocation, hub_location
from groundcontrol.cli.data_dir import only_here
from groundcontrol.cli.hub_process import in_words, systemctl
from groundcontrol.cli.installed import ROOT, SERVICE, UNIT_FOLDERS
from groundcontrol.cli.options import UsageError
from groundcontrol.cli.stop import stop_hub
from groundcontrol.cli.typed import answered
from groundcontrol.cli.updating import how_installed

_MARKS: Final = ("stardust.db", "hub.lock", "hub.pid")
"""A folder without any of these files is no data folder, and is never deleted."""
_PACKAGE: Final = (
    "this hub is a Debian package: `apt-get purge stardust-hub` removes it with its data, `apt-get remove stardust-hub` keeps the data"
)
_COMMAND_LIMIT_S: Final = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep-data", action="store_true", help="keep the data folder, and the secret and settings in /etc/stardust-hub")
    parser.add_argument("--name", metavar="HOST", help="this machine's host name: do not ask for it; required without a terminal")


async def run(args: argparse.Namespace) -> int:
    """Stop the hub, and remove what its installation has made. Agents on other servers are not touched: `stardust nodes remove` does that."""
    only_here(args, "the hub is removed")
    way = how_installed()
    if way.name == "Debian package":
        raise CliError(_PACKAGE)
    location = hub_location(args)
    if location.service is not None and is_packaged(location.service.unit):
        raise CliError(_PACKAGE)  # although this program is another one, such as that of a checkout
    paths = _paths(args, location)
    if location.service is not None and os.geteuid() != 0:
        raise CliError("run this as root: it removes a service")
    _confirm(args, paths)
    await stop_hub(args)
    if location.service is not None:
        systemctl("disable", "--now", SERVICE, *(f"{SERVICE}-backup.timer" for path in paths if path.name == f"{SERVICE}-backup.timer"))
    _remove(paths)
    if location.service is not None:
        systemctl("daemon-reload")
        if not args.keep_data:
            _remove_account()
    if args.json:
        print(json.dumps({"removed": [str(path) for path in paths], "program": way.remove}))
    else:
        print(f"The hub is removed. Its program is left: {way.remove}")
    return 0


def _paths(args: argparse.Namespace, location: HubLocation) -> list[Path]:
    """What is removed: nothing of the installed service if a flag or the environment names the data folder of another hub.

    Raises: CliError: it is nothing, or the folder is no data folder.
    """
    folder = location.folder.absolute()
    paths = paths_of_service(ROOT, keep_data=args.keep_data) if location.service is not None else []
    if not args.keep_data and folder not in paths and os.path.exists(folder):
        if not any(os.path.exists(folder / name) for name in _MARKS):
            raise CliError(f"{folder} is no data folder of a hub, so nothing was removed")
        paths.append(folder)
    if not paths:
        raise CliError(f"no hub is installed here, and there is no data folder {folder}: there is nothing to remove")
    return paths


def _confirm(args: argparse.Namespace, paths: list[Path]) -> None:
    """Let the user type the name of this machine.

    Raises: CliError: it is another name; UsageError: nobody can be asked.
    """
    name = socket.gethostname()
    if not args.json:
        print(f"This removes for ever:\n{in_words(paths)}", file=sys.stderr)
    if args.name is None and not sys.stdin.isatty():
        raise UsageError("uninstall: without a terminal, give --name with this machine's host name")
    given = args.name if args.name is not None else answered(f"Type the host name of this machine ({name}) to continue:")
    if given != name:
        raise CliError("that is not the host name of this machine; nothing was removed")


def is_packaged(unit: Path, root: Path = ROOT) -> bool:
    """Whether a package, not a person, has put this unit where it is."""
    return unit.parent in [root / folder for folder in UNIT_FOLDERS[3:]]


def paths_of_service(root: Path, *, keep_data: bool) -> list[Path]:
    """What docs/install.md and the package make for the service, as far as it is there."""
    own = [root / folder for folder in UNIT_FOLDERS[:2]]
    names = (f"{SERVICE}.service", f"{SERVICE}.service.d", f"{SERVICE}-backup.service", f"{SERVICE}-backup.timer")
    wants = [folder / target / name for folder in own for target in ("multi-user.target.wants", "timers.target.wants") for name in names]
    paths = [*(folder / name for folder in own for name in names), *wants]
    if not keep_data:
        paths += [root / "etc" / SERVICE, root / "var/lib" / SERVICE, root / f"var/lib/systemd/timers/stamp-{SERVICE}-backup.timer"]
    return [path for path in paths if os.path.lexists(path)]


def _remove(paths: list[Path]) -> None:
    for path in paths:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:
            pass  # `systemctl disable` has removed it
        except OSError as exc:
            raise CliError(f"{path} cannot be removed: {exc.strerror}; repeat the command once that is mended") from exc


def _remove_account() -> None:
    try:
        pwd.getpwnam(SERVICE)
    except KeyError:
        return
    program = shutil.which("userdel", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        raise CliError(f"there is no userdel here: remove the account {SERVICE} by hand")
    done = subprocess.run(
        [program, SERVICE], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMMAND_LIMIT_S, check=False
    )
    if done.returncode != 0:
        raise CliError(f"the account {SERVICE} cannot be removed: {done.stderr.strip()}")
