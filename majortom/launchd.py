"""The property list by which launchd runs Spider on macOS."""

from __future__ import annotations

import plistlib
from typing import Final

LABEL: Final = "stardust.spider"
PLIST: Final = f"{LABEL}.plist"
ACCOUNT: Final = "_stardust"
BUNDLE: Final = "/opt/stardust/spider.pyz"
LOG: Final = "/var/log/stardust-spider.log"


def render_plist(python: str) -> bytes:
    """The daemon's property list. Args: python: path of the interpreter. Source: launchd.plist(5)."""
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": [python, "-I", "-B", BUNDLE],
            "UserName": ACCOUNT,
            "GroupName": ACCOUNT,
            "RunAtLoad": True,
            "KeepAlive": True,
            "ThrottleInterval": 10,
            "ExitTimeOut": 10,
            "ProcessType": "Background",
            "LowPriorityIO": True,
            "Nice": 1,
            "Umask": 0o077,
            "WorkingDirectory": "/",
            "StandardOutPath": LOG,
            "StandardErrorPath": LOG,
        }
    )
