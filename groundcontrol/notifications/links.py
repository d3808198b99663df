"""Links that acknowledge or snooze one alert without a log-in.

The token is in the fragment of the link. So no server, proxy or mail scanner gets it, and opening the link changes nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from typing import Final, NamedTuple

from groundcontrol.alerts.model import AlertId
from groundcontrol.core.errors import Forbidden
from groundcontrol.notifications.model import ChannelId
from spider.wire.ids import from_text, to_text

LINK_S: Final = 7 * 86_400.0
MOST_SNOOZE_S: Final = 86_400.0
_FORM: Final = struct.Struct(">BIQ16s16s")
_VERSION: Final = 1
_MAC_BYTES: Final = 16


class LinkExpired(Forbidden):
    """The link of an alert message is older than a week, or another hub made it. Use the link in a newer message."""

    code = "link.expired"


class Link(NamedTuple):
    """The content of a token: it allows a receiver of a channel to acknowledge or snooze an alert."""

    org: int
    alert: AlertId
    channel: ChannelId
    expires_at: float


class Links:
    """Makes and checks tokens under a key of the vault."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "Links(***)"

    def token(self, link: Link) -> str:
        packed = _FORM.pack(_VERSION, link.org, int(link.expires_at), from_text(link.alert), from_text(link.channel))
        return base64.urlsafe_b64encode(packed + self._mac(packed)).rstrip(b"=").decode()

    def read(self, token: str, now: float) -> Link:
        """The content of a token. Raises: LinkExpired: it is not a token of this hub, or has expired."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        packed, mac = raw[: _FORM.size], raw[_FORM.size :]
        if len(packed) != _FORM.size or not hmac.compare_digest(mac, self._mac(packed)):
            raise LinkExpired("this link is not one of this hub: use that of a newer message, or log in")
        _, org, expires_at, alert, channel = _FORM.unpack(packed)
        if now >= expires_at:
            raise LinkExpired("this link is older than a week: use that of a newer message, or log in")
        return Link(org, AlertId(to_text(alert)), ChannelId(to_text(channel)), float(expires_at))

    def _mac(self, packed: bytes) -> bytes:
        return hmac.digest(self._key, packed, hashlib.sha256)[:_MAC_BYTES]
