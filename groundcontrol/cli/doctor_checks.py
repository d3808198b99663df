"""The checks of `stardust doctor`. Each examines one thing, changes nothing, and names the remedy for a problem."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import os
import re
import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from groundcontrol.access.clock_guard import BEHIND_S
from groundcontrol.cli.data_dir import DataDirSettings, lock_holder, written_pid
from groundcontrol.cli.formatting import UPDATE_OUTDATED, named_agents
from groundcontrol.config import Config, is_loopback_name
from groundcontrol.core.errors import ConfigError, HubError, VaultError
from groundcontrol.data_dir import SOCKET_NAME, check_folder, check_local, is_volatile, user_name
from groundcontrol.deployments.node_files import bundle_version
from groundcontrol.lan import HOW_TO_CHANGE, fixed_addresses, is_own, stored_addresses
from groundcontrol.nodes.model import UNITS
from groundcontrol.offline import (
    DamagedRecord,
    DamagedSpan,
    Inspection,
    ReadOnlyHere,
    check_known,
    check_no_hard_links,
    check_readable,
    find_damaged_records,
    find_damaged_spans,
    is_blank,
    is_read_only,
    is_unfinished,
    quick_check,
    samples_beside,
)
from groundcontrol.vault import Vault, open_existing_vault
from majortom.build.bundle import BundleError, read_bundle

CheckState = Literal["ok", "warning", "problem"]

LEAST_FREE_BYTES: Final = 256 << 20
"""With less free space there is a problem."""
LOW_FREE_BYTES: Final = 2 << 30
"""With less free space there is a warning."""
LOW_FREE_SHARE: Final = 0.05
"""With a smaller free share of the disk (0 to 1) there is a warning."""
MOST_NAMED: Final = 5
"""The most objects that a finding names."""
RESTORE: Final = "stop the hub, keep a copy of the folder, restore a backup"
REMOUNT: Final = "the state of the database is unknown: mount the file system writable again, or check a copy of the whole folder elsewhere"
AUDIT_WARN_BYTES: Final = 1 << 30
"""With a larger archive of the audit log there is a warning: some twenty million rows."""
CLOCK_WARN_S: Final = 60.0
LOSS_TOLD_S: Final = 7 * 86_400.0
"""How long the doctor tells of lost rows after a hub has started without them."""
LOST: Final = (
    "a -wal file was removed, or an older copy is in place: put the right file back before a hub starts, or go on without these rows"
)
WENT_ON: Final = (
    "nodes send again what they still hold; for the rest compare with the newest backup; check what removes files from this folder"
)

_COPIES: Final = {"rotation-": "is from before a rotation and opens with the old secret", "restore-": "is from before a restore"}
"""What follows `.before-` in a copy's file name -> what the finding says about the copy."""


class Finding(NamedTuple):
    """The result of one check."""

    check: str
    state: CheckState
    text: str
    remedy: str = ""
    """Empty: none is needed."""


def settings_findings(settings: DataDirSettings) -> Iterator[Finding]:
    """Whether a hub would start with the settings that this command sees."""
    if settings.unit is not None:
        yield Finding("settings", "ok", f"these are the settings of the installed service ({settings.unit})")
    for fault in settings.faults:
        yield Finding("settings", "problem", fault, "the hub does not start before this is corrected")
    if settings.config is not None and settings.secret_given:
        yield Finding("settings", "ok", "a hub would start with these settings")
    elif settings.config is not None:
        yield Finding("settings", "ok", "these settings are valid, but a hub also needs a secret to start")
    if not settings.secret_given and not settings.faults:
        yield Finding(
            "secret",
            "warning",
            "no secret was given to this command, so the keyring and the audit log cannot be checked",
            "set STARDUST_SECRET_FILE (or STARDUST_SECRET) as for the hub and run this again",
        )


def secret_file_finding(path: Path) -> Finding:
    """Whether other users may access the file of the secret."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as exc:
        return Finding("secret", "problem", f"the file of the secret {path} cannot be read: {exc.strerror}", "correct STARDUST_SECRET_FILE")
    if mode & 0o007:
        return Finding(
            "secret",
            "problem",
            f"every user may access the file of the secret {path} (mode {mode:04o})",
            f"chmod 600 {path}; then stardust rotate-secret",
        )
    if mode & 0o070:
        return Finding(
            "secret",
            "warning",
            f"a group may access the file of the secret {path} (mode {mode:04o})",
            f"chmod 600 {path}, unless the hub itself reads the file through this group",
        )
    return Finding("secret", "ok", f"only its owner can read {path}")


def folder_findings(folder: Path) -> Iterator[Finding]:
    """Whether the data folder exists, is on a file system with working locks, and is private, with everything in it."""
    try:
        found = folder.stat()
    except OSError as exc:
        yield Finding("folder", "problem", f"the data folder {folder} cannot be used: {exc.strerror}", "name the right one with --data-dir")
        return
    if not stat.S_ISDIR(found.st_mode):
        yield Finding("folder", "problem", f"{folder} is not a folder", "name the right one with --data-dir")
        return
    private = True
    if found.st_mode & 0o077:
        private = False
        yield Finding(
            "folder", "problem", f"other users can access {folder} (mode {stat.S_IMODE(found.st_mode):04o})", f"chmod 700 {folder}"
        )
    try:
        check_folder(folder)
    except ConfigError as exc:
        private = False
        yield Finding("folder", "problem", str(exc), "run this as the owner, or move the folder to a local disk")
    for path in sorted(folder.iterdir()):
        try:
            info = path.lstat()
        except FileNotFoundError:
            continue  # a running hub has removed it meanwhile
        if not stat.S_ISLNK(info.st_mode) and info.st_mode & 0o077:
            private = False
            yield Finding(
                "folder", "problem", f"other users can access {path} (mode {stat.S_IMODE(info.st_mode):04o})", f"chmod go= {path}"
            )
        if info.st_uid != found.st_uid:
            private = False
            yield Finding(
                "folder", "problem", f"{path} belongs to user {info.st_uid}, not to the folder's owner", f"chown {found.st_uid} {path}"
            )
    if private:
        yield Finding("folder", "ok", f"{folder} is private")


def copy_findings(control: Path) -> Iterator[Finding]:
    """Copies of the databases that commands and updates have left beside them. Each takes as much space as its original."""
    for copy in sorted(path for path in control.parent.glob(f"{glob.escape(control.stem)}*.before-*") if path.is_file()):
        size = f"{copy.stat().st_size / (1 << 20):.1f} MiB"
        what = next((text for name, text in _COPIES.items() if f".before-{name}" in copy.name), "is from before an update")
        yield Finding("copies", "warning", f"{copy.name} ({size}) {what}", f"once the hub runs well: rm {copy}")


def writable_findings(*folders: Path) -> Iterator[Finding]:
    """Whether the disk accepts writes. After a disk error Linux makes a file system read-only, although its content may be intact."""
    for folder in dict.fromkeys(folders):
        if is_read_only(folder):
            remedy = (
                "the kernel's log says why (dmesg); check the disk, mount it writable again and start the hub;"
                " restore no backup over databases that are sound"
            )
            yield Finding("folder", "problem", f"the file system of {folder} is read-only", remedy)


def lasting_findings(folder: Path, databases: Path, *, allowed: bool) -> Iterator[Finding]:
    """Whether the data folder and the databases survive a reboot.

    If the databases have a folder of their own: also whether its file system has working locks. `folder_findings` checks the data folder for that.

    Args: allowed: whether a hub would start on a folder in memory.
    """
    for directory in dict.fromkeys((folder, databases)):
        if directory.is_dir() and is_volatile(directory):
            remedy = (
                "move it to a disk" if allowed else "move it to a disk, or set STARDUST_ALLOW_VOLATILE=yes; until then no hub starts on it"
            )
            yield Finding(
                "folder", "warning" if allowed else "problem", f"{directory} is in memory (tmpfs), so the next reboot deletes it", remedy
            )
    if databases != folder:
        try:
            check_local(databases, "the database's folder")
        except ConfigError as exc:
            yield Finding("folder", "problem", str(exc), "move the databases to a local disk")


def space_findings(*folders: Path) -> Iterator[Finding]:
    """Whether the databases have room to grow."""
    seen: set[int] = set()
    for folder in folders:
        try:
            device = folder.stat().st_dev
            total, _, free = shutil.disk_usage(folder)
            inodes = os.statvfs(folder)
        except OSError:
            continue  # another check reports a folder that cannot be used
        if device in seen:
            continue
        seen.add(device)
        text = f"{free / (1 << 30):.1f} GiB of {total / (1 << 30):.1f} are free under {folder}"
        remedy = "free some space: the hub accepts no data from nodes while its database cannot grow"
        if free < LEAST_FREE_BYTES or (inodes.f_files and not inodes.f_favail):
            full = inodes.f_files and not inodes.f_favail  # some file systems do not count inodes at all
            yield Finding("space", "problem", f"no inode is free under {folder}" if full else text, remedy)
        elif free < LOW_FREE_BYTES or free < total * LOW_FREE_SHARE:
            yield Finding("space", "warning", text, remedy)
        else:
            yield Finding("space", "ok", text)


def lock_finding(folder: Path, health: str | None) -> Finding:
    """Whether a hub runs here and answers.

    Args: health: the status that the hub reports; None: no answer.
    """
    holder = lock_holder(folder)
    pid = f"process {holder}" if holder is not None else f"process {written_pid(folder) or 'unknown'}"
    if health == "ok":
        return Finding("hub", "ok", f"a hub runs here ({pid}) and is well")
    if health is not None:
        return Finding("hub", "problem", f"a hub runs here ({pid}) and reports: {health}", "see the hub's log and the findings below")
    if holder is not None:
        return Finding(
            "hub", "problem", f"process {holder} holds the lock, but no hub answers at {folder / SOCKET_NAME}", f"see: ps {holder}"
        )
    return Finding("hub", "ok", "no hub runs on this folder")


def rights_findings(folder: Path, control: Path) -> Iterator[Finding]:
    """Folders and database files that this process may not access. If there are any, the doctor does not check the databases.

    A process that root started continues as the owner of the data folder, before this check.
    """
    user = user_name(os.geteuid())
    for directory in dict.fromkeys((folder, control.parent)):
        if not os.access(directory, os.R_OK | os.X_OK) or not (os.access(directory, os.W_OK) or is_read_only(directory)):
            yield Finding(
                "folder",
                "problem",
                f"the user {user} may not read and write in {directory}",
                f"chown {user} {directory}; chmod 700 {directory}",
            )
    samples = samples_beside(control)
    for path in (Path(f"{name}{ending}") for name in (control, samples) for ending in ("", "-wal", "-shm")):
        if not os.access(path, os.R_OK) and path.exists():
            yield Finding("database", "problem", f"the user {user} may not read {path}", f"chown {user} {path}; chmod 600 {path}")


async def database_findings(settings: DataDirSettings) -> list[Finding]:
    """Whether both database files can be read from end to end."""
    control = settings.control_db
    found = []
    if is_unfinished(control):
        text = "a restore was interrupted, so the databases may not belong together"
        found.append(Finding("database", "problem", text, "start the hub: it finishes the restore before anything else"))
    for path in (control, samples_beside(control)):
        if not path.exists():
            found.append(Finding("database", "problem", f"there is no {path}", "if a hub ran here before, restore a backup"))
            continue
        try:
            check_no_hard_links(path)
        except ConfigError as exc:
            found.append(Finding("database", "problem", str(exc), "the hub does not start before this is corrected"))
        if is_blank(path):
            found.append(Finding("database", "problem", f"{path} is empty: its content is lost", "restore a backup"))
            continue
        try:
            await asyncio.to_thread(check_readable, path)
        except ReadOnlyHere as exc:
            found.append(Finding("database", "problem", str(exc), REMOUNT))
            continue
        result = await quick_check(path)
        if result == "ok":
            try:
                damaged = await find_damaged_spans(path)
                sound = Finding("database", "ok", f"{path.name} is sound ({path.stat().st_size / (1 << 20):.1f} MiB)")
                found.append(await _pieces_finding(control, path, damaged) if damaged else sound)
            except ConfigError as exc:
                result = str(exc)
        if result != "ok":
            found.append(Finding("database", "problem", f"{path}: {result}", RESTORE))
    return found


async def _pieces_finding(control: Path, path: Path, damaged: Sequence[DamagedSpan]) -> Finding:
    names: dict[int, str] = {}
    with contextlib.suppress(ConfigError, HubError):  # another finding reports the error of the control database
        async with await Inspection.open(control) as inspection:
            names = await inspection.node_names({piece.node_no for piece in damaged})
    named = [
        f"{names.get(piece.node_no, f'node number {piece.node_no}')} from {_utc(piece.span_no * piece.tier.span_s)}"
        f" to {_utc((piece.span_no + 1) * piece.tier.span_s)} UTC, tier {piece.tier.name}"
        for piece in damaged[:MOST_NAMED]
    ]
    more = " …" if len(damaged) > MOST_NAMED else ""
    text = f"{path}: {len(damaged)} pieces of samples cannot be read: {'; '.join(named)}{more}"
    remedy = "the hub runs on, and charts show gaps there; to get the samples back, restore an earlier backup; check the disk"
    return Finding("database", "problem", text, remedy)


async def records_finding(control: Path) -> Finding:
    """Whether every record of both databases can be read."""
    broken: list[tuple[Path, DamagedRecord]] = []
    for path in (control, samples_beside(control)):
        if path.is_file():
            broken += [(path, one) for one in await find_damaged_records(path)]
    if not broken:
        return Finding("records", "ok", "every record of both databases can be read")
    names: dict[str, str] = {}
    with contextlib.suppress(ConfigError, HubError):  # another finding reports the error of the control database
        async with await Inspection.open(control) as inspection:
            numbers = {int(one.node) for _, one in broken if one.node.isdecimal()}
            names = {str(no): name for no, name in (await inspection.node_names(numbers)).items()} | await inspection.names_by_id()
    named = [
        f"{path.name}: {one.column} of {one.table} {one.row}" + (f" (node {names.get(one.node, one.node)})" if one.node else "")
        for path, one in broken[:MOST_NAMED]
    ]
    more = " …" if len(broken) > MOST_NAMED else ""
    text = f"{len(broken)} records cannot be read: {'; '.join(named)}{more}"
    remedy = "the hub runs on without them; nodes send their own data again when they connect; save damaged settings again; for the rest restore an earlier backup; check the disk"
    return Finding("records", "problem", text, remedy)


def _utc(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at))


async def schema_finding(inspection: Inspection) -> Finding:
    """Whether this program and the database have the same schema."""
    try:
        schema = await inspection.schema()
    except (ConfigError, HubError) as exc:
        return Finding("schema", "problem", str(exc), "name the right file with --db")
    try:
        with contextlib.suppress(sqlite3.Error):  # `database_findings` has reported an unreadable file
            await asyncio.to_thread(check_known, inspection.path)
    except ConfigError as exc:
        return Finding(
            "schema",
            "problem",
            str(exc),
            "a newer Stardust wrote it: install that version again, or restore the copy from before the update, or a backup",
        )
    if schema.found < schema.known:
        return Finding(
            "schema",
            "warning",
            f"schema {schema.found}; the next start brings it to {schema.known}",
            "no action is needed: the hub makes a copy first",
        )
    return Finding("schema", "ok", f"schema {schema.found}")


async def lost_rows_findings(inspection: Inspection, now: float) -> list[Finding]:
    """Whether a database has lost its newer rows. Empty: neither has. `now`: Unix seconds."""
    try:
        await inspection.check_start()
    except ConfigError as exc:
        return [Finding("database", "problem", str(exc), RESTORE)]
    lost = [Finding("database", "problem", f"{loss.file} lacks {loss.text}", LOST) for loss in await inspection.losses()]
    return lost or [Finding("database", "warning", text, WENT_ON) for text in await inspection.recorded_losses(now - LOSS_TOLD_S)]


async def keyring_finding(config: Config, inspection: Inspection) -> tuple[Finding, Vault | None]:
    """Whether the configured secret opens the vault and all sealed records. Returns the finding and the open vault, if any."""
    restore = "restore a backup of the database, with the secret of that time"
    try:
        vault = await open_existing_vault(config.secret.reveal(), inspection.secrets)
        records = await inspection.secrets.secrets()
    except ConfigError as exc:
        return Finding("keyring", "problem", str(exc), "give the hub and this command the secret that belongs to this folder"), None
    except HubError as exc:
        return Finding("keyring", "problem", exc.message, restore), None
    broken = []
    for record in records:
        try:
            vault.open(record)
        except VaultError as exc:
            broken.append(exc.message)
    if broken:
        text = f"{len(broken)} of {len(records)} sealed values do not open; first: {broken[0]}"
        return Finding("keyring", "problem", text, f"{restore}, or enter these credentials again"), vault
    return Finding("keyring", "ok", f"the secret opens the keyring (key {vault.key_id}) and all {len(records)} sealed values"), vault


async def audit_finding(inspection: Inspection, vault: Vault) -> Finding:
    """Whether the audit log was changed."""
    fault = await inspection.verify_audit((vault.audit_key, *vault.earlier_audit_keys))
    if fault is not None:
        remedy = (
            "something other than the hub changed the database: keep a copy, and compare its audit rows with a backup, and with the last"
            " rows of the chains that the hub wrote to its log (events audit_head)"
        )
        return Finding("audit", "problem", f"the audit log does not hold: {fault}", remedy)
    size = await inspection.audit_size()
    text = f"every chain of the audit log holds: {size.rows} rows, and {size.archived_rows} packed ({size.archived_bytes / 1e6:.1f} MB)"
    if size.archived_bytes <= AUDIT_WARN_BYTES:
        return Finding("audit", "ok", text)
    return Finding("audit", "warning", text, "see in `stardust audit list` who or what changes so much; the hub removes no row of the log")


async def clock_finding(inspection: Inspection, now: float) -> Finding:
    """Whether this machine's clock is behind the stored times."""
    last = await inspection.last_audit_at()
    ahead = 0.0 if last is None else last - now
    if ahead <= CLOCK_WARN_S:
        return Finding("clock", "ok", "the clock is not behind the audit log")
    text = f"the last audit row is {ahead:.0f} s in the future: this clock is behind, or it was ahead when the row was written"
    remedy = "set the clock by NTP (timedatectl set-ntp true), then restart the hub"
    if ahead <= BEHIND_S:
        return Finding("clock", "warning", text, remedy)
    return Finding(
        "clock",
        "problem",
        f"{text}; on a hub that starts now nobody can log in",
        f"{remedy}; if the clock is correct: stardust clock accept",
    )


async def password_finding(inspection: Inspection) -> Finding:
    """Whether a user still has the first password, or one that an admin set."""
    users = await inspection.first_password_users()
    if not users:
        return Finding("password", "ok", "every user has chosen a password")
    names = ", ".join(users[:MOST_NAMED]) + (" …" if len(users) > MOST_NAMED else "")
    text = f"these users have not changed the password that they were given: {names}"
    remedy = "log in and choose a password; the first admin's first password expires after 24 hours; after that: stardust user reset NAME"
    return Finding("password", "warning", text, remedy)


async def units_finding(inspection: Inspection, current: int = UNITS) -> Finding:
    """Whether nodes have the unit files of this release. An update of the agent does not change unit files."""
    older, silent = await inspection.nodes_by_units(current)
    lines = [
        f"the unit files of these nodes {what}: {', '.join(names[:MOST_NAMED])}{' …' if len(names) > MOST_NAMED else ''}"
        for what, names in (
            ("are of an older release", older),
            ("are unknown, since their Spider does not report them or no unit started it", silent),
        )
        if names
    ]
    if not lines:
        return Finding("units", "ok", "the unit files of every node are of this release")
    return Finding(
        "units",
        "warning",
        "; ".join(lines),
        "stardust redeploy installs those of this release; a Spider that was started by hand, as scripts/run does, needs none",
    )


async def agents_finding(inspection: Inspection, config: Config | None) -> Finding:
    """Whether nodes run another version of the agent than this hub ships."""
    try:
        shipped = bundle_version(read_bundle(None if config is None else config.agent_bundle))
    except (BundleError, OSError):
        return Finding("agents", "warning", "the version of Spider that this hub ships is unknown", "see the check of the bundle")
    outdated = await inspection.outdated_agents(shipped)
    if not outdated:
        return Finding("agents", "ok", f"every node that has connected runs Spider {shipped}, which this hub ships")
    return Finding(
        "agents", "warning", f"this hub ships Spider {shipped}, and other versions run on {named_agents(outdated)}", UPDATE_OUTDATED
    )


def sqlite_finding(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Finding:
    """Whether Python's SQLite is new enough. The WAL-reset bug (before 3.51.3) needs two writing connections, and the hub has one for each file."""
    text = f"SQLite {'.'.join(map(str, version))}"
    if version < (3, 37):
        return Finding("sqlite", "problem", f"{text} is too old", "use a Python with SQLite 3.37 or newer")
    return Finding("sqlite", "ok", text)


def address_findings(config: Config) -> Iterator[Finding]:
    """Judge the settings of the hub's address and its proxy. No connection is tried."""
    # this command does not see whether the running hub was started with --lan; but such a hub has stored its addresses
    stored = stored_addresses(config.data_dir) if config.server_url is None else ()
    if config.lan is not None or stored:
        addresses = fixed_addresses(config.data_dir, config.lan or stored)
        strange = [address for address in addresses if not is_own(address)]
        if strange:
            yield Finding("address", "warning", f"{', '.join(strange)} is no address of this machine now", HOW_TO_CHANGE)
        else:
            yield Finding("address", "ok", f"with --lan the hub terminates TLS itself, under the addresses {', '.join(addresses)}")
        return
    if config.server_url is None:
        text = "no --server-url is set: only nodes and browsers on this machine can connect"
        remedy = "to add other servers, start the hub with --lan; or set --server-url wss://your-host/ws and put a TLS proxy before it"
        yield Finding("address", "ok", text, remedy)
        return
    host = re.sub(r":\d+$", "", config.server_url.split("/")[2]).strip("[]")
    if config.server_url.startswith("wss://") and is_loopback_name(host):
        text = f"--server-url {config.server_url} is a loopback address: no other machine finds the hub there"
        yield Finding("address", "warning", text, "name the host that servers and browsers see")
    elif config.server_url.startswith("wss://") and not config.trusted_proxies:
        text = "no proxy is named in STARDUST_TRUSTED_PROXIES: everybody seems to come from one address, and shares its limit of log-ins"
        yield Finding(
            "address", "warning", text, "set STARDUST_TRUSTED_PROXIES to the address that the proxy connects from, for instance 127.0.0.1"
        )
    else:
        yield Finding("address", "ok", f"nodes are told to connect to {config.server_url}")


def bundle_finding(config: Config | None) -> Finding:
    """Whether the bundle of the agent, which deployments install, can be read."""
    try:
        bundle = read_bundle(None if config is None else config.agent_bundle)
    except (BundleError, OSError) as exc:
        return Finding("bundle", "problem", f"the Spider bundle cannot be read: {exc}", "install Stardust again, or correct --agent-bundle")
    return Finding("bundle", "ok", f"the Spider bundle is there ({len(bundle) / 1000:.0f} kB)")
