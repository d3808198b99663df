"""Locates the files with this node's keys. The generation in `spider.conf` decides which keys are valid.

`session.key` and `launch.key` have the keys. If a file with that generation as suffix exists (`session.key.2`), it is valid instead: a
change of keys was interrupted between its steps.
"""

import logging
import os
from typing import Callable, Optional, Tuple

from spider.clock import Clock
from spider.ini_reader import read_ini
from spider.logs import event
from spider.root.trusted_files import Untrusted, real_path

LOOK_EVERY_S = 2.0

log = logging.getLogger(__name__)


def key_file(path: str, generation: int) -> str:
    """The path of the file with the key of this generation.

    Args: path: `session.key` or `launch.key` in its folder, or `fd:N`.
    """
    newer = f"{path}.{generation}"
    return newer if os.path.lexists(newer) else path


def node_of(text: str) -> Tuple[str, int]:
    """Id and key generation of this node, from the text of `spider.conf`.

    Raises: Untrusted: the text has no id or no number of a generation.
    """
    try:
        node = read_ini(text)["node"]
        return node["id"], int(node["generation"])
    except (KeyError, ValueError) as exc:
        raise Untrusted("spider.conf names no node") from exc


class KeyWatch:
    """Ends Spider once root has installed keys of another generation. The service manager then restarts it with the new keys."""

    def __init__(self, conf: str, generation: int, clock: Clock, stop: Callable[[], None]) -> None:
        self._conf = "" if real_path(conf) != conf else conf
        self._generation = generation
        self._clock = clock
        self._stop = stop
        self._seen: Optional[Tuple[int, int]] = None

    async def run(self) -> None:
        """Check every LOOK_EVERY_S until cancelled."""
        while True:
            if self._conf and self._changed():
                event(log, "keys_changed", generation=self._generation)
                self._stop()
            await self._clock.sleep(LOOK_EVERY_S)

    def _changed(self) -> bool:
        try:
            info = os.stat(self._conf)
            now = (info.st_ino, info.st_mtime_ns)
            if now == self._seen:
                return False
            with open(self._conf, encoding="utf-8") as file:
                generation = node_of(file.read(64 * 1024))[1]
        except (OSError, ValueError, Untrusted):
            return False  # an editor may still be writing the file; the next check reads it complete
        self._seen = now
        return generation != self._generation
