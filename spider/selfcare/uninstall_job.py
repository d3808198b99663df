"""The verb `uninstall`: Spider is taken off this server because its hub ordered it.

The job only starts `stardust-uninstall.service`, which systemd keeps in memory and forgets when it has ended: what takes the jobs' unit,
Spider and this very file away must be part of none of them. (Where OpenRC starts services it is a process of a session of its own.) From there on `spider/selfcare/uninstall.py` works as when root calls it.
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
"""By which root takes Spider off by hand."""

_NEWEST_WORD = b" keys "

_log = logging.getLogger("spider.selfcare.uninstall_job")


def is_command_new(path: str = COMMAND) -> bool:
    """Whether root's command knows all the words that this version has."""
    try:
        with open(path, "rb") as file:
            return _NEWEST_WORD in file.read(4096)
    except OSError:
        return False


def argv_of(job: str, boot: str) -> List[str]:
    """How systemd is asked for the unit, with the interpreter that this server's units name. Nothing in it is secret."""
    words = [*systemctl_shim.python(), "uninstall", "--ordered", job]
    if systemctl_shim.is_here():
        return words  # it is started apart from everything that it takes away
    return [
        "systemd-run", f"--unit={UNIT}", "--collect", "--no-block", "--quiet",
        "--description=Stardust is taken off this server", f"--setenv=STARDUST_BOOT={boot}",
        *words,
    ]  # fmt: skip


def _run(argv: Sequence[str]) -> str:
    """Returns why systemd did not take it; empty: it did."""
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


def hand_over(job: str, boot: str, console: Console, run: Callable[[Sequence[str]], str] = _run) -> Outcome:
    """Carry out the verb `uninstall`: when this returns, the work has been begun by a unit of its own and waits for this job's end.

    Args: boot: which boot this is, as the unit of the job was told it.
    """
    console.progress("plan")
    if console.stop_wanted():
        return Outcome("cancelled", None, 0, (), "job.stopped", "it was stopped before anything was taken off")
    console.progress("commit")
    why = run(argv_of(job, boot))
    if why:
        console.say(f"Nothing was taken off: {why}")
        logs.event(_log, "uninstall_not_begun", level=logging.ERROR, why=why)
        return Outcome("failed", None, 0, (), "job.uninstall_failed", f"nothing was taken off: {why}")
    console.say("Stardust is taken off this server as soon as this job has ended.")
    return Outcome("succeeded", 0, 0, ())
