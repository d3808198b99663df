"""Recovery codes: they replace the code of a lost authenticator. 80 random bits each, valid once."""

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
    """A new set of codes in the form that users see: `ABCD-EFGH-IJKL-MNOP`."""
    texts = (base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode() for _ in range(CODES))
    return ["-".join(text[at : at + 4] for at in range(0, len(text), 4)) for text in texts]


def code_hash(pepper: bytes, user: str, code: str) -> bytes | None:
    """The stored hash of a code; None: the text does not have the form of a code.

    The hash is keyed with the vault's pepper, which is not in the database: nobody can test codes with the database alone.
    So no slow hash is needed, and one look-up finds the code.
    """
    plain = re.sub(r"[\s-]", "", code[:64]).upper()
    if not _FORM.match(plain):
        return None
    return hmac.digest(pepper, b"recovery code\0" + user.encode() + b"\0" + plain.encode(), hashlib.sha256)
