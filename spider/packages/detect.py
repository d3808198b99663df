"""Which package manager owns this host: the one whose database of installed packages is in use, not the first binary in the path."""

import os
from typing import Optional

from spider.packages.apt import DPKG_STATUS, Apt
from spider.packages.base import PackageManager


def package_manager(root: str = "/") -> Optional[PackageManager]:
    """The manager of this host; None: none that Spider can drive."""
    status = os.path.join(root, DPKG_STATUS.lstrip("/"))
    try:
        in_use = os.stat(status).st_size > 0
    except OSError:
        in_use = False
    if in_use and os.path.exists(os.path.join(root, "usr/bin/apt-get")):
        return Apt()
    return None
