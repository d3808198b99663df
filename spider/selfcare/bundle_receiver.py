"""Receives a new version of Spider. The hub sends it in parts, and root's update job finds it in Spider's own folder.

Root trusts no check that is made here: it copies the bundle and compares the digest of the copy with the digest in the order.
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
    """Receives the parts of a bundle in order. A first part begins a new bundle."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, BUNDLE)
        self._received_bytes = 0
        self._hash: Any = hashlib.sha256()

    def receive_part(self, message: Bundle) -> None:
        """Store one part; errors are logged. Blocks while it writes about 128 KiB."""
        if message.offset == 0:
            self._received_bytes, self._hash = 0, hashlib.sha256()
        end = message.offset + len(message.data)
        if message.offset != self._received_bytes or not 0 < end <= message.total <= MAX_BUNDLE_BYTES:
            event(log, "bundle_part_dropped", logging.WARNING, offset=message.offset, have=self._received_bytes)
            return
        try:
            if message.offset == 0:
                clear(self._path + ".new")
            with open(self._path + ".new", "wb" if message.offset == 0 else "ab") as file:
                file.write(message.data)
            self._received_bytes = end
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
    """The path of the bundle or folder from which this program runs."""
    return os.path.dirname(os.path.dirname(os.path.abspath(spider.__file__)))


def note_joined(folder: str) -> None:
    """Write a note for root that this version has a session with the hub. A fresh update needs it.

    Args: folder: Spider's own folder.
    """
    path = os.path.join(folder, JOINED)
    with contextlib.suppress(OSError):  # without the note the update is rolled back, which logs the reason
        clear(path + ".new")
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(own_path() + "\n")
        clear(path)
        os.replace(path + ".new", path)
