"""Answers requests for the last lines of a unit's journal, as far as the owner's policy shows them. Nothing is stored."""

import asyncio
import logging
from collections import deque
from typing import Awaitable, Callable, Deque, List, NamedTuple, Tuple

from spider.logs import event
from spider.reports.journal_reader import JournalChild, JournalLine, parse_record
from spider.root.policy import PolicyRefused, read_policy
from spider.threads import ThreadUnavailable, run_in_thread
from spider.timeouts import wait_for
from spider.wire.arg_kinds import UNITS
from spider.wire.errors import LocalProtocolError
from spider.wire.frames import Message
from spider.wire.report_messages import MAX_JOURNAL_LINES, JournalAnswer, JournalRequest

LIMIT_S = 10.0
"""Limit of one run of journalctl, which takes long if the last lines of a unit are old."""
MAX_WAITING = 4
MAX_BYTES = 96 * 1024
"""Most bytes of the texts of one answer, as UTF-8."""
_PRIORITIES = {"warning": ["--priority=warning"], "all": []}

log = logging.getLogger(__name__)


class _Refused(Exception):
    """Why there are no lines: the error word and the text of `JournalAnswer` (the message to the hub)."""

    def __init__(self, word: str, text: str = "") -> None:
        super().__init__(word, text)
        self.word = word
        self.text = text


class _Lines(NamedTuple):
    lines: List[JournalLine]
    left_out: int


class UnitJournal:
    """Reads the journal for the hub, one request at a time. `run` it as one task."""

    def __init__(
        self,
        policy_path: str,
        policy_owner: int,
        send: Callable[[Message], Awaitable[None]],
        program: str = "journalctl",
        limit_s: float = LIMIT_S,
    ) -> None:
        """Args: policy_owner: uid that must own the policy. program: reads the journal. limit_s: of one run of `program`."""
        self._policy = (policy_path, policy_owner)
        self._send = send
        self._program = program
        self._limit_s = limit_s
        self._waiting: Deque[JournalRequest] = deque()
        self._late: Deque[JournalRequest] = deque(maxlen=MAX_WAITING)
        """Requests that arrived while too many waited. The newest `MAX_WAITING` of them are refused; the others get no answer."""
        self._due = asyncio.Event()
        self._session = 0
        """Counts sessions. The hub numbers the requests of each session from 1, so an answer must not reach the next session."""

    def joined(self) -> None:
        """A session has begun: requests of earlier sessions are dropped."""
        self._session += 1
        self._waiting.clear()
        self._late.clear()

    def request(self, message: JournalRequest) -> None:
        """Queue a request, or refuse it if too many wait."""
        (self._waiting if len(self._waiting) < MAX_WAITING else self._late).append(message)
        self._due.set()

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            while self._waiting or self._late:
                session, late = self._session, bool(self._late)
                message = self._late.popleft() if late else self._waiting.popleft()
                answer = _refusal(message, _Refused("busy")) if late else await self._answer(message)
                if session != self._session:
                    continue
                try:
                    await self._send(answer)
                except (ConnectionError, LocalProtocolError) as error:  # the session has ended, and with it the request
                    event(log, "journal_not_sent", logging.WARNING, why=str(error))

    async def _answer(self, message: JournalRequest) -> JournalAnswer:
        try:
            found = await self._read(message)
        except _Refused as refused:
            return _refusal(message, refused)
        except (OSError, ThreadUnavailable) as error:
            return _refusal(message, _Refused("unreadable", str(error)[:300]))
        lines = found.lines
        return JournalAnswer(
            message.request, "", "", found.left_out, [line.at_ms for line in lines], [line.priority for line in lines], [line.text for line in lines]
        )  # fmt: skip

    async def _read(self, message: JournalRequest) -> _Lines:
        """Raises: _Refused; OSError: journalctl, or a thread, cannot be started."""
        if not UNITS.is_name(message.unit) or not 0 < message.lines <= MAX_JOURNAL_LINES:
            raise _Refused("bad-unit")
        try:
            level = (await run_in_thread(lambda: read_policy(*self._policy), "policy")).journal
        except PolicyRefused as error:
            raise _Refused("policy", str(error)[:300]) from error
        if level not in _PRIORITIES:
            raise _Refused("policy")
        if message.level == "warning":
            level = "warning"
        fields = "--output-fields=MESSAGE,PRIORITY"
        found = await self._lines([f"--unit={message.unit}", f"--lines={message.lines}", fields, *_PRIORITIES[level]])
        if not found.lines:
            await self._check_readable()
        return found

    async def _check_readable(self) -> None:
        """Check that the journal has a readable line at all.

        Raises: _Refused: it has none.
        """
        if not (await self._lines(["--lines=1"])).lines:
            raise _Refused("unreadable", "the journal is empty, or may not be read (group systemd-journal)")

    async def _lines(self, words: List[str]) -> _Lines:
        child = await JournalChild.start(self._program, words)
        try:
            found, complaint = await wait_for(self._limit_s, _all(child))
        except asyncio.TimeoutError:
            raise _Refused("slow", f"journalctl has not answered within {self._limit_s:.0f} s") from None
        finally:
            await child.stop()
        if complaint and not found.lines:
            raise _Refused("unreadable", complaint[:300])
        return found


async def _all(child: JournalChild) -> Tuple[_Lines, str]:
    """The newest lines that fit `MAX_BYTES`, and the error output."""
    lines: Deque[JournalLine] = deque(maxlen=MAX_JOURNAL_LINES)
    size, left_out = 0, 0
    while True:
        record = await child.record()
        if record is None:
            await child.errors_end()
            return _Lines(list(lines), left_out), child.complaint
        try:
            line = parse_record(record)
        except ValueError as error:
            event(log, "journal_line_unreadable", logging.DEBUG, why=str(error))
            continue
        lines.append(line)
        size += len(line.text.encode())
        while size > MAX_BYTES:
            size -= len(lines.popleft().text.encode())
            left_out += 1


def _refusal(message: JournalRequest, refused: _Refused) -> JournalAnswer:
    return JournalAnswer(message.request, refused.word, refused.text, 0, [], [], [])
