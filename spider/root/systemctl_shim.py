"""Replaces systemd's socket, units and timers on hosts where OpenRC starts services.

`spider.pyz listen` is a small supervised service of root (`stardust-launcher`). For each connection it starts a launcher of the current
version. The launcher gets the connection as descriptor 3, as from systemd. The service itself reads nothing from the connection.

A job's runner has a session of its own, and becomes a child of process 1 when its launcher ends. So a restart of Spider or of this service
ends no job. The service's file forbids OpenRC to clean its cgroup.
"""

import contextlib
import logging
import os
import pwd
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
from typing import List, Optional, Sequence, Set

from spider import logs
from spider.files import read_text

PROGRAM = "/opt/stardust/current/spider.pyz"
SOCKET = "/run/stardust/launcher.sock"
STATE = "/run/openrc"
USER = "stardust"
MAX_CONNECTIONS = 8
BACKLOG = 16
CONNECTION_LIMIT_S = 35
"""A launcher is ended after this time, as `RuntimeMaxSec` of its unit does under systemd."""
CONNECTION_FD = 3
COMMAND_LIMIT_S = 30.0
_PEER = struct.Struct("iII")
_JOB = re.compile(r"stardust-job@([0-9a-z]{26})\.service\Z")
_GOING_DOWN = ("shutdown", "reboot", "off")

_log = logging.getLogger("spider.root.systemctl_shim")


def is_here(root: str = "") -> bool:
    """Whether OpenRC, and not systemd, starts services on this host."""
    return os.path.isdir(root + STATE) and not os.path.isdir(root + "/run/systemd/system")


def is_going_down(root: str = "") -> bool:
    """Whether the host is shutting down, or changes its runlevel."""
    return os.path.exists(f"{root}{STATE}/rc.stopping") or _level(root) in _GOING_DOWN


def is_up(root: str = "") -> bool:
    """Whether all services of the boot have started."""
    return _level(root) not in ("", "boot", "sysinit", *_GOING_DOWN) and not os.path.exists(f"{root}{STATE}/rc.starting")


def _level(root: str) -> str:
    return read_text(f"{root}{STATE}/softlevel", 64)


# -- detached programs ---------------------------------------------------------------------------


def python() -> List[str]:
    """The command line that starts the installed bundle with this server's interpreter. The caller appends the subcommand, such as `run`."""
    return [sys.executable or "/usr/bin/python3", "-I", "-S", "-B", PROGRAM]


def detach(argv: Sequence[str]) -> None:
    """Start a program in a session of its own. The caller ends soon and does not wait for the program.

    Raises: OSError: the program cannot be started.
    """
    mask = os.umask(0o022)
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # the limit on the launcher's log does not apply to jobs
    try:
        env = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "STARDUST_BOOT": os.environ.get("STARDUST_BOOT", "")}
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, cwd="/", env=env)
    finally:
        os.umask(mask)
    child.returncode = 0  # Popen would warn that nobody has waited for the child


def start_job(name: str) -> bool:
    """Start the runner of a job's unit. False: this is no name of such a unit, or the runner could not be started."""
    match = _JOB.match(name)
    if match is None:
        return False
    try:
        detach([*python(), "run", match.group(1)])
    except OSError as exc:
        logs.event(_log, "job_not_started", level=logging.ERROR, unit=name, why=str(exc))
        return False
    return True


# -- the socket ----------------------------------------------------------------------------------


def _bind(path: str, owner: int) -> socket.socket:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.chmod(os.path.dirname(path), 0o755)  # noqa: S103  # every user may see that there is a socket
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    server = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        server.bind(path)
    finally:
        os.umask(mask)
    os.chown(path, owner, -1)
    server.listen(BACKLOG)
    return server


def peer_of(client: socket.socket) -> int:
    """The uid of the client's process, from the kernel."""
    return int(_PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[1])


def _hand_over(client: socket.socket, argv: Sequence[str]) -> None:
    """Replace this process by the launcher of a connection. Does not return."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.alarm(CONNECTION_LIMIT_S)
        os.dup2(client.fileno(), CONNECTION_FD, inheritable=True)
        os.execve(argv[0], list(argv), {**os.environ, "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})  # noqa: S606  # no shell is the point
    finally:
        os._exit(127)


def _reap(children: Set[int], flags: int) -> None:
    """Reap ended children. Args: flags: 0 = wait until a child ends; WNOHANG = do not wait."""
    with contextlib.suppress(ChildProcessError):
        while children:
            pid, _ = os.waitpid(-1, flags)
            if not pid:
                return
            children.discard(pid)
            flags = os.WNOHANG


def listen(path: str, owner: int, argv: Sequence[str]) -> None:
    """Start a launcher for each connection of Spider's user or root, for ever. At most MAX_CONNECTIONS launchers run at the same time.

    Args:   owner: uid of Spider's user. argv: the launcher's command line.
    Raises: OSError: the socket cannot be created, or the system starts no more processes. OpenRC then starts this service again.
    """
    server = _bind(path, owner)
    children: Set[int] = set()
    logs.event(_log, "launcher_listens", path=path)
    while True:
        _reap(children, 0 if len(children) >= MAX_CONNECTIONS else os.WNOHANG)
        client, _ = server.accept()
        with client:
            if peer_of(client) not in (0, owner):
                continue
            pid = os.fork()
            if pid == 0:
                _hand_over(client, argv)
            children.add(pid)


def main(argv: Optional[List[str]] = None) -> int:
    """`spider.pyz listen`, the program of OpenRC's service `stardust-launcher`."""
    logs.set_up(style="json")
    if argv or os.geteuid() != 0:
        sys.stderr.write("listen is started by the service stardust-launcher, not by hand\n")
        return 64
    listen(SOCKET, pwd.getpwnam(USER).pw_uid, [*python(), "launch"])
    return 0


# -- systemctl commands of an update, translated to OpenRC ---------------------------------------


def timer_text(command: str, seconds: int) -> str:
    """The init script of a service that replaces a timer. The command itself waits before it acts; after a boot it waits again.

    Args: seconds: how long the command waits. The script passes this number as its last argument.
    """
    program, _, words = command.partition(" ")
    return (
        '#!/sbin/openrc-run\ndescription="Stardust: the version before comes back unless the new one proves itself"\n'
        f'command={program}\ncommand_args="{words} {seconds}"\ncommand_background=yes\npidfile=/run/stardust-rollback.pid\n'
    )


def _run(*argv: str) -> str:
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=COMMAND_LIMIT_S, check=False,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as exc:
        logs.event(_log, "openrc_failed", level=logging.ERROR, words=list(argv), why=str(exc))
        return ""
    if done.returncode:
        logs.event(_log, "openrc_failed", level=logging.ERROR, words=list(argv), why=done.stdout[-300:])
    return done.stdout


def _is_this(service: str) -> bool:
    """Whether the service started this process."""
    return read_text(f"/run/{service}.pid", 20) == str(os.getpid())


def run_systemctl(*words: str) -> str:
    """Do what `systemctl` does for this command line, as far as an update of Spider needs it. Failures are only logged.

    Returns: for `show`, how often the service was restarted; otherwise an empty text.
    """
    verb, units = words[0], [word.partition(".")[0] for word in words if word.startswith("stardust-")]
    for service in units:
        if verb == "restart":
            _run("rc-service", service, "restart")
        elif verb == "enable":
            _run("rc-update", "add", service, "default")
            _run("rc-service", service, "restart")
        elif verb == "disable" and os.path.exists(f"/etc/init.d/{service}"):
            _run("rc-service", service, "zap" if _is_this(service) else "stop")
            _run("rc-update", "del", service, "default")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"/run/{service}.pid")
        elif verb == "show":
            return _starts(service)
    if verb == "daemon-reload":
        _run("rc-update", "-u")
    return ""


def _starts(service: str) -> str:
    """How often the supervisor has restarted the service, as text; empty = unknown."""
    return read_text(f"{STATE}/options/{service}/start_count", 20)
