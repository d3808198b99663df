"""Receives a new version of Spider: the hub sends it in parts, and it waits in Spider's own folder for root's update job.

Only its size is checked here. Root copies it and compares the digest of the copy with the one in the order.
"""

import contextlib
import hashlib
import logging
import os
from typing import Any

import spider
from spider.logs import event
from spider.root.trusted_files import clear
from spider.wire.job_messages import Bundle

BUNDLE = "bundle"
JOINED = "joined"
MAX_BUNDLE_BYTES = 1 << 20

log = logging.getLogger(__name__)


class Bundles:
    """Receives the parts in order. A new first part starts over."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, BUNDLE)
        self._have = 0
        self._hash: Any = hashlib.sha256()

    def receive_part(self, message: Bundle) -> None:
        """Store one part. Blocks while it writes 128 KiB."""
        if message.offset == 0:
            self._have, self._hash = 0, hashlib.sha256()
        end = message.offset + len(message.data)
        if message.offset != self._have or not 0 < end <= message.total <= MAX_BUNDLE_BYTES:
            event(log, "bundle_part_dropped", logging.WARNING, offset=message.offset, have=self._have)
            return
        try:
            if message.offset == 0:
                clear(self._path + ".new")
            with open(self._path + ".new", "wb" if message.offset == 0 else "ab") as file:
                file.write(message.data)
            self._have = end
            self._hash.update(message.data)
            if end < message.total:
                return
            if self._hash.digest() != message.digest:
                event(log, "bundle_damaged", logging.WARNING, bytes=end)
                return
            clear(self._path)
            os.replace(self._path + ".new", self._path)
            event(log, "bundle_came", bytes=end)
        except OSError as exc:
            event(log, "bundle_not_kept", logging.WARNING, why=str(exc))


def own_path() -> str:
    """The bundle or folder that this program runs from."""
    return os.path.dirname(os.path.dirname(os.path.abspath(spider.__file__)))


def note_joined(folder: str) -> None:
    """Note for root that this version, which may be a fresh update, has a session with the hub."""
    path = os.path.join(folder, JOINED)
    with contextlib.suppress(OSError):  # without the note the update is rolled back, which logs the reason
        clear(path + ".new")
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(own_path() + "\n")
        clear(path)
        os.replace(path + ".new", path)
