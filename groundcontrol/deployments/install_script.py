"""Builds `install.sh`: one file for every shell, from the deployer's fixed scripts and the agent's modules for the proof."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from groundcontrol.deployments.model import Invite
from majortom.build.bundle import BundleError, read_joiner
from spider.wire.certificates import read_pins
from spider.wire.joining import Invite as InviteText
from spider.wire.joining import invite_secret, write_invite

_SCRIPTS = {
    "PROBE": "probe.sh",
    "LIFECYCLE": "lifecycle.sh",
    "MACOS_PROBE": "macos/probe.sh",
    "MACOS_LIFECYCLE": "macos/lifecycle.sh",
}
"""Marks of `install.sh` and the scripts that take their places."""


class Invitations:
    """The texts of invites, and the install script that uses them."""

    def __init__(self, *, urls: list[str], fleet_id: str, fleet_key: bytes, tls_pin: str | None, script: bytes) -> None:
        self._urls = urls
        self._fleet_id = fleet_id
        self._fleet_key = fleet_key
        self._tls_pin = read_pins(tls_pin) if tls_pin else None
        self.script = script
        """`install.sh`."""
        self.script_sha256 = hashlib.sha256(script).hexdigest()

    def text(self, invite: Invite, proxy: str = "") -> str:
        """The text of an invite, with its secret. Only its creator sees it, once.

        Args: proxy: `http://host:port`, through which the server connects.
        """
        secret = invite_secret(self._fleet_key, invite.id)
        return write_invite(InviteText(self._urls, self._fleet_id, self._tls_pin, invite.id, secret, int(invite.expires_at), proxy))


def install_script() -> bytes:
    """Build `install.sh`. The build is reproducible: the same sources give the same bytes.

    Raises: BundleError.
    """
    joiner = read_joiner()
    folder = resources.files("majortom") / "remote"
    script = (folder / "install.sh").read_text(encoding="utf-8")
    texts = {f"@{name}@\n": (folder / path).read_text(encoding="utf-8") for name, path in _SCRIPTS.items()}
    texts["@JOINER@\n"] = base64.encodebytes(joiner).decode()
    for mark, text in texts.items():
        if script.count(mark) != 1 or "\nSTARDUST_END\n" in text:
            raise BundleError("install.sh cannot be assembled")
        script = script.replace(mark, text)
    return script.encode()
