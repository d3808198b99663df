"""The last lines of a unit's journal: only what the owner shows, within limits, with a reason where there are none."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from spider.reports import unit_journal
from spider.reports.unit_journal import MAX_WAITING, UnitJournal
from spider.wire.frames import Message
from spider.wire.report_messages import JournalAnswer, JournalRequest
from tests.support.background import in_background
from tests.support.eventually import eventually

STAND_IN = """\
#!{python}
'''Stands for journalctl.'''
import json, os, sys, time
words = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:])
open({folder!r} + "/asked", "a").write(" ".join(sys.argv[1:]) + "\\n")
unit = words.get("unit", "")
if unit == "slow.service":
    time.sleep(60)
if os.path.exists({folder!r} + "/unreadable"):
    sys.exit("No journal files were opened due to insufficient permissions.")
if unit == "quiet.service" or os.path.exists({folder!r} + "/empty"):
    sys.exit()
size = 1900 if unit == "long.service" else 5
for number in range(int(words["lines"])):
    print(json.dumps(dict(__CURSOR="c", __REALTIME_TIMESTAMP=str(10**15 + number), MESSAGE="%d " % number + "\\x1b[2J" + "x" * size, PRIORITY="4")))
"""


class Node:
    """A node's policy and journal, and a hub that takes answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policy = folder / "policy.conf"
        self.answers: dict[int, JournalAnswer] = {}
        program = folder / "journalctl"
        program.write_text(textwrap.dedent(STAND_IN.format(python=sys.executable, folder=str(folder))))
        program.chmod(0o755)
        self.journal = UnitJournal(str(self.policy), os.geteuid(), self.hear, str(program), limit_s=5.0)
        self.shows("journal = all")

    def shows(self, line: str) -> None:
        self.policy.write_text(f"[policy]\nversion = 2\nmode = monitor\n{line}\n")
        self.policy.chmod(0o644)

    async def hear(self, message: Message) -> None:
        assert isinstance(message, JournalAnswer)
        self.answers[message.request] = message

    async def ask(self, unit: str, lines: int = 200, level: str = "all") -> JournalAnswer:
        number = len(self.answers) + 1
        self.journal.request(JournalRequest(number, unit, lines, level))
        await eventually(lambda: number in self.answers)
        return self.answers[number]


@asynccontextmanager
async def answering(node: Node) -> AsyncIterator[Node]:
    async with in_background(node.journal.run()):
        yield node


async def test_the_last_lines_are_read_as_far_as_the_owner_shows_them(tmp_path: Path) -> None:
    async with answering(Node(tmp_path)) as node:
        answer = await node.ask("nginx.service", 3)
        assert (answer.refused, answer.left_out, [text[:2] for text in answer.texts]) == ("", 0, ["0 ", "1 ", "2 "])
        assert answer.at_ms == [10**12] * 3
        await node.ask("nginx.service", 3, "warning")
        node.shows("journal = warning")
        await node.ask("nginx.service", 3)
        asked = (tmp_path / "asked").read_text().splitlines()
        assert ["--priority=warning" in line for line in asked] == [False, True, True]
        assert all("--unit=nginx.service --lines=3" in line for line in asked)


@pytest.mark.holds("SAFETY-56")
@pytest.mark.parametrize(
    ("policy", "unit", "lines", "word", "text"),
    [
        ("", "nginx.service", 9, "policy", ""),
        ("journal = off", "nginx.service", 9, "policy", ""),
        ("journal = everything", "nginx.service", 9, "policy", "journal is off"),
        ("journal = all", "--follow.service", 9, "bad-unit", ""),
        ("journal = all", "nginx*.service", 9, "bad-unit", ""),
        ("journal = all", "nginx.service", 201, "bad-unit", ""),
        ("journal = all", "nginx.service", 0, "bad-unit", ""),
    ],
)
async def test_a_log_that_the_policy_does_not_allow_is_not_read(
    tmp_path: Path, policy: str, unit: str, lines: int, word: str, text: str
) -> None:
    async with answering(Node(tmp_path)) as node:
        node.shows(policy)
        answer = await node.ask(unit, lines)
        assert (answer.refused, text in answer.text, answer.texts) == (word, True, [])
        assert not (tmp_path / "asked").exists()


async def test_a_journal_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    async with answering(Node(tmp_path)) as node:
        assert await node.ask("quiet.service") == JournalAnswer(1, "", "", 0, [], [], [])  # it has lines, and this unit has none
        assert (await node.ask("slow.service")).refused == "slow"
        (tmp_path / "empty").touch()
        empty = await node.ask("quiet.service")
        assert (empty.refused, "systemd-journal" in empty.text) == ("unreadable", True)
        (tmp_path / "unreadable").touch()
        closed = await node.ask("nginx.service")
        assert (closed.refused, closed.text) == ("unreadable", "No journal files were opened due to insufficient permissions.")
        (tmp_path / "journalctl").unlink()
        assert (await node.ask("nginx.service")).refused == "unreadable"


async def test_an_answer_does_not_reach_the_next_session(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.journal = UnitJournal(str(node.policy), os.geteuid(), node.hear, str(tmp_path / "journalctl"), limit_s=0.5)
    async with answering(node):
        node.journal.request(JournalRequest(1, "slow.service", 5, "all"))
        await eventually((tmp_path / "asked").exists)
        node.journal.joined()
        node.journal.request(JournalRequest(2, "-no-unit", 5, "all"))
        await eventually(lambda: 2 in node.answers)
        assert set(node.answers) == {2}


async def test_an_answer_and_the_requests_that_wait_are_bounded(tmp_path: Path) -> None:
    async with answering(Node(tmp_path)) as node:
        answer = await node.ask("long.service")
        assert sum(len(text.encode()) for text in answer.texts) <= unit_journal.MAX_BYTES
        assert len(answer.texts) + answer.left_out == 200
        assert answer.texts[-1].startswith("199 ")
        for number in range(10, 10 + 2 * MAX_WAITING):
            node.journal.request(JournalRequest(number, "nginx.service", 1, "all"))
        await eventually(lambda: len(node.answers) == 1 + 2 * MAX_WAITING)
        assert [node.answers[number].refused for number in range(10, 10 + 2 * MAX_WAITING)] == [""] * MAX_WAITING + ["busy"] * MAX_WAITING
