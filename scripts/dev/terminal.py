"""Texts of scripts/run for the person at the terminal."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from groundcontrol.config import Config
from groundcontrol.own_certificate import WHY_BROWSERS_ASK, grouped, read_certificate


def say(text: str, file: TextIO | None = None) -> None:
    """Print for the person at the terminal, to standard error by default.

    A lost terminal or a full disk raises no error.
    """
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr if file is None else file, flush=True)


def reason_of(exc: Exception) -> str:
    """The text of an error for people, without its errno."""
    if isinstance(exc, OSError) and exc.strerror:
        return f"{exc.strerror} ({exc.filename})" if exc.filename else exc.strerror
    return str(exc) or type(exc).__name__


def login_of(config: Config, admin: Mapping[str, Any], setup_code: str = "") -> str:
    """How to log in for the first time; `as before` once the first admin has logged in."""
    if admin["last_seen_at"] is not None or not (admin["must_change_password"] or config.admin_pass):
        return "as before"
    password = "admin" if config.admin_pass is None else "the password of STARDUST_ADMIN_PASS"
    code = f", setup code {setup_code or 'in .stardust/hub.log'}" if config.lan else ""
    return f"{admin['username']} / {password}{code}" + (
        " (you choose a new password at the first log-in)" if admin["must_change_password"] else ""
    )


def lan_lines(state: Path, config: Config) -> list[str]:
    """The fingerprint to compare in the browser, if the hub has its own certificate."""
    certificate = read_certificate(state) if config.lan else None
    if certificate is None:
        return []
    digits = grouped(certificate.fingerprint)
    half = (len(digits) + 1) // 2
    return [
        *(f"  also          {url.replace('wss://', 'https://').removesuffix('/ws')}" for url in config.node_urls[1:]),
        f"  certificate   SHA-256  {digits[:half].rstrip()}",
        f"                         {digits[half:]}",
        f"                {WHY_BROWSERS_ASK}",
    ]


def welcome(state: Path, config: Config, login: str) -> str:
    """The welcome text: address, log-in, data folder, how to stop."""
    port = config.port
    try:
        machine = os.environ.get("SSH_CONNECTION", "").split()[2]
    except IndexError:
        machine = socket.gethostname()
    host = "localhost" if config.local_host == "127.0.0.1" else config.local_host
    address = f"http://{host}:{port}" if config.server_url is None else config.origin
    here = str(port) if host == "localhost" else f"{host}:{port}"  # the address must be the same at both ends of the tunnel
    remotely = f"  remotely      ssh -L {here}:{host}:{port} {pwd.getpwuid(os.geteuid()).pw_name}@{machine}"
    lines = [
        "",
        f"  Stardust      {address}",
        *([remotely] if config.server_url is None else []),
        *lan_lines(state, config),
        f"  log in        {login}",
        f"  data          {state}",
        "  stop          Ctrl-C (or scripts/stop); scripts/reset starts from nothing",
        "",
    ]
    return "\n".join(lines)
