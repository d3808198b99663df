"""Recovery codes: what opens an account whose authenticator is lost. 80 random bits each, good once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final

CODES: Final = 10
CODE_BYTES: Final = 10
_FORM: Final = re.compile(r"[A-Z2-7]{16}\Z")


def new_codes() -> list[str]:
    """A set, for people: `ABCD-EFGH-IJKL-MNOP`."""
    texts = (base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode() for _ in range(CODES))
    return ["-".join(text[at : at + 4] for at in range(0, len(text), 4)) for text in texts]


def code_hash(pepper: bytes, user: str, code: str) -> bytes | None:
    """What the store keeps of a code; None: it has not the form of one.

    Keyed with the vault's pepper, which is not in the database: whoever has only that can try no code at all,
    so that no slow hash is needed and one look-up finds the code.
    """
    plain = re.sub(r"[\s-]", "", code[:64]).upper()
    if not _FORM.match(plain):
        return None
    return hmac.digest(pepper, b"recovery code\0" + user.encode() + b"\0" + plain.encode(), hashlib.sha256)
