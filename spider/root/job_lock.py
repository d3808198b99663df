"""The lock that lets one job of a node run at a time."""

import os

from spider.files import lock_within
from spider.jobs.files import LOCK

LOCK_WAIT_S = 60.0
"""How long to wait for the lock. The launcher holds it until systemd has reported the start of this unit."""


class JobNotStarted(Exception):
    """The job was not started, and nothing was changed."""


def take_lock(jobs: str, wait_s: float = LOCK_WAIT_S, name: str = LOCK) -> int:
    """Take a lock of this node's jobs. It is held until the returned descriptor is closed or this process ends.

    Raises: JobNotStarted: another process holds the lock.
    """
    fd = os.open(os.path.join(jobs, name), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if lock_within(fd, wait_s):
        return fd
    os.close(fd)
    raise JobNotStarted("another job holds the lock")
