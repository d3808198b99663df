"""The hub on another machine that `stardust login` has remembered."""

from __future__ import annotations

import argparse
import json
import os
import re
import stat
from pathlib import Path

from groundcontrol.cli.client import CliError


def login_file(args: argparse.Namespace) -> Path:
    """The path of the file: one for each organisation that was named, since a token works in one, and one for none."""
    folder = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    organisation = getattr(args, "org_slug", None) or os.environ.get("STARDUST_ORGANISATION") or ""
    name = f"login-{organisation}.json" if re.fullmatch(r"[a-z0-9-]{1,64}", organisation) else "login.json"
    return Path(folder) / "stardust" / name


def use_saved_login(args: argparse.Namespace) -> None:
    """Set the hub's address and token, unless a flag or the environment names a hub.

    Raises: CliError: others can read the file, or it is damaged.
    """
    if args.url is not None or args.data_dir is not None or os.environ.get("STARDUST_DATA_DIR"):
        return
    path = login_file(args)
    if not path.exists():
        path = path.with_name("login.json")
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise CliError(f"{path} has a token and is open to other users: run chmod 600 {path}, and replace the token")
            document = json.load(file)
            args.url, args.token_read = str(document["url"]), str(document["token"])
            args.tls_ca, args.tls_pin = document["tls_ca"], document["tls_pin"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError) as exc:
        raise CliError(f"{path} is damaged: run `stardust login --url https://…` again") from exc
