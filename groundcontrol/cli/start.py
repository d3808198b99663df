"""`stardust start`: starts the hub in the background: its installed service, or a process with this data folder."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from groundcontrol.cli.client import CliError, shown
from groundcontrol.cli.data_dir import RUN_SCRIPT_FILE, location_and_environ, only_here
from groundcontrol.cli.hub_process import LOG_NAME, answers, last_lines, page_of, systemctl
from groundcontrol.cli.installed import SERVICE
from groundcontrol.cli.options import EXIT_STATUS
from groundcontrol.cli.secret import new_secret

LIMIT_S: Final = 120.0
LOOK_S: Final = 0.2
_MODULE: Final = "groundcontrol"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", metavar="PORT", help="TCP port to listen on")
    parser.add_argument("--lan", nargs="*", metavar="ADDRESS", help="listen on the network, with the hub's own certificate")
    parser.epilog = f"Other settings come from STARDUST_… and stardust.toml, or from the unit of an installed service. {EXIT_STATUS}"


async def run(args: argparse.Namespace) -> int:
    """Exit status 0 once the hub takes requests, also if it ran before."""
    only_here(args, "the hub is started")
    location, environ = location_and_environ(args)
    was_there = await answers(args)
    if not was_there:
        if location.service is not None:
            if _flags(args):
                raise CliError(f"the hub is the service {SERVICE}: write flags into its unit (systemctl edit {SERVICE})")
            systemctl("start", SERVICE)
            await _until_it_answers(args, None, None, 0)
        else:
            await _until_it_answers(args, *_background(args, location.folder.absolute(), environ))
    page = await page_of(args)
    if args.json:
        print(json.dumps({"started": not was_there, "page": page.splitlines()[0].partition(": ")[2]}))
    else:
        print(f"the hub {'runs already' if was_there else 'has started'}\n{page}")
    return 0


def _flags(args: argparse.Namespace) -> list[str]:
    port = [] if args.port is None else ["--port", args.port]
    return port if args.lan is None else [*port, "--lan", *args.lan]


def _background(args: argparse.Namespace, folder: Path, environ: dict[str, str]) -> tuple[subprocess.Popen[bytes], Path, int]:
    """Start the hub. Returns: its process, its log, and where its own lines begin in the log."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log, secret = folder / LOG_NAME, folder / RUN_SCRIPT_FILE
    if not any(environ.get(name) for name in ("STARDUST_SECRET", "STARDUST_SECRET_FILE", "CREDENTIALS_DIRECTORY")):
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as file:
            file.write(new_secret() + "\n")
        environ["STARDUST_SECRET_FILE"] = str(secret)
    argv = [sys.executable, "-m", _MODULE, "serve", "--data-dir", str(folder), *_flags(args)]
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        offset = output.tell()
        hub = subprocess.Popen(argv, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    return hub, log, offset


async def _until_it_answers(args: argparse.Namespace, hub: subprocess.Popen[bytes] | None, log: Path | None, offset: int) -> None:
    """Raises: CliError: the hub has ended, or does not answer within the limit."""
    for _ in range(int(LIMIT_S / LOOK_S)):
        if await answers(args):
            return
        if hub is not None and log is not None and hub.poll() is not None:
            raise CliError(f"the hub has ended (exit status {hub.returncode}); the end of {log}:\n{shown_lines(last_lines(log, offset))}")
        await asyncio.sleep(LOOK_S)
    where = f"see {log}" if log is not None else f"see: journalctl -u {SERVICE}"
    raise CliError(f"the hub does not take requests yet after {LIMIT_S:.0f} s; {where}")


def shown_lines(text: str) -> str:
    """Lines that are safe for a terminal."""
    return "\n".join(shown(line) for line in text.splitlines())
