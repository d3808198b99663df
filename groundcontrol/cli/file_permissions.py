"""Explains a missing permission by the owner of the file."""

from __future__ import annotations

import os
from pathlib import Path

from groundcontrol.data_dir import user_name


def reason(exc: OSError) -> str:
    """The system's error text. For a missing permission it also names the owner of the path and the current user."""
    text = exc.strerror or str(exc) or type(exc).__name__
    if not isinstance(exc, PermissionError) or not isinstance(exc.filename, str | bytes):
        return text
    path = Path(os.fsdecode(exc.filename))
    for ancestor in (path, *path.parents):  # if a path cannot be examined, a folder above it denies access
        try:
            owner = ancestor.stat().st_uid
        except OSError:
            continue
        if owner != os.geteuid():
            text += f"; {ancestor} belongs to the user {user_name(owner)}, and this is the user {user_name(os.geteuid())}"
        break
    return text


def described(exc: OSError) -> str:
    """The path of an error, if known, and its `reason`."""
    if isinstance(exc.filename, str | bytes):
        return f"{os.fsdecode(exc.filename)}: {reason(exc)}"
    return reason(exc)
