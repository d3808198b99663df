"""A night on call in short: every message of two real receivers, with what was true when it was sent. None is untrue, and none is missing.

The hub is the alert service on a store, with a clock that the test moves. The mail server and the webhook receiver are real.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.notifications.channels.kind import Outcome, Sent
from groundcontrol.notifications.egress import Egress
from groundcontrol.notifications.messages import Message
from groundcontrol.notifications.model import Channel
from groundcontrol.notifications.service import ChannelEdit, ChannelService
from tests.support import exim
from tests.support.alert_trial import AlertTrial, Receivers, Told, alert_trial
from tests.support.exim import Exim
from tests.support.receivers import Receiver

NODES, CUT, STORM = 40, 20, 120
"""The storm is of one node, more than the hundred alerts that it may have beside each other."""
CLAIM = re.compile(r"(?:(web-\d+): )?(Service failed|Expected event is missing|Server does not answer)(?: \(([^)]*)\))?")
SINCE = re.compile(r", since (\d\d:\d\d) UTC")
SILENT = re.compile(r"Server does not answer, (\d+) minutes? \(limit")
NEAR_S = 75.0
"""A duration in whole minutes, of a state that is read every ten seconds, is this near to what it stands for."""
TOLD_S = 240.0
"""Trouble that lasts longer than this has to be in a message. Of a server that is silent, it begins two minutes earlier."""


class Trouble(NamedTuple):
    node: str
    what: str
    object: str


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exim]:
    with exim.running(tmp_path_factory.mktemp("exim")) as made:
        yield made


class Entry(NamedTuple):
    """One message of the transcript."""

    at: float
    channel: str
    message: Message
    outcome: str
    claims: frozenset[Trouble]
    """What it says is wrong now."""
    untrue: tuple[str, ...]


class RealReceivers(Receivers):
    """Sends messages, and compares each with what is true."""

    night: Night

    async def send(self, channel: Channel, message: Message) -> Outcome:
        outcome = await ChannelService.send(self, channel, message)
        claims = claims_of(message)
        self.night.transcript.append(
            Entry(
                self._now(),
                channel.name,
                message,
                outcome.code,
                claims,
                (*untrue(message, claims, self.night.troubles()), *mistimed(message, self.night)),
            )
        )
        if isinstance(outcome, Sent):
            self.told.append(Told(self._now(), channel.name, message.kind, message))
        return outcome


class Night(AlertTrial):
    """Forty servers of which the test knows what is wrong with each."""

    transcript: list[Entry]
    history: list[tuple[float, frozenset[Trouble]]]
    began: dict[Trouble, float]
    """When each trouble last began, in Unix seconds; also of one that is over."""

    def new_receivers(self) -> Receivers:
        made = RealReceivers(self.backend, self.clock, self.egress)
        made.night = self
        self.transcript = getattr(self, "transcript", [])
        self.history = getattr(self, "history", [])
        self.began = getattr(self, "began", {})
        return made

    def name(self, node: NodeId) -> str:
        return f"web-{self.nodes.index(node)}"

    def troubles(self) -> frozenset[Trouble]:
        fleet = self.fleet
        away = [
            Trouble(self.name(node), "Server does not answer", "") for node in self.nodes if node not in fleet.connected | fleet.awaited
        ]
        units = [Trouble(self.name(node), "Service failed", unit) for node, names in fleet.failed.items() for unit in names]
        missing = [Trouble(self.name(node), "Expected event is missing", name) for node, levels in fleet.levels.items() for name in levels]
        return frozenset((*away, *units, *missing))

    async def minutes(self, number: float) -> None:
        troubles = self.troubles()
        before = self.history[-1][1] if self.history else frozenset()
        self.began.update(dict.fromkeys(troubles - before, self.clock.now()))
        self.history.append((self.clock.monotonic(), troubles))
        await self.pass_s(number * 60)

    async def restarts(self, away_s: float, ahead_s: float = 0.0) -> None:
        connected = set(self.fleet.connected)
        self.fleet.deadlines_read_at = self.clock.monotonic() + away_s + 90
        if ahead_s:
            self.clock.jump(ahead_s)
        await self.restart(away_s, back=connected)
        await self.pass_s(20)
        self.fleet.connected |= connected
        self.fleet.awaited.clear()
        if ahead_s:
            self.clock.jump(-ahead_s)


def claims_of(message: Message) -> frozenset[Trouble]:
    """What a message says is wrong now, by the text that people read."""
    found = set[Trouble]()
    if message.kind in ("resolved", "test", "event"):
        return frozenset()
    for line in message.lines:
        what, _, names = line.partition(": ")
        node = next((one.node_name for one in message.content.alerts), "")
        if what == "not answering either" or (what == "also" and re.fullmatch(r"(web-\d+(, )?)+", names)):
            found |= {Trouble(name, "Server does not answer", "") for name in names.split(", ")}
        elif what == "also" and message.kind != "digest":
            found |= {Trouble(node, *match.groups("")[1:]) for match in CLAIM.finditer(names)}
        elif ", over" not in line and not line.startswith("over: ") and (match := CLAIM.match(line)):
            found.add(Trouble(*match.groups("")))
    return frozenset(found)


def untrue(message: Message, claims: frozenset[Trouble], true: frozenset[Trouble]) -> Iterator[str]:
    """What a message says that is not so."""
    for claim in claims - true:
        if claim.object == "others" and len([one for one in true if one.node == claim.node]) > 100:
            continue  # the alerts of a node beyond its limit are one
        yield f"says {claim}"
    if message.kind == "resolved" and not message.content.late:
        ended = {Trouble(one.node_name, one.rule_name, one.alert.object) for one in message.content.alerts}
        yield from (f"says that {one} is over" for one in ended & true)
        if not message.title.startswith("Resolved: "):
            yield "does not say that all of it is over"
    count = re.search(r"(\d+) servers are offline", message.title)
    if count and message.kind != "resolved" and int(count[1]) != len(claims):
        yield f"counts {count[1]} and names {len(claims)}"


def mistimed(message: Message, night: Night) -> Iterator[str]:
    """What a message says of times that is not so."""
    for line in message.lines:
        match, since, silent = CLAIM.match(line), SINCE.search(line), SILENT.search(line)
        began = night.began.get(Trouble(*match.groups(""))) if match else None
        if began is None:
            continue
        if since and since[1] not in {time.strftime("%H:%M", time.gmtime(began + off)) for off in (-60, 0, 60)}:
            yield f"begins at {time.strftime('%H:%M:%S', time.gmtime(began))}, not as in: {line}"
        if silent and abs(int(silent[1]) * 60 - (night.clock.now() - began)) > NEAR_S:
            yield f"has lasted {night.clock.now() - began:.0f} s, not as in: {line}"


def missing(night: Night, channel: str) -> Iterator[str]:
    """Trouble that lasted, and that no message to a channel named while it did."""
    lasting: dict[Trouble, float] = {}
    last = list(night.history)
    for trouble in frozenset().union(*(found for _, found in last)):
        times = [at for at, found in last if trouble in found]
        ends = [at for at, found in last if trouble not in found and at > max(times)]
        lasting[trouble] = min(ends, default=night.clock.monotonic()) - min(times)
    told = frozenset().union(
        *(one.claims for one in night.transcript if one.channel == channel and one.outcome.startswith(("http:2", "smtp:2")))
    )
    for trouble, seconds in lasting.items():
        bound_s = TOLD_S + (120 if trouble.what == "Server does not answer" else 0)
        if seconds > bound_s and trouble not in told and not trouble.object.startswith("storm"):
            yield f"{channel}: {trouble} lasted {seconds:.0f} s"


def lines(night: Night) -> list[str]:
    began = night.transcript[0].at
    return [
        f"{(one.at - began) / 60:6.1f} min  {one.channel:5} {one.outcome:9} {one.message.title}  {'; '.join(one.untrue)}"
        for one in night.transcript
    ]


async def test_a_night_on_call_has_no_untrue_message_and_misses_none(tmp_path: Path, mail: Exim) -> None:
    async with Receiver().running() as hook, alert_trial(tmp_path, NODES, kind=Night) as night:
        assert isinstance(night, Night)
        fleet = night.fleet
        [ops] = await night.backend.store.channels.all(SYSTEM)
        await night.receivers.delete(SYSTEM, ops.id)
        await night.egress.close()
        night.egress = Egress(frozenset({("127.0.0.1", hook.port), ("127.0.0.1", mail.plain)}))
        night.transcript.clear()
        await night.restart(1, back=fleet.connected)
        fleet.connected |= fleet.awaited
        fleet.awaited.clear()
        relay = {"host": "127.0.0.1", "port": mail.plain, "tls": "none"}
        target = {"smtp": relay, "from": "hub@example.com", "to": ["ops@example.com"]}
        await night.receivers.create(SYSTEM, "email", target, ChannelEdit(name="mail"))
        await night.receivers.create(SYSTEM, "webhook", {"url": hook.url()}, ChannelEdit(name="hook"))
        await night.minutes(3)
        nodes = night.nodes

        fleet.failed[nodes[0]] = ("nightly.service",)  # a oneshot that fails every five minutes, and is failed between its runs
        hook.statuses = [404]  # the receiver's proxy restarts
        await night.minutes(10)

        fleet.levels[nodes[1]] = {f"storm {number}": 2.0 for number in range(STORM)}
        await night.minutes(0.5)
        fleet.levels[nodes[2]] = {"backup": 2.0}
        at = night.clock.now()
        await night.minutes(5)
        first = {
            one.channel: one.at - at
            for one in reversed(night.transcript)
            if Trouble("web-2", "Expected event is missing", "backup") in one.claims
        }
        assert first.keys() == {"mail", "hook"}
        assert max(first.values()) < 30, "a critical alert of another node is not behind the storm"

        await night.restarts(40)  # while deadlines are missed: they are not known for 90 s
        await night.minutes(5)
        assert not [one for one in night.transcript if one.message.kind == "resolved"]

        fleet.connected -= set(nodes[10 : 10 + CUT])  # a network is cut
        await night.minutes(9)
        fleet.connected |= set(nodes[10 : 10 + CUT])
        await night.minutes(5)

        await night.restarts(30, ahead_s=3 * 3600.0)  # the clock is three hours ahead at a start, and is then put right
        fleet.levels[nodes[3]] = {"dump": 2.0}
        await night.minutes(5)
        fleet.connected.discard(nodes[4])
        await night.minutes(3)
        await night.restarts(300)
        await night.minutes(5)

        fleet.failed[nodes[0]] = ()
        fleet.levels.clear()
        fleet.connected.add(nodes[4])
        await night.minutes(75)  # messages over the limit come in a digest
        told = "\n".join(lines(night))
        (tmp_path / "transcript.txt").write_text(told)
        assert not [one for one in night.transcript if one.untrue], told
        assert not [*missing(night, "mail"), *missing(night, "hook")], told
        for channel in ("mail", "hook"):
            ended = [
                one.message
                for one in night.transcript
                if one.channel == channel and (one.message.kind == "resolved" or one.message.content.past)
            ]
            assert ended, told
        assert len({one.headers["webhook-id"] for one in hook.got}) == len(
            {one.message.id for one in night.transcript if one.channel == "hook"}
        )
        taken = "\n".join(mail.queue)
        assert all(f"<{one.message.id}@" in taken for one in night.transcript if one.channel == "mail" and one.outcome.startswith("smtp:2"))
        assert not await night.firing()
        await night.egress.close()
