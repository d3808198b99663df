"""Events that wait for the hub: a file each, so that they survive restarts of Spider, the host and the hub."""

import hashlib
import json
import logging
import os
import re
from typing import Any, Dict, Iterable, List, NamedTuple

from spider.files import create_once
from spider.logs import event
from spider.wire.events import (
    CUSTOM,
    CUSTOM_NAME,
    DETAIL_NAME,
    EVENT_ID,
    MAX_DETAIL_CHARS,
    MAX_DETAILS,
    MAX_DETAILS_BYTES,
    MAX_EVENTS,
    MAX_MESSAGE_CHARS,
    REPORTED,
)
from spider.wire.table_rows import LATEST_MS
from spider.wire.text import UNSEEN_CHAR

MAX_WAITING = 1000
MAX_WAITING_BYTES = 1024 * 1024
MAX_FILE_BYTES = 32 * 1024
"""Longest file of one event: message and details, with every character escaped."""
MAX_BATCH_BYTES = 96 * 1024
"""Most bytes of the files of one batch."""
MAX_NUMBER = (1 << 53) - 1
"""Largest number in a detail. A larger number would lose digits in the page, so it is sent as a text."""
_NAME = re.compile(r"[0-9]{16}\Z")

log = logging.getLogger(__name__)


class EventRefused(ValueError):
    """The event does not have the form of an event; the text says why."""


class ReportedEvent(NamedTuple):
    """One event, as in `report_messages.Events`."""

    id: str
    type: str
    at_ms: int
    message: str
    details: str
    """A JSON object of short texts and integers; empty = none."""


def make_event(raw: Any, now_ms: int) -> ReportedEvent:
    """Check what a program reports.

    Args:   raw: decoded JSON: `id`, `type`, `at_ms` (null: now), `message`, `details` (an object). now_ms: Unix milliseconds.
    Raises: EventRefused: a part is missing, unknown or not of its form.
    """
    if not isinstance(raw, dict) or set(raw) != {"id", "type", "at_ms", "message", "details"}:
        raise EventRefused("it is not of the form of an event")
    found, kind, at_ms, message, details = raw["id"], raw["type"], raw["at_ms"], raw["message"], raw["details"]
    if not isinstance(found, str) or not EVENT_ID.match(found):
        raise EventRefused("an id has 1 to 64 letters, digits, '_', '.', ':' and '-'")
    if kind not in REPORTED:
        raise EventRefused(f"unknown type {str(kind)[:40]!r}; the types are {', '.join(REPORTED)}")
    if at_ms is None:
        at_ms = now_ms
    if type(at_ms) is not int or not 0 < at_ms < LATEST_MS:
        raise EventRefused("the time is not between 1970 and 2100")
    if not isinstance(message, str) or len(message) > MAX_MESSAGE_CHARS or UNSEEN_CHAR.search(message):
        raise EventRefused(f"a message is one line of at most {MAX_MESSAGE_CHARS} characters")
    return ReportedEvent(found, kind, at_ms, message, _details(kind, details))


def _details(kind: str, details: Any) -> str:
    if not isinstance(details, dict) or len(details) > MAX_DETAILS:
        raise EventRefused(f"an event has at most {MAX_DETAILS} details")
    for name, value in details.items():
        if not DETAIL_NAME.match(name):
            raise EventRefused(f"the name of a detail is of a-z, 0-9 and '_', not {name[:40]!r}")
        if type(value) is int and abs(value) <= MAX_NUMBER:
            continue
        if not isinstance(value, str) or len(value) > MAX_DETAIL_CHARS or UNSEEN_CHAR.search(value):
            raise EventRefused(f"the detail {name} is not one line of at most {MAX_DETAIL_CHARS} characters")
    if kind == CUSTOM and not (isinstance(details.get("name"), str) and CUSTOM_NAME.match(details["name"])):
        raise EventRefused("an event of the type custom needs a detail 'name' of a-z, 0-9, '_', '.' and '-'")
    text = json.dumps(details, ensure_ascii=False, separators=(",", ":")) if details else ""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as exc:
        raise EventRefused("a detail is not valid text") from exc
    if size > MAX_DETAILS_BYTES:
        raise EventRefused(f"the details are longer than {MAX_DETAILS_BYTES} bytes")
    return text


def id_of_reporter(id_: str, uid: int) -> str:
    """The id of an event as it waits and goes to the hub: ids of users other than root begin with the user's number.

    So no user can take the id of root's event, or of another user's, which would then not be stored again.
    """
    named = f"{uid}:{id_}" if uid or reporter_of(id_) else id_
    return named if EVENT_ID.match(named) else f"{uid}:{hashlib.sha256(id_.encode()).hexdigest()[:32]}"


def reporter_of(id_: str) -> str:
    """Who has reported an event: a user's number; empty: root, or Spider itself."""
    number, sign, _ = id_.partition(":")
    return number if sign and number.isdigit() else ""


class _Waiting(NamedTuple):
    name: str
    """Name of the file: an ascending number."""
    size: int


class EventQueue:
    """The waiting events. It is used by one thread at a time."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._waiting: Dict[str, _Waiting] = {}
        """By event id, oldest first."""
        self._bytes = 0
        self._last = 0

    def load(self) -> None:
        """Read the events that an earlier run left. Other files in the folder, and further files of an event with the same id, are removed.

        Raises: OSError: a file or the folder cannot be read. Nothing is lost; call it again later.
        """
        self._waiting, self._bytes = {}, 0
        try:
            names = sorted(os.listdir(self._folder))
        except FileNotFoundError:
            return
        for name in names:
            path = os.path.join(self._folder, name)
            stored = _read(path) if _NAME.match(name) else None
            if stored is None or stored.id in self._waiting:
                _unlink(path)
            else:
                self._note(stored.id, _Waiting(name, os.stat(path).st_size))
        self._last = max((int(entry.name) for entry in self._waiting.values()), default=0)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, new: ReportedEvent) -> int:
        """Store an event durably. An event whose id waits already is not stored again.

        Returns: how many of the oldest events were dropped for lack of room.
        Raises:  OSError: the event could not be written.
        """
        if new.id in self._waiting:
            return 0
        content = json.dumps(list(new)).encode()
        if not os.path.isdir(self._folder):
            os.mkdir(self._folder, 0o700)
        entry = _Waiting(self._next_name(), len(content))
        path = os.path.join(self._folder, entry.name)
        try:
            create_once(path, content, 0o600)
        except FileExistsError:  # another program made this file and may need it
            raise
        except OSError:
            _unlink(path)
            raise
        self._note(new.id, entry)
        return self._make_room()

    def _next_name(self) -> str:
        """A file name that is not in use."""
        self._last += 1
        while os.path.lexists(os.path.join(self._folder, f"{self._last:016}")):
            self._last += 1
        return f"{self._last:016}"

    def batch(self) -> List[ReportedEvent]:
        """The oldest events that fit one frame; empty: none waits. An event whose file is damaged or missing is dropped.

        Raises: OSError: a file cannot be read at present.
        """
        found: List[ReportedEvent] = []
        size = 0
        for key, entry in list(self._waiting.items()):
            size += entry.size
            if len(found) == MAX_EVENTS or (found and size > MAX_BATCH_BYTES):
                break
            stored = _read(os.path.join(self._folder, entry.name))
            if stored is None:  # another program has removed or damaged the file
                event(log, "event_file_damaged", logging.WARNING, file=entry.name)
                self.forget([key])
            else:
                found.append(stored)
        return found

    def forget(self, ids: Iterable[str]) -> None:
        """Remove events that the hub has stored, or has refused for ever."""
        for key in ids:
            entry = self._waiting.pop(key, None)
            if entry is not None:
                self._bytes -= entry.size
                _unlink(os.path.join(self._folder, entry.name))

    def _note(self, key: str, entry: _Waiting) -> None:
        self._waiting[key] = entry
        self._bytes += entry.size

    def _make_room(self) -> int:
        """Drop the oldest events of the reporter who has the most. Returns: how many."""
        dropped = 0
        while len(self._waiting) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES:
            sizes: Dict[str, int] = {}
            for key, entry in self._waiting.items():
                sizes[reporter_of(key)] = sizes.get(reporter_of(key), 0) + entry.size
            most = max(sizes, key=lambda reporter: sizes[reporter])
            self.forget([next(key for key in self._waiting if reporter_of(key) == most)])
            dropped += 1
        if dropped:
            event(log, "events_dropped", logging.WARNING, count=dropped)
        return dropped


def _read(path: str) -> "ReportedEvent | None":
    """Read the event of a file. None: the file is missing, or its content is no valid event. Raises: OSError: it cannot be read at present."""
    try:
        with open(path, encoding="utf-8") as file:
            found, kind, at_ms, message, details = json.loads(file.read(MAX_FILE_BYTES))
        details = _details(kind, json.loads(details or "{}"))
        # If an event beyond the limits were sent, the hub would end the session, and receive the event again in the next one.
        valid = EVENT_ID.match(found) and 0 <= at_ms <= LATEST_MS and len(message) <= MAX_MESSAGE_CHARS
        return ReportedEvent(found, str(kind), int(at_ms), str(message), details) if valid else None
    except (FileNotFoundError, ValueError, TypeError, OverflowError, RecursionError):
        return None


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError as error:
        if os.path.lexists(path):
            event(log, "event_not_removed", logging.WARNING, path=path, why=str(error))
