"""The process that asks the package manager for `apart`: one answer on standard output, as JSON."""

import json
import sys
from typing import Any, Dict, Optional

from spider.packages.base import PackageManager, PackagesUnreadable
from spider.packages.detect import telling_manager


def answer(manager: Optional[PackageManager]) -> Optional[Dict[str, Any]]:
    """What `manager` says of updates and of held packages; None: there is none."""
    if manager is None:
        return None
    told: Dict[str, Any] = {"unreadable": "", "held_unreadable": "", "updates": (), "newer": (), "held": ()}
    try:
        told["updates"], told["newer"] = manager.available_updates(), manager.newer
    except PackagesUnreadable as error:
        told["unreadable"] = str(error) or "the package manager could not be asked"
        return told
    try:
        told["held"] = manager.held()
    except PackagesUnreadable as error:
        told["held_unreadable"] = str(error) or "the package manager could not be asked"
    return told


def main() -> None:
    """Ask and tell."""
    json.dump(answer(telling_manager()), sys.stdout)
