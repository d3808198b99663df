"""Spider's own copy of pacman's package lists: refreshes write to it, and an upgrade moves it into the system."""

import os
import shutil
import time

from spider.files import changed_at, listed, read_text
from spider.packages.backend import PackageError
from spider.packages.locks import open_file_holder
from spider.sampling.collectors.identity import parse_uptime

OWN_DATABASES = "/var/lib/stardust/pacman"
"""The folder of the copy. `sync` has Spider's lists, and `local` is a link to the system's database. Every user may read both."""


def newest(folder: str) -> float:
    """When the newest list in a folder was written, Unix seconds; 0 = there is none. (A list's modification time is the server's.)"""
    return max((changed_at(f"{folder}/{name}") for name in listed(folder) if name.endswith(".db")), default=0.0)


def is_of_an_earlier_boot(path: str) -> bool:
    """Whether a lock file was created before this boot, so that its creator has certainly ended."""
    try:
        return os.stat(path).st_mtime < time.time() - parse_uptime(read_text("/proc/uptime"))
    except (OSError, ValueError):
        return False


def make_copy(own: str, system: str) -> None:
    """Create the folders of the copy, and remove the lock of a killed refresh. pacman downloads as another user, who needs access.

    Raises: OSError.
    """
    for folder in (own, own + "/sync"):
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)  # noqa: S103  # as the system's own
    link = own + "/local"
    if not os.path.islink(link) or os.readlink(link) != system + "/local":
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(system + "/local", link)
    lock = own + "/db.lck"
    if os.path.exists(lock) and open_file_holder(lock) is None:
        os.unlink(lock)  # a killed refresh left this lock of the copy


def move_into_system(own: str, system: str) -> None:
    """Replace the system's lists by the lists of the copy, each atomically. Their modification times stay.

    Raises: PackageError: pacman runs. OSError.
    """
    lock = open_file_holder(system + "/db.lck")
    if lock is not None:
        raise PackageError("job.lock_busy", f"gave up {lock}")
    for name in sorted(os.listdir(own + "/sync")):
        if not name.endswith((".db", ".db.sig")):
            continue
        temporary = f"{system}/sync/.{name}.stardust"
        shutil.copy2(f"{own}/sync/{name}", temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, f"{system}/sync/{name}")
