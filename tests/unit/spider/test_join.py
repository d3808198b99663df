"""A server that joins: whatever interrupts it, the server and the hub agree on whether Spider is installed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.deployments.model import NO_LINES
from groundcontrol.deployments.policy_file import policy_conf
from spider.config import Url, parse_url
from spider.hub.websocket import SocketClosed
from spider.selfcare import join as joining
from spider.selfcare.join import Failed, Scripts
from spider.wire.ids import new_random_id
from spider.wire.joining import HubJoin, Invite, JoinAccepted, JoinDone, JoinEnded, JoinPart, JoinProbe, as_any, join_key, saying
from tests.support.eventually import eventually

PROBE = b"echo kernel=x; echo ok\n"
LIFECYCLE = """
echo "$1" >>{log}
case "$1" in
    {slow}) sleep 0.3 ;;
    diagnose) exit 0 ;;
esac
[ "$1" != undo ] || {undo}
echo ok
"""
FILES = {name: name.encode() for name in ("spider.pyz", "spider.conf", "policy.conf", "manifest")}


class Hub:
    """The hub's end of one join, in place of the socket."""

    def __init__(self, invite: Invite, log: Path, *, loses: str = "") -> None:
        self.ended: list[tuple[str, str]] = []
        self._invite = invite
        self._log = log
        self._loses = loses
        """The action of lifecycle.sh after which the connection is lost."""
        self._side: HubJoin | None = None
        self._joined: Any = None
        self._out: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(self, data: bytes) -> None:
        if self._lost():
            raise SocketClosed(1006)
        if self._side is None:
            self._side = HubJoin(data, os.urandom(32), 1, self._invite.fleet)
            self._out.put_nowait(self._side.challenge(join_key(self._invite.secret, self._invite.id)))
        elif self._joined is None:
            self._joined = self._side.auth(data)
        else:
            message = as_any(self._joined.link.receive(data, 0.0))
            if isinstance(message, JoinEnded):
                self.ended.append((message.code, message.message))
            elif isinstance(message, JoinProbe):
                manifest = hashlib.sha256(FILES["manifest"]).hexdigest()
                sizes = [len(content) for content in FILES.values()]
                key = bytes(32)
                self._say(JoinAccepted(new_random_id(), 1, key, key, "1.0", 0, "", 0, 60, manifest, list(FILES), sizes))
                for name, content in FILES.items():
                    self._say(JoinPart(name, 0, content))
                if self._loses != "start":
                    self._say(JoinDone(0))

    async def receive(self) -> bytes:
        while self._out.empty():
            if self._lost():
                raise SocketClosed(1006)
            await asyncio.sleep(0.02)
        return self._out.get_nowait()

    async def close(self, code: int, reason: str) -> None:
        del code, reason

    def actions(self) -> list[str]:
        return self._log.read_text().split() if self._log.exists() else []

    async def until(self, action: str) -> None:
        await eventually(lambda: action in self.actions())

    def _lost(self) -> bool:
        return bool(self._loses) and self._loses in self.actions()

    def _say(self, message: object) -> None:
        self._out.put_nowait(self._joined.link.send(saying(message)))


@pytest.fixture
def invite() -> Invite:
    return Invite(["ws://127.0.0.1:1/ws"], new_random_id(), None, new_random_id(), os.urandom(32), int(time.time()) + 600)


def begin(
    monkeypatch: pytest.MonkeyPatch, hub: Hub, invite: Invite, log: Path, slow: str = "none", undo: str = "true"
) -> asyncio.Task[None]:
    """Begin to join. Args: slow: the action that takes 0.3 s. undo: the shell command of the action `undo`."""

    async def dial(_invite: Invite) -> tuple[Any, Url]:
        return hub, parse_url(invite.urls[0])

    monkeypatch.setattr(joining, "_dial", dial)
    script = LIFECYCLE.format(log=log, slow=slow, undo=undo)
    return asyncio.ensure_future(joining.join(invite, Scripts(PROBE, script.encode())))


async def test_a_stop_while_the_hub_is_away_undoes_the_installation(
    monkeypatch: pytest.MonkeyPatch, invite: Invite, tmp_path: Path
) -> None:
    """A second stop does not interrupt the undoing."""
    hub = Hub(invite, tmp_path / "log", loses="start")
    task = begin(monkeypatch, hub, invite, tmp_path / "log", undo=f"{{ sleep 0.2; echo undone >>{tmp_path / 'log'}; }}")
    await hub.until("diagnose")
    task.cancel()
    await hub.until("undo")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert hub.actions()[-2:] == ["undo", "undone"]


async def test_a_stop_during_the_completion_comes_too_late(monkeypatch: pytest.MonkeyPatch, invite: Invite, tmp_path: Path) -> None:
    """The hub would delete a node that reports an undone installation, although Spider is installed."""
    hub = Hub(invite, tmp_path / "log")
    task = begin(monkeypatch, hub, invite, tmp_path / "log", slow="finish")
    await hub.until("finish")
    task.cancel()
    await task
    assert "undo" not in hub.actions()
    assert hub.ended == [("", "")]


async def test_a_server_under_openrc_says_that_units_of_the_invite_mean_nothing_there(
    monkeypatch: pytest.MonkeyPatch, invite: Invite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for probe, units, times in (
        ("openrc=0.45.2", ("nginx.service",), 1),
        ("openrc=0.45.2", None, 0),
        ("systemd=yes", ("nginx.service",), 0),
    ):
        monkeypatch.setitem(FILES, "policy.conf", policy_conf("managed", lines=NO_LINES._replace(units=units)).encode())
        monkeypatch.setitem(globals(), "PROBE", f"echo {probe}; echo ok\n".encode())
        await begin(monkeypatch, Hub(invite, tmp_path / "log"), invite, tmp_path / "log")
        said = capsys.readouterr().out
        assert ("connected" in said, said.count(joining.UNITS_UNDER_OPENRC)) == (True, times)


async def test_a_connection_lost_after_the_completion_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, invite: Invite, tmp_path: Path
) -> None:
    hub = Hub(invite, tmp_path / "log", loses="finish")
    await begin(monkeypatch, hub, invite, tmp_path / "log")
    assert "undo" not in hub.actions()


async def test_a_stop_whose_undoing_fails_does_not_claim_the_former_state(
    monkeypatch: pytest.MonkeyPatch, invite: Invite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = Hub(invite, tmp_path / "log")
    refuse = "{ echo 'error rollback_failed no room'; exit 1; }"
    task = begin(monkeypatch, hub, invite, tmp_path / "log", slow="start", undo=refuse)
    await hub.until("start")
    task.cancel()
    with pytest.raises(Failed, match="stopped"):
        await task
    assert "not everything could be undone: undo: no room" in capsys.readouterr().err
    assert hub.ended == [("interrupted", "it was stopped on the server")]
