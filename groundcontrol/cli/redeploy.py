"""`stardust redeploy`: installs Spider anew on the server of a node, which stays the node that it is."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from pathlib import Path
from typing import Final

from groundcontrol.cli.client import CliError, Hub, node_of, shown
from groundcontrol.cli.watch import Watch, end_of_deployment

MAX_KEY_BYTES: Final = 16 << 10
MAX_LINE_CHARS: Final = 1024
_SECRETS: Final = {
    "passphrase": "passphrase of the key",
    "password": "SSH password",
    "sudo_password": "sudo password",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node", metavar="NODE", help="name or id; without more the kept credentials are used")
    parser.add_argument("--host", metavar="HOST", help="where the server is now; nothing that is kept is sent to another one")
    parser.add_argument("--port", type=int, metavar="PORT", help="of sshd")
    parser.add_argument("--username", metavar="USER", help="who logs in")
    parser.add_argument("--key", metavar="FILE", help="the private key")
    for name, about in _SECRETS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", action="store_true", help=f"ask for the {about}, or read it as a line of standard input"
        )
    parser.add_argument("--host-key", metavar="SHA256:…", help="the fingerprint of the server's host key, where it is another one by now")
    parser.add_argument("--policy", choices=("monitor", "readonly", "managed"), help="another one than the server's owner has there")
    parser.add_argument("--install-python", action="store_true", help="where there is no python3 any more")
    parser.add_argument(
        "--forget-credentials", action="store_true", help="keep none: what is kept to log in there is shredded once it is connected again"
    )
    parser.add_argument("--no-wait", action="store_true", help="order it, print the id of the deployment, and do not wait for its end")


async def run(args: argparse.Namespace) -> int:
    """Exit status 0 when the node is connected again."""
    body = {name: getattr(args, name) for name in ("host", "port", "username", "host_key", "policy") if getattr(args, name) is not None}
    body |= {"install_python": True} if args.install_python else {}
    body |= {"keep_credentials": False} if args.forget_credentials else {}
    body |= {"private_key": _key(Path(args.key))} if args.key else {}
    body |= {name: _secret(about) for name, about in _SECRETS.items() if getattr(args, name)}
    async with Hub(args) as hub, Watch(hub, quiet=args.json) as watch:
        node = await node_of(hub, args.node)
        row = await hub.post(f"/nodes/{node['id']}/redeploy", body)
        if not args.no_wait:
            row = await end_of_deployment(watch, row, refuse_unknown_host=True)
    if args.json:
        print(json.dumps(row))
    elif args.no_wait:
        print(row["id"])
    else:
        why = f": {row['error']['message']}" if row["error"] else ""
        print(
            shown(
                f"{node['name']}: {'it is connected again' if row['state'] == 'succeeded' else 'the deployment has ' + row['state']}{why}"
            )
        )
    return 0 if args.no_wait or row["state"] == "succeeded" else 1


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
