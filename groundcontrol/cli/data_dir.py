"""The data folder for verbs without a running hub: its settings, its owner, its lock and its vault."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp

from groundcontrol.cli.client import CONTROL_NAME, CliError, HubLocation, NotReadable, NotYours, hub_location
from groundcontrol.cli.file_permissions import reason
from groundcontrol.cli.installed import SERVICE
from groundcontrol.config import Config
from groundcontrol.config_reader import read_config
from groundcontrol.core.errors import ConfigError
from groundcontrol.core.filesystem import mount_of
from groundcontrol.data_dir import LOCK_NAME, PID_NAME, user_name
from groundcontrol.settings import SETTINGS

RUN_SCRIPT_FILE: Final = "secret"
"""The file in the data folder in which `scripts/run` stores the secret."""
_NEEDED: Final = (Path(os.__file__).parent, Path(aiohttp.__file__).parents[1], Path(__file__).resolve().parents[1])
"""Folders from which a running command imports modules: Python's, those of the dependencies, and the program's."""


class DataDirSettings(NamedTuple):
    """The settings of the hub with this data folder, as this command finds them."""

    config: Config | None
    """None: the settings are invalid, and no hub starts with them."""
    faults: tuple[str, ...]
    """One text for each invalid setting."""
    secret_given: bool
    """False: this command got no secret, and `config.secret` is a random one."""
    data_dir: Path
    control_db: Path
    unit: Path | None = None
    """The unit of the installed service with these settings."""


def only_here(args: argparse.Namespace, what: str) -> None:
    """Check that the command is for the hub on this machine. `what`: what the command does, for the error text.

    Raises: CliError: the command has `--url`.
    """
    if args.url is not None:
        raise CliError(f"{what} on the hub's own machine only, without --url")


def location_and_environ(args: argparse.Namespace) -> tuple[HubLocation, dict[str, str]]:
    """The location of the hub, and its environment. Variables of this command override those of the installed service.

    Raises: NotReadable: the service's settings cannot be read.
    """
    location = hub_location(args)
    environ = {} if location.service is None else dict(location.service.environ)
    for item in SETTINGS:
        if item.kind == "secret" and _given(item.name, os.environ):  # then the service's sources of this secret are ignored
            for name in (item.env, f"{item.env}_FILE"):
                environ.pop(name, None)
    environ |= {name: value for name, value in os.environ.items() if value or name not in environ}
    secret_file = location.folder / RUN_SCRIPT_FILE
    if not _given("secret", environ) and os.path.isfile(secret_file):
        environ["STARDUST_SECRET_FILE"] = str(secret_file)
    return location, environ


def _is_secret(name: str) -> bool:
    return any(item.kind == "secret" and name in (item.env, f"{item.env}_FILE") for item in SETTINGS)


def read_settings(args: argparse.Namespace) -> DataDirSettings:
    """Read the hub's settings: flags, environment, installed service, file, credentials. Secrets are removed from the environment.

    Raises: NotReadable: the user may not read the data folder, or the settings of the installed service.
    """
    location, environ = location_and_environ(args)
    service = location.service
    if service is not None:
        _check_rights(location.folder, location.folder / CONTROL_NAME)
        secret_file = environ.get("STARDUST_SECRET_FILE", "")
        of_service = secret_file == service.environ.get("STARDUST_SECRET_FILE") and os.path.exists(secret_file)
        unread = f"{secret_file}: Permission denied" if of_service and not os.access(secret_file, os.R_OK) else "; ".join(service.faults)
        if unread:
            raise NotReadable(f"the settings of the installed service {SERVICE} cannot be read ({unread})")
    for name in filter(_is_secret, list(os.environ)):
        del os.environ[name]
    given = _given("secret", environ)
    if not given:
        environ["STARDUST_SECRET"] = secrets.token_urlsafe(32)
    argv = ["--data-dir", str(location.folder)]
    for flag in ("db", "config"):
        value = getattr(args, flag)
        argv += [] if value is None else [f"--{flag}", value]
    config: Config | None = None
    faults: tuple[str, ...] = ()
    try:
        config = read_config(environ, argv)
    except ConfigError as exc:
        faults = tuple(str(exc).splitlines())
    folder = location.folder.absolute() if config is None else config.data_dir
    fallback = Path(args.db).absolute() if args.db else folder / CONTROL_NAME
    control = fallback if config is None else config.control_db
    _check_rights(folder, control)
    return DataDirSettings(config, faults, given, folder, control, None if service is None else service.unit)


def _check_rights(folder: Path, control: Path) -> None:
    """Raises: NotYours: the user may not read the folder or the control database."""
    try:
        owner = folder.stat().st_uid
        denied = not os.access(folder, os.R_OK | os.X_OK) or (control.exists() and not os.access(control, os.R_OK))
    except OSError:
        return  # a later access to the folder reports the error
    if denied and os.geteuid() not in (0, owner):
        raise NotYours(folder, owner)


def valid_config(settings: DataDirSettings, *, secret: bool = True) -> Config:
    """The settings, if they are valid.

    Raises: ConfigError: they are invalid; CliError: no secret was given.
    """
    if settings.config is None:
        raise ConfigError("\n".join(settings.faults))
    if secret and not settings.secret_given:
        raise CliError("this command needs the secret of the hub: set STARDUST_SECRET_FILE (or STARDUST_SECRET)")
    return settings.config


def _given(name: str, environ: Mapping[str, str]) -> bool:
    """Whether any source gives a secret."""
    variable = f"STARDUST_{name.upper()}"
    if environ.get(variable) or environ.get(f"{variable}_FILE"):
        return True
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    try:
        return bool(credentials) and (Path(credentials or "") / name).exists()
    except OSError:  # the read of the settings reports the error
        return True


def become_owner(folder: Path) -> None:
    """If this process is root, continue as the owner of the data folder, so that new files belong to the owner.

    Raises: CliError: the folder is missing, or its owner has no access to it, to this program or to its Python.
    """
    try:
        found = folder.stat()
    except OSError as exc:
        raise CliError(f"the data folder {folder} cannot be used: {reason(exc)}") from exc
    if os.geteuid() == 0 and found.st_uid != 0:
        os.setgroups([])
        os.setgid(found.st_gid)
        os.setuid(found.st_uid)
        for path in (folder, *_NEEDED):
            if not os.access(path, os.R_OK | os.X_OK):
                raise CliError(
                    f"{path} cannot be read by the user {user_name(found.st_uid)}, who owns the data folder, so nothing was done"
                )


def lock_holder(folder: Path) -> int | None:
    """The id of the process that holds the folder's lock; None: this process can see none. The lock itself is not touched."""
    for path in (folder, folder / LOCK_NAME):
        try:
            wanted, mount = path.stat(), mount_of(path)
            locks = Path("/proc/locks").read_text(encoding="ascii")
        except (OSError, ValueError):
            continue
        device = wanted.st_dev if mount is None else mount.device
        for pid in flock_holders(locks, device, wanted.st_ino):
            if device == wanted.st_dev or _may_have_open(pid, wanted):
                return pid
    return None


def flock_holders(locks: str, device: int, inode: int) -> list[int]:
    """The ids of the processes that hold a whole-file lock on a file.

    Args: locks: the text of /proc/locks.
          device: the device number of the file system.
          inode: the file's.
    """
    wanted = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    found = []
    for line in locks.splitlines():  # 1: FLOCK  ADVISORY  WRITE 4321 fe:01:131075 0 EOF
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[5] == wanted:
            found.append(int(words[4]))
    return found


def _may_have_open(pid: int, wanted: os.stat_result) -> bool:
    """Whether a process has this file open. True if its open files cannot be read, since a running hub must not be overlooked."""
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(entry.stat(), wanted):
                    return True
    except OSError:
        return True
    return False


def written_pid(folder: Path) -> str:
    """The process id that the hub has written into the folder; empty: no such file can be read."""
    try:
        return (folder / PID_NAME).read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return ""
