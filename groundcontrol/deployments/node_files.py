"""Builds the configuration files of an agent."""

from __future__ import annotations

import io
import re
import zipfile

from groundcontrol.nodes.model import Node
from majortom.build.bundle import BundleError


def spider_conf(node: Node, url: str, fleet: str, tls_pin: str | None = None, proxy: str | None = None) -> str:
    """The text of `spider.conf` for this node."""
    via = f"proxy = {proxy}\n" if proxy else ""
    pin = f"tls_pin = {tls_pin}\n" if tls_pin else ""
    return f"[hub]\nurl = {url}\nfleet = {fleet}\n{pin}{via}\n[node]\nid = {node.id}\ngeneration = {node.generation}\nname = {node.name}\n"


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
