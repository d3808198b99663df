"""The files that tell a Spider where it belongs."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence

from groundcontrol.nodes.model import Node
from majortom.build.bundle import BundleError
from spider.wire.verbs import REKEY


def spider_conf(node: Node, url: str, fleet: str, tls_pin: str | None = None, proxy: str | None = None) -> str:
    """Write `spider.conf` of this node."""
    way = f"proxy = {proxy}\n" if proxy else ""
    pin = f"tls_pin = {tls_pin}\n" if tls_pin else ""
    return f"[hub]\nurl = {url}\nfleet = {fleet}\n{pin}{way}\n[node]\nid = {node.id}\ngeneration = {node.generation}\nname = {node.name}\n"


def policy_conf(mode: str, verbs: Sequence[str] = ()) -> str:
    """Write the first `policy.conf`; from then on it is its owner's.

    Args: verbs: what alone is allowed, where not everything is that the mode allows. `rekey` is left out: in the file it is none of them.
    """
    verbs = [verb for verb in verbs if verb != REKEY]
    return (
        "# What Ground Control may do on this server. Root's file: the hub cannot change it.\n"
        "# mode = monitor: watch only. readonly: refresh and check, too. managed: everything, or the verbs listed in\n"
        "# verbs = refresh, check, upgrade, full-upgrade\n"
        f"[policy]\nversion = 1\nmode = {mode}\n" + (f"verbs = {', '.join(verbs)}\n" if verbs else "")
    )


def bundle_version(bundle: bytes) -> str:
    """Read which version of Spider a bundle holds.

    Raises: BundleError: it does not say.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            text = archive.read("spider/version.py").decode()
    except (KeyError, UnicodeError, zipfile.BadZipFile) as exc:
        raise BundleError(f"the Spider bundle cannot be read: {exc}") from exc
    found = re.search(r'^VERSION = "([0-9A-Za-z][0-9A-Za-z.+-]{0,63})"', text, re.MULTILINE)
    if found is None or ".." in found[1]:
        raise BundleError("the Spider bundle does not say its version")
    return found[1]
