"""Reports the installed packages to the hub: the whole list once, then the changes. It watches the database files and polls no package
manager."""

import asyncio
import hashlib
import logging
import zlib
from typing import Awaitable, Callable, List, Optional, Tuple

from spider.logs import event
from spider.reports.package_database import DatabaseStamp, PackageDatabase, Packages, find_database, stamp
from spider.threads import run_in_thread
from spider.timeouts import wait_for
from spider.wire.errors import LocalProtocolError
from spider.wire.frames import Message
from spider.wire.report_messages import InstalledPackages, PackagesHeld

LOOK_S = 60.0
"""Interval of checking whether the database has changed."""
PART_ITEMS = 2048
PART_BYTES = 96 * 1024
"""Most changes in one message, and most bytes of their texts."""
_TEXT_OVERHEAD_BYTES = 6

log = logging.getLogger(__name__)
Changes = List[Tuple[str, str]]
"""Name and present version of each changed package. An empty version: the package is no longer installed."""


def pack(packages: Packages) -> bytes:
    """Encode all packages, sorted by name. For 3,000 packages a dict takes 0.7 MB of the agent's memory, and the encoded form 0.02 MB."""
    return zlib.compress("".join(f"{name}\t{packages[name]}\n" for name in sorted(packages)).encode("utf-8", "replace"))


def unpack(packed: bytes) -> Packages:
    """The inverse of `pack`. Names and versions hold no white space (`package_database.py`)."""
    found: Packages = {}
    for line in zlib.decompress(packed).decode("utf-8").split("\n")[:-1]:
        name, _, version = line.partition("\t")
        found[name] = version
    return found


def digest_of(packages: Packages) -> str:
    """The digest of a state of all packages: the first 32 hex digits of SHA-256 over `name TAB version NEWLINE`, sorted by name."""
    digest = hashlib.sha256()
    for name in sorted(packages):
        digest.update(f"{name}\t{packages[name]}\n".encode("utf-8", "replace"))
    return digest.hexdigest()[:32]


def changes_between(before: Packages, after: Packages) -> Changes:
    """The changes from one state to the other."""
    gone = [(name, "") for name in before if name not in after]
    return sorted([(name, version) for name, version in after.items() if before.get(name) != version] + gone)


def messages(since: str, digest: str, changes: Changes) -> List[InstalledPackages]:
    """The changes as messages that each fit a frame. There is at least one, so that an empty list is reported too.

    Args: since: digest of the state to which the changes apply; empty: they apply to an empty list. digest: digest of the resulting state.
    """
    pieces: List[Changes] = [[]]
    size = 0
    for change in changes:
        length = sum(len(text.encode("utf-8", "replace")) + _TEXT_OVERHEAD_BYTES for text in change)
        if pieces[-1] and (size + length > PART_BYTES or len(pieces[-1]) == PART_ITEMS):
            pieces.append([])
            size = 0
        pieces[-1].append(change)
        size += length
    return [
        InstalledPackages(since, digest, number, len(pieces), [name for name, _ in piece], [version for _, version in piece])
        for number, piece in enumerate(pieces)
    ]


class PackageSync:
    """Watches the database and reports changes. `run` it as one task."""

    def __init__(self, send: Callable[[Message], Awaitable[None]], root: str = "/", settled: Callable[[], None] = lambda: None) -> None:
        """Args: settled: called when the database has changed and then stayed the same for `LOOK_S`."""
        self._send = send
        self._root = root
        self._settled = settled
        self._is_moving = False
        """The database has changed, and `settled` was not called since."""
        self._database: Optional[PackageDatabase] = None
        self._seen: DatabaseStamp = ()
        self._now: Optional[bytes] = None
        """The installed packages, encoded by `pack`."""
        self._sent: Optional[bytes] = None
        """The packages of the state that was sent last, encoded by `pack`. `_sent_digest` is its digest."""
        self._sent_digest = ""
        self._digest = ""
        self._hub_digest: Optional[str] = None
        """Digest of the state that the hub says it holds; None = not received yet in this session."""
        self._due = asyncio.Event()
        self._failure = ""
        """Why the last reading failed; empty: it succeeded."""

    def joined(self) -> None:
        """A session has begun: the hub sends the state that it holds."""
        self._hub_digest = None

    def acknowledge(self, message: PackagesHeld) -> None:
        """The hub's answer: the digest of the state that it holds. Empty: it has none, or could not apply the changes."""
        self._hub_digest = message.digest
        self._due.set()

    def check_now(self) -> None:
        """Check now instead of at the next interval, because packages may have changed."""
        self._due.set()

    async def run(self) -> None:
        """Watch and report until cancelled."""
        rested = False
        while True:
            self._due.clear()
            try:
                moved = await run_in_thread(self._read, "inventory")
                if rested and self._is_moving and not moved:
                    self._is_moving = False
                    self._settled()
                self._failure = ""
            except (OSError, ValueError) as error:
                if str(error) != self._failure:  # logged once, not each minute
                    event(log, "inventory_unreadable", logging.WARNING, why=str(error))
                self._failure = str(error)
            except Exception:  # an error in one report must not stop samples and jobs
                event(log, "inventory_failed", logging.ERROR, exc_info=True)
            await self._send_report()
            try:
                await wait_for(LOOK_S, self._due.wait())
                rested = False
            except asyncio.TimeoutError:
                rested = True

    def _read(self) -> bool:
        """Returns: whether the database has changed since the last reading. The first reading is no change."""
        moved = False
        if self._database is None:
            found = find_database(self._root)
            if found is None:
                return False
            self._database, self._seen, packages = found
        else:
            now = stamp(self._database, self._root)
            if now == self._seen:
                return False
            moved = self._is_moving = True
            packages = self._database.read(self._root)
            self._seen = now  # the stamp from before reading: a change meanwhile is seen at the next check
        self._now, self._digest = pack(packages), digest_of(packages)
        return moved

    async def _send_report(self) -> None:
        if self._now is None or self._hub_digest is None or self._hub_digest == self._digest:
            return
        builds_on = self._sent if self._sent is not None and self._hub_digest == self._sent_digest else None
        changes = changes_between({} if builds_on is None else unpack(builds_on), unpack(self._now))
        since = self._hub_digest if builds_on is not None else ""
        self._sent, self._sent_digest = self._now, self._digest
        self._hub_digest = None  # one report at a time: the hub confirms the state that it holds
        try:
            for message in messages(since, self._digest, changes):
                await self._send(message)
        except ConnectionError:  # the next session begins with the state that the hub holds
            return
        except LocalProtocolError as error:
            event(log, "inventory_not_sent", logging.ERROR, why=str(error))
