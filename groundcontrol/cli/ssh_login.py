"""Flags for the log-in at a server, for verbs that use SSH. They override the stored credentials."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from groundcontrol.cli.client import CliError

MAX_KEY_BYTES: Final = 16 << 10
MAX_LINE_CHARS: Final = 1024
_PLAIN: Final = ("host", "port", "username", "host_key")
_SECRETS: Final = {
    "passphrase": "passphrase of the key",
    "password": "SSH password",
    "sudo_password": "sudo password",
}
_JUMP_SECRETS: Final = {"passphrase": "passphrase of the jump host's key", "password": "SSH password of the jump host"}


def has_login(args: argparse.Namespace) -> bool:
    """Whether one of the flags was given. Reads no secret."""
    return any(getattr(args, name) for name in (*_PLAIN, *_SECRETS, "key", "hub_key"))


def add_login(parser: argparse._ActionsContainer) -> None:
    """Add the flags for a server's address and credentials. No flag has a secret as its value."""
    parser.add_argument("--host", metavar="HOST", help="the server's address; stored credentials are never sent to a new one")
    parser.add_argument("--port", type=int, metavar="PORT", help="the port of sshd")
    add_credentials(parser)
    parser.add_argument("--host-key", metavar="SHA256:…", help="the fingerprint of the server's host key, if the key has changed")


def add_credentials(parser: argparse._ActionsContainer) -> None:
    """Add the flags for the credentials alone, which may be those of many servers."""
    parser.add_argument("--username", metavar="USER", help="the user who logs in")
    parser.add_argument("--key", metavar="FILE", help="the private key")
    parser.add_argument("--hub-key", action="store_true", help="log in with the hub's own SSH key (stardust ssh-key)")
    _add_secrets(parser, "", _SECRETS)


def add_jump_credentials(parser: argparse._ActionsContainer) -> None:
    """Add the flags for the credentials of a jump host."""
    parser.add_argument("--jump-username", metavar="USER", help="the user who logs in at the jump host")
    parser.add_argument("--jump-key", metavar="FILE", help="the private key for the jump host")
    _add_secrets(parser, "jump-", _JUMP_SECRETS)


def _add_secrets(parser: argparse._ActionsContainer, prefix: str, secrets: Mapping[str, str]) -> None:
    for name, about in secrets.items():
        parser.add_argument(
            f"--{prefix}{name.replace('_', '-')}", action="store_true", help=f"ask for the {about}, or read it as a line of standard input"
        )


def login_body(args: argparse.Namespace) -> dict[str, Any]:
    """The part of a request body that those flags make; empty without them.

    Raises: CliError: a key or a secret cannot be read.
    """
    body: dict[str, Any] = {name: getattr(args, name) for name in _PLAIN if getattr(args, name, None) is not None}
    body |= {"use_hub_key": True} if args.hub_key else {}
    body |= {"private_key": _key(Path(args.key))} if args.key else {}
    return body | {name: _secret(about) for name, about in _SECRETS.items() if getattr(args, name)}


def jump_body(args: argparse.Namespace) -> dict[str, Any]:
    """The log-in of a jump host that those flags make, without its address; empty without them.

    Raises: CliError: a key or a secret cannot be read.
    """
    body: dict[str, Any] = {} if args.jump_username is None else {"username": args.jump_username}
    body |= {"private_key": _key(Path(args.jump_key))} if args.jump_key else {}
    return body | {name: _secret(about) for name, about in _JUMP_SECRETS.items() if getattr(args, f"jump_{name}")}


def _key(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_BYTES + 1)
    except OSError as exc:
        raise CliError(f"{path} cannot be read: {exc.strerror}") from exc
    if len(data) > MAX_KEY_BYTES:
        raise CliError(f"{path} is larger than {MAX_KEY_BYTES} bytes: that is no key")
    return data.decode("utf-8", "replace")


def _secret(about: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{about} (not shown): ")
    line = sys.stdin.readline(MAX_LINE_CHARS + 2)
    if not line:
        raise CliError(f"standard input has no line for the {about}")
    return line.rstrip("\r\n")
