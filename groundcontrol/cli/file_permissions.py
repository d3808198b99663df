"""A right that is missing, told by whose it is."""

from __future__ import annotations

import os
from pathlib import Path

from groundcontrol.data_dir import user_name


def reason(exc: OSError) -> str:
    """What the system says; of a missing right also who could give it, and who asked."""
    text = exc.strerror or str(exc) or type(exc).__name__
    if not isinstance(exc, PermissionError) or not isinstance(exc.filename, str | bytes):
        return text
    path = Path(os.fsdecode(exc.filename))
    for place in (path, *path.parents):  # what cannot even be looked at: the folder that forbids it
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        if owner != os.geteuid():
            text += f"; {place} belongs to the user {user_name(owner)}, and this is the user {user_name(os.geteuid())}"
        break
    return text


def described(exc: OSError) -> str:
    """The whole sentence about what nobody expected to fail."""
    if isinstance(exc.filename, str | bytes):
        return f"{os.fsdecode(exc.filename)}: {reason(exc)}"
    return reason(exc)
