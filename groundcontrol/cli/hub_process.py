"""The hub's process on this machine, for verbs that start, stop and remove it: a service of systemd, or a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from groundcontrol.cli.client import UNREACHABLE, CliError, Hub
from groundcontrol.cli.installed import SERVICE
from groundcontrol.cli.status import page_text

POLL_S: Final = 0.1
SYSTEMCTL_LIMIT_S: Final = 90.0
LOG_NAME: Final = "hub.log"


async def answers(args: argparse.Namespace) -> bool:
    """Whether a hub answers in the data folder, and takes requests."""
    try:
        async with Hub(args) as hub:
            status, _ = await hub.health()
    except CliError as exc:
        if exc.code != UNREACHABLE:
            raise
        return False
    return status == 200


async def page_of(args: argparse.Namespace) -> str:
    """The address of the hub's page, and how to reach it from another machine if it is only open to this one."""
    async with Hub(args) as hub:
        page = await hub.get("/local/page")
    return page_text(page["address"], page["port"], only_here=page["only_here"])


async def until(done: Callable[[], bool], limit_s: float) -> bool:
    """Wait until the condition holds; False: it did not within the limit."""
    ends_at = time.monotonic() + limit_s
    while not done():
        if time.monotonic() >= ends_at:
            return False
        await asyncio.sleep(POLL_S)
    return True


def systemctl(*words: str) -> None:
    """Run systemctl.

    Raises: CliError: it is missing, or failed.
    """
    program = shutil.which("systemctl")
    if program is None:
        raise CliError("there is no systemctl on this machine")
    try:
        done = subprocess.run(
            [program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SYSTEMCTL_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise CliError(f"systemctl {' '.join(words)} has not ended within {SYSTEMCTL_LIMIT_S:.0f} s") from exc
    if done.returncode != 0:
        raise CliError(
            f"systemctl {' '.join(words)}: {done.stderr.strip() or f'exit status {done.returncode}'}; see: journalctl -u {SERVICE}"
        )


def last_lines(path: Path, offset: int, count: int = 5) -> str:
    """The last lines that a log got after an offset."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return "\n".join(file.read(64 << 10).decode("utf-8", "replace").splitlines()[-count:])
    except OSError:
        return ""


def in_words(items: Sequence[object]) -> str:
    """Items as an indented list."""
    return "\n".join(f"  {item}" for item in items)
