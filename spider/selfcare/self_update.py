"""Installs a new version of Spider, as root, and rolls it back if the new version gets no session with the hub.

Spider's user can change the bundle in its own folder. So the runner reads the bundle once, compares its digest with the order, and installs
this copy. Before it switches `current`, it writes a note and starts a timer. The timer runs `rollback` of the *old* version, also after a
reboot. `rollback` does nothing if the runner has completed the update. Otherwise it completes the update if the new version has had a
session, and rolls it back if not.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from typing import Any, Callable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from spider import logs
from spider.files import create_anew, lock_within, remove, sync_folder
from spider.packages.interfaces import Console, Outcome
from spider.root import systemctl_shim
from spider.root.trusted_files import clear, read_hostile
from spider.selfcare.bundle_receiver import BUNDLE, JOINED, MAX_BUNDLE_BYTES
from spider.wire.sentences import sentence

PROVE_LIMIT_S = 60.0
"""How long the new version may take to get its session."""
ROLLBACK_S = 120
"""Seconds until the timer runs `rollback`. They matter only if the process that carried out the update has died."""
CRASHES = 3
"""After so many crashes a new version is rolled back immediately."""
LOOK_EVERY_S = 0.25
LOCK_LIMIT_S = 30.0
COMMAND_LIMIT_S = 30.0
SPIDER_UNIT = "stardust-spider.service"
ROLLBACK = "stardust-rollback"
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,40}\Z")
_VERSION_LINE = re.compile(rb"(?m)^VERSION = [\"']([^\"'\n]{1,64})[\"']")

_log = logging.getLogger("spider.selfcare.self_update")


class UpdateFailed(Exception):
    """The update did not begin, or was rolled back; the text is for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class UpdatePaths(NamedTuple):
    """Paths of the installation, and the properties of the host that an update depends on."""

    opt: str = "/opt/stardust"
    state: str = "/var/lib/stardust/spider"
    note: str = "/var/lib/stardust/update"
    units: str = "/etc/systemd/system"
    lock: str = "/var/lib"
    """A deployment by SSH takes this lock as well."""
    python: str = sys.executable or "/usr/bin/python3"
    """The interpreter of the job's unit, which need not be the system's own."""
    timers: bool = True
    """Whether the host has timers (systemd). Without timers a service waits instead (OpenRC)."""
    prove_limit_s: float = PROVE_LIMIT_S


def systemctl(*words: str) -> str:
    """Run `systemctl` and return its output. A failure is logged; the output is then empty or incomplete."""
    try:
        done = subprocess.run(
            ["/usr/bin/systemctl", "--no-ask-password", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=COMMAND_LIMIT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as exc:
        logs.event(_log, "systemctl_failed", level=logging.ERROR, words=list(words), why=str(exc))
        return ""
    if done.returncode:
        logs.event(_log, "systemctl_failed", level=logging.ERROR, words=list(words), why=done.stderr[-300:])
    return done.stdout


Systemctl = Callable[..., str]


def here() -> Tuple[UpdatePaths, Systemctl]:
    """The paths of this host, and the function that starts and stops services."""
    return (
        (UpdatePaths(units="/etc/init.d", timers=False), systemctl_shim.run_systemctl)
        if systemctl_shim.is_here()
        else (UpdatePaths(), systemctl)
    )


def update(args: Mapping[str, Any], console: Console, paths: UpdatePaths, systemd: Systemctl = systemctl) -> Outcome:
    """Carry out the verb `update`."""
    try:
        with _alone(paths):
            return _update(str(args["plan"]), console, paths, systemd)
    except UpdateFailed as exc:
        console.print_line(str(exc))
        return Outcome("failed", None, 0, (), exc.code, str(exc))
    except OSError as exc:
        console.print_line(f"The new version could not be installed: {exc}")
        return Outcome("failed", None, 0, (), "job.update_failed", f"the new version could not be installed: {exc}")


def _update(digest: str, console: Console, paths: UpdatePaths, systemd: Systemctl) -> Outcome:
    console.progress("plan")
    if os.path.lexists(paths.note):
        _settle(paths, systemd)  # an earlier update was interrupted, and its timer has not fired yet
    bundle = _take(paths, digest)
    old = os.path.basename(os.readlink(os.path.join(paths.opt, "current")))
    with open(os.path.join(paths.opt, old, "spider.pyz"), "rb") as file:
        before = file.read(MAX_BUNDLE_BYTES)
    version, old_version = version_of(bundle), version_of(before)
    if before == bundle:
        console.print_line(f"This node runs this very version, {version}.")
        return Outcome("succeeded", 0, 0, ())
    new = _install(paths, bundle, version, digest)
    try:
        _try_out(paths, new, version)
        console.print_line(f"{version} is in {paths.opt}/{new}; it replaces {old_version}.")
        console.progress("commit")
        _arm(paths, old, new, systemd)
    except (UpdateFailed, OSError):
        shutil.rmtree(os.path.join(paths.opt, new), ignore_errors=True)
        raise
    _switch(paths, new, systemd)
    console.progress("check", text=sentence("phase.waits_for_session"))
    why = _proven(paths, new, systemd)
    if why:
        console.print_line(f"{version} {why}: {old_version} comes back.")
        _go_back(paths, old, new, systemd)
        raise UpdateFailed("job.update_taken_back", f"{version} {why}, so {old_version} was put back")
    console.print_line(f"{version} has a session with the hub.")
    try:
        _finish(paths, old, new, systemd)
    except OSError as exc:  # the new version stays: the timer, or the next update, does the rest
        console.print_line(f"Not everything was cleaned up: {exc}")
    console.progress("check", 100)
    return Outcome("succeeded", 0, 0, (("stardust-spider", old_version, version),))


@contextlib.contextmanager
def _alone(paths: UpdatePaths) -> Iterator[None]:
    """Hold the lock of this installation, so that no deployment changes it meanwhile."""
    fd = os.open(paths.lock, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not lock_within(fd, LOCK_LIMIT_S, LOOK_EVERY_S):
            raise UpdateFailed("job.update_busy", "a deployment works on this server: try again when it is over")
        yield
    finally:
        os.close(fd)


def _take(paths: UpdatePaths, digest: str) -> bytes:
    """Read the bundle that the hub sent. It is read once only: Spider's user, who is not trusted, may change the file at any time.

    A bundle with another digest is removed.

    Raises: UpdateFailed: the bundle is missing, or has another digest.
    """
    path = os.path.join(paths.state, BUNDLE)
    bundle = read_hostile(path, MAX_BUNDLE_BYTES + 1)
    if bundle is not None and hashlib.sha256(bundle).hexdigest() == digest:
        return bundle
    _clear(path)
    if bundle is None:
        raise UpdateFailed("job.bundle_missing", "the new version has not come to this node: try again")
    raise UpdateFailed("job.bundle_damaged", "the new version that came is not the one that was ordered: nothing was changed")


def _clear(path: str) -> None:
    """Remove a file of Spider's user, and its temporary file."""
    for name in (path, path + ".new"):
        try:
            clear(name)
        except OSError as exc:  # noqa: PERF203  # two names
            logs.event(_log, "not_cleared", level=logging.WARNING, path=name, why=str(exc))


def version_of(bundle: bytes) -> str:
    """The version in a bundle.

    Raises: UpdateFailed: this is no bundle of Spider.
    """
    import zipfile  # noqa: PLC0415 - each runner imports this module, and few update Spider

    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            match = _VERSION_LINE.search(archive.read("spider/version.py"))
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as exc:
        raise UpdateFailed("job.bundle_broken", "this is no bundle of Spider") from exc
    version = match.group(1).decode("ascii", "replace") if match else ""
    if not _VERSION.match(version):
        raise UpdateFailed("job.bundle_broken", "the bundle does not say its version")
    return version


def _install(paths: UpdatePaths, bundle: bytes, version: str, digest: str) -> str:
    """Write the bundle durably to a folder of its own. Returns the folder's name."""
    name = version if not os.path.lexists(os.path.join(paths.opt, version)) else f"{version}-{digest[:8]}"
    folder = os.path.join(paths.opt, name)
    if os.path.lexists(folder):
        shutil.rmtree(folder)  # an interrupted update left this folder; it is not in use
    try:
        os.mkdir(folder, 0o755)
        os.chmod(folder, 0o755)  # noqa: S103  # every user of the node may read the program, as after a deployment
        create_anew(os.path.join(folder, "spider.pyz"), bundle, 0o644)
        sync_folder(paths.opt)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return name


def _try_out(paths: UpdatePaths, new: str, version: str) -> None:
    """Check that this host's Python can start the new version. Raises: UpdateFailed."""
    argv = [paths.python, "-I", "-S", "-B", os.path.join(paths.opt, new, "spider.pyz"), "--version"]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_LIMIT_S, check=False)
        printed = done.stdout.strip() if done.returncode == 0 else ""
    except (OSError, subprocess.TimeoutExpired):
        printed = ""
    if printed != f"spider {version}":
        raise UpdateFailed("job.bundle_broken", f"{version} does not start on this server: nothing was changed")


def _arm(paths: UpdatePaths, old: str, new: str, systemd: Systemctl) -> None:
    """Start the timer. From here on the old version returns even if this process is killed.

    Raises: UpdateFailed, OSError: the timer could not be started. With OpenRC a failed start is only logged.
    """
    create_anew(paths.note, json.dumps({"old": old, "new": new}).encode() + b"\n", 0o600)
    command = f"{paths.python} -I -S -B {paths.opt}/{old}/spider.pyz rollback"
    if not paths.timers:
        create_anew(os.path.join(paths.units, ROLLBACK), systemctl_shim.timer_text(command, ROLLBACK_S).encode(), 0o755)
        systemd("daemon-reload")
        systemd("enable", "--now", f"{ROLLBACK}.timer")
        return
    service = f"[Unit]\nDescription=Stardust: the version before comes back\n\n[Service]\nType=oneshot\nExecStart={command}\n"
    timer = (
        "[Unit]\nDescription=Stardust: the version before comes back unless the new one proves itself\n\n"
        f"[Timer]\nOnActiveSec={ROLLBACK_S}\nAccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n"
    )
    for kind, text in (("service", service), ("timer", timer)):
        create_anew(os.path.join(paths.units, f"{ROLLBACK}.{kind}"), text.encode(), 0o644)
    systemd("daemon-reload")
    systemd("enable", "--now", f"{ROLLBACK}.timer")
    if systemd("is-active", f"{ROLLBACK}.timer").strip() != "active":
        _disarm(paths, systemd)
        raise UpdateFailed("job.update_failed", "the timer for a rollback does not start: nothing was changed")


def _disarm(paths: UpdatePaths, systemd: Systemctl) -> None:
    systemd("disable", "--now", f"{ROLLBACK}.timer")
    for kind in (".timer", ".service") if paths.timers else ("",):
        remove(os.path.join(paths.units, f"{ROLLBACK}{kind}"))
    systemd("daemon-reload")
    remove(paths.note)
    sync_folder(os.path.dirname(paths.note))


def _switch(paths: UpdatePaths, name: str, systemd: Systemctl) -> None:
    link = os.path.join(paths.opt, "current")
    _clear(os.path.join(paths.state, JOINED))
    remove(link + ".new")
    os.symlink(name, link + ".new")
    os.replace(link + ".new", link)
    sync_folder(paths.opt)
    systemd("reset-failed", SPIDER_UNIT)
    systemd("restart", SPIDER_UNIT)


def _joined(paths: UpdatePaths) -> str:
    """The folder of the version that last had a session, as Spider's user wrote it; empty = unknown."""
    text = read_hostile(os.path.join(paths.state, JOINED), 4096) or b""
    return os.path.basename(os.path.dirname(text.decode("utf-8", "replace").strip()))


def _proven(paths: UpdatePaths, new: str, systemd: Systemctl) -> str:
    """Wait until the new version has a session. Returns: why it has no session; empty: it has a session."""
    ends_at = time.monotonic() + paths.prove_limit_s
    while time.monotonic() < ends_at:
        if _joined(paths) == new:
            return ""
        crashes = systemd("show", SPIDER_UNIT, "-p", "NRestarts", "--value").strip()
        if crashes.isdecimal() and int(crashes) >= CRASHES:
            return "does not stay up"
        time.sleep(LOOK_EVERY_S)
    return f"had no session with the hub within {paths.prove_limit_s:.0f} s"


def _go_back(paths: UpdatePaths, old: str, new: str, systemd: Systemctl) -> None:
    _switch(paths, old, systemd)
    _disarm(paths, systemd)
    shutil.rmtree(os.path.join(paths.opt, new), ignore_errors=True)


def _finish(paths: UpdatePaths, old: str, new: str, systemd: Systemctl) -> None:
    """Stop the timer, and remove all versions except the new version and its predecessor."""
    _disarm(paths, systemd)
    for name in os.listdir(paths.opt):
        path = os.path.join(paths.opt, name)
        if name not in (old, new) and os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)


def _settle(paths: UpdatePaths, systemd: Systemctl) -> str:
    """Complete or roll back an update whose runner has died. Returns: nothing, stays or taken back (for the log).

    Raises: OSError.
    """
    try:
        with open(paths.note, encoding="utf-8") as file:
            note = json.load(file)
        old, new = str(note["old"]), str(note["new"])
    except FileNotFoundError:
        return "nothing"
    except (OSError, ValueError, KeyError, TypeError):
        _disarm(paths, systemd)  # the note is incomplete, so the update was interrupted before the switch
        return "nothing"
    if "/" in old + new or not os.path.isfile(os.path.join(paths.opt, old, "spider.pyz")):
        return "nothing"
    if _joined(paths) == new:
        _finish(paths, old, new, systemd)
        return "stays"
    _go_back(paths, old, new, systemd)
    return "taken back"


def main(argv: Optional[List[str]] = None, paths: Optional[UpdatePaths] = None, systemd: Optional[Systemctl] = None) -> int:
    """`spider.pyz rollback [SECONDS]` of the old version: wait, then complete or roll back the update. Returns the exit status.

    A timer starts it without SECONDS. On a host without timers, a service starts it with SECONDS.
    """
    logs.set_up(style="json")
    words = argv or []
    if words and (len(words) > 1 or not (words[0].isascii() and words[0].isdigit())):
        return 64
    time.sleep(int(words[0]) if words else 0)
    own_paths, own_systemd = here()
    where, ask = paths or own_paths, systemd or own_systemd
    try:
        with _alone(where):
            became = _settle(where, ask)
    except (UpdateFailed, OSError) as exc:
        logs.event(_log, "rollback_failed", level=logging.ERROR, why=str(exc))
        return 75
    logs.event(_log, "update_settled", became=became)
    return 0
