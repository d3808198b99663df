"""The verb `uninstall`, with which the hub removes Spider from this server.

The job only starts `stardust-uninstall.service`, a transient unit that runs `spider/selfcare/uninstall.py`. That program removes Spider and
the unit of the jobs, so it runs in a unit of its own. (With OpenRC it is a process in a session of its own.)
"""

import logging
import subprocess
from typing import Callable, List, Sequence

from spider import logs
from spider.packages.interfaces import Console, Outcome
from spider.root import systemctl_shim

UNIT = "stardust-uninstall.service"
START_LIMIT_S = 30.0
COMMAND = "/opt/stardust/stardust-spider"
"""Root's command `stardust-spider`."""

_NEWEST_TEXT = b"[a-z]* | --version)"
"""Text of the command's script that only the newest version has: it hands each word to the present version."""

_log = logging.getLogger("spider.selfcare.uninstall_job")


def is_command_new(path: str = COMMAND) -> bool:
    """Whether root's command supports all subcommands of this version."""
    try:
        with open(path, "rb") as file:
            return _NEWEST_TEXT in file.read(4096)
    except OSError:
        return False


def argv_of(job: str, boot: str) -> List[str]:
    """The command line that starts the uninstall program, with this server's interpreter. It contains no secret.

    Args: job: id of this job. boot: id of this boot.
    """
    words = [*systemctl_shim.python(), "uninstall", "--ordered", job]
    if systemctl_shim.is_here():
        return words
    return [
        "systemd-run", f"--unit={UNIT}", "--collect", "--no-block", "--quiet",
        "--description=Removes Stardust from this server", f"--setenv=STARDUST_BOOT={boot}",
        *words,
    ]  # fmt: skip


def _run(argv: Sequence[str]) -> str:
    """Start the program. Returns: why it could not be started; empty: it runs."""
    try:
        if argv[0] != "systemd-run":
            systemctl_shim.detach(argv)
            return ""
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_LIMIT_S, check=False,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as exc:
        return str(exc)
    return (done.stderr.strip()[-300:] or f"exit status {done.returncode}") if done.returncode else ""


def start_uninstall(job: str, boot: str, console: Console, run: Callable[[Sequence[str]], str] = _run) -> Outcome:
    """Carry out the verb `uninstall`: start the program that removes Spider once this job has ended.

    Args: boot: id of this boot, as passed to the unit of the job. run: starts a command line (for tests).
    """
    console.progress("plan")
    if console.stop_wanted():
        return Outcome("cancelled", None, 0, (), "job.stopped", "it was stopped before anything was removed")
    console.progress("commit")
    why = run(argv_of(job, boot))
    if why:
        console.print_line(f"Nothing was removed: {why}")
        logs.event(_log, "uninstall_not_begun", level=logging.ERROR, why=why)
        return Outcome("failed", None, 0, (), "job.uninstall_failed", f"nothing was removed: {why}")
    console.print_line("Stardust is removed from this server as soon as this job has ended.")
    return Outcome("succeeded", 0, 0, ())
