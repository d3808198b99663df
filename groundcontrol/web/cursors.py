"""Seals the cursors of lists. They hold numbers of rows, which count what all organisations have stored."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from groundcontrol.core.errors import BadRequest

_INFO: Final = b"stardust/cursor/v1"


class Cursors:
    """Cursors as clients get them. They stay valid over a restart of the hub, until its secret is rotated."""

    def __init__(self, key: bytes) -> None:
        """Args: key: a secret of this hub; the key of cursors derives from it."""
        self._cipher = AESSIV(HKDF(hashes.SHA256(), 64, None, _INFO).derive(key))

    def seal(self, cursor: str | None) -> str | None:
        """A cursor of a store for a client."""
        if cursor is None:
            return None
        return base64.urlsafe_b64encode(self._cipher.encrypt(cursor.encode(), None)).rstrip(b"=").decode()

    def seal_next(self, answer: Any) -> Any:
        """The answer, with `next` sealed if it is a page of a list."""
        cursor = getattr(answer, "next", None)
        return msgspec.structs.replace(answer, next=self.seal(cursor)) if isinstance(cursor, str) else answer

    def open(self, text: str) -> str:
        """The cursor of a store.

        Raises: BadRequest: it is no cursor of this hub.
        """
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return self._cipher.decrypt(sealed, None).decode()
        except (binascii.Error, ValueError, InvalidTag):
            raise BadRequest("the parameter cursor is not a cursor of this hub", field="cursor") from None
