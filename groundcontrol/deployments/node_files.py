"""Builds the configuration files of an agent."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence

from groundcontrol.nodes.model import Node
from majortom.build.bundle import BundleError
from spider.wire.verbs import REKEY


def spider_conf(node: Node, url: str, fleet: str, tls_pin: str | None = None, proxy: str | None = None) -> str:
    """The text of `spider.conf` for this node."""
    via = f"proxy = {proxy}\n" if proxy else ""
    pin = f"tls_pin = {tls_pin}\n" if tls_pin else ""
    return f"[hub]\nurl = {url}\nfleet = {fleet}\n{pin}{via}\n[node]\nid = {node.id}\ngeneration = {node.generation}\nname = {node.name}\n"


def policy_conf(mode: str, verbs: Sequence[str] = ()) -> str:
    """The text of the initial `policy.conf`. After the installation, only the server's owner changes it.

    Args: verbs: the allowed actions; empty: all that the mode allows. `rekey` is left out, since the file has its own key for it.
    """
    verbs = [verb for verb in verbs if verb != REKEY]
    return (
        "# What Ground Control may do on this server. Root's file: the hub cannot change it.\n"
        "# mode = monitor: watch only. readonly: refresh, check and plan, too. managed: everything, or the verbs listed in\n"
        "# verbs = refresh, check, upgrade, full-upgrade\n"
        "# units = nginx.service, php*   units of systemd that it may start, stop, restart and reload\n"
        "# containers = shop, mail-*     containers of Docker or Podman that it may restart, and whose names it sees\n"
        "# journal = warning              or all: lines of the journal that people at the hub may see, one unit at a time\n"
        "# events = backup, deploy       users of this server who may report events, beside root (stardust-spider event)\n"
        f"[policy]\nversion = 2\nmode = {mode}\n" + (f"verbs = {', '.join(verbs)}\n" if verbs else "")
    )


def bundle_version(bundle: bytes) -> str:
    """The agent version of a bundle.

    Raises: BundleError: the bundle has no version.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            text = archive.read("spider/version.py").decode()
    except (KeyError, UnicodeError, zipfile.BadZipFile) as exc:
        raise BundleError(f"the Spider bundle cannot be read: {exc}") from exc
    found = re.search(r'^VERSION = "([0-9A-Za-z][0-9A-Za-z.+-]{0,63})"', text, re.MULTILINE)
    if found is None or ".." in found[1]:
        raise BundleError("the Spider bundle has no version")
    return found[1]
