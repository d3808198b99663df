"""A hub that terminates TLS itself changes its address: a real Spider link against small hubs on real sockets, which share one key and port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.own_certificate import private_key, server_context, stored_or_issued
from spider.config import ADDRESS_FILE, Config, parse_url
from spider.hub.addresses import FIRST_TRY_S
from spider.hub.backoff import Backoff
from spider.hub.link import HubLink
from spider.hub.outbox import Outbox
from spider.jobs.tracker import Jobs
from spider.selfcare import uninstall
from spider.wire.frames import CLOSE_HOST, HUB_ADDRESS, HubAddress
from tests.support.background import in_background
from tests.support.clock import SkippingClock
from tests.support.eventually import eventually
from tests.support.scripted_hub import FLEET_KEY, ScriptedHub

OLD = parse_url("wss://10.0.0.5:8933/ws")


@pytest.mark.parametrize(
    ("address", "dialled"),
    [
        ("10.0.0.6", "wss://10.0.0.6:8933/ws"),
        ("hub.lan", "wss://hub.lan:8933/ws"),
        ("fd00::1", "wss://[fd00::1]:8933/ws"),
    ],
)
def test_an_address_replaces_the_host_alone(address: str, dialled: str) -> None:
    assert OLD.at(address).text == dialled


@pytest.mark.holds("S-47")
@pytest.mark.parametrize(
    "address",
    [
        "", ":8934", "hub.lan:8934", "[fd00::1]", "[fd00::1]:8934", "Hub.lan", "hub.lan/ws", "hub.lan/other#", "hub.lan?", "user@hub.lan",
        "ws://hub.lan", "hub.lan\n", "hub.lan\r\nX: y", "hub lan", "hüb.lan", "-hub", "h" * 300, "\0",
    ],
)  # fmt: skip
def test_an_address_that_would_change_more_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"expected|address"):
        OLD.at(address)


@pytest.mark.holds("S-47")
def test_a_url_without_tls_gets_no_other_address() -> None:
    with pytest.raises(ValueError, match="no address"):
        parse_url("ws://127.0.0.1:8933/ws").at("10.0.0.6")


def settings(folder: Path, url: str, pin: str = "ab" * 32) -> Config:
    """As Spider reads them at its start."""
    for name, content, mode in (
        (
            "spider.conf",
            f"[hub]\nurl = {url}\nfleet = {'0' * 26}\n{pin and f'tls_pin = {pin}'}\n[node]\nid = {'1' * 26}\ngeneration = 1\n",
            0o644,
        ),
        ("session.key", "k" * 32, 0o600),
    ):
        (folder / name).write_text(content)
        (folder / name).chmod(mode)
    words = ("--config", str(folder / "spider.conf"), "--key", str(folder / "session.key"), "--state", str(folder))
    return Config.from_env({"STARDUST_BOOT": "0" * 32}, words)


def test_a_kept_address_holds_as_long_as_spider_conf_has_the_url_that_it_replaces(tmp_path: Path) -> None:
    assert settings(tmp_path, OLD.text).urls == (OLD,)
    kept = tmp_path / ADDRESS_FILE
    kept.write_text(f"{OLD.text}\n10.0.0.6\n")
    assert [url.text for url in settings(tmp_path, OLD.text).urls] == ["wss://10.0.0.6:8933/ws", OLD.text]
    assert [url.text for url in settings(tmp_path, "wss://10.0.0.7:8933/ws").urls] == ["wss://10.0.0.7:8933/ws"], "its owner has changed it"
    assert settings(tmp_path, OLD.text, pin="").urls == (OLD,), "without a pin any hub could answer there"
    for damaged in ("", OLD.text, f"{OLD.text}\n10.0.0.6\nevil/path\n", f"{OLD.text}\n10.0.0.6:1\n", "\0" * 2000):
        kept.write_text(damaged)
        assert settings(tmp_path, OLD.text).urls == (OLD,)
    kept.unlink()
    os.mkfifo(kept)
    assert settings(tmp_path, OLD.text).urls == (OLD,), "root reads it, too, and waits for nobody"


class Moving:
    """A hub at two addresses, and the folder of its node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        key = private_key(FLEET_KEY)
        certificate, _ = stored_or_issued(folder, key, ("10.0.0.5",), time.time())
        self.pin = bytes.fromhex(certificate.pin)
        self.old, self.new = ScriptedHub(), ScriptedHub()
        for name in ("fleet", "answer_fleet", "node", "key"):
            setattr(self.new, name, getattr(self.old, name))
        self.old.tls = self.new.tls = server_context(certificate, key)
        self.new.host, self.new.port = "127.0.0.2", self.old.port
        self.old.names = self.new.host
        self.url = parse_url(f"wss://127.0.0.1:{self.old.port}/ws")
        self.kept = folder / ADDRESS_FILE
        self.moved = f"{self.url.text}\n127.0.0.2\n"
        """The kept file of a node that has been told."""

    def config(self, **changes: Any) -> Config:
        """As after a start."""
        kept = tuple(map(self.url.at, self.kept.read_text().split()[1:])) if self.kept.exists() else ()
        return self.old.config(**{"url": self.url, "kept": kept, "tls_pin": self.pin, "state_dir": str(self.folder), **changes})

    @contextlib.asynccontextmanager
    async def spider(self, faster: float = 20.0, **changes: Any) -> AsyncIterator[SkippingClock]:
        """A Spider without collectors, whose waits are short."""
        config, clock = self.config(**changes), SkippingClock(faster)
        outbox = Outbox(clock)
        link = HubLink(
            config,
            outbox,
            Jobs(config.jobs_dir, config.launcher_path, clock, lambda _: asyncio.sleep(0), config.boot),
            clock,
            Backoff(random.Random(3)),
        )
        async with in_background(link.run()):
            yield clock


@pytest.fixture
def moving(tmp_path: Path) -> Moving:
    return Moving(tmp_path)


async def test_a_node_goes_where_its_hub_says_and_goes_there_first_after_a_restart(moving: Moving) -> None:
    old, new = moving.old, moving.new
    async with old.running():
        async with new.running():
            async with moving.spider():
                await new.until(lambda: bool(new.sessions))
                assert new.hellos[0].host == f"127.0.0.2:{new.port}"
            assert moving.kept.read_text() == moving.moved
            before, there = len(old.sessions), len(new.sessions)
            async with moving.spider():
                await new.until(lambda: len(new.sessions) > there)
            assert len(old.sessions) == before
        async with moving.spider():  # nothing answers at the new address any more
            await old.until(lambda: len(old.sessions) > before)


async def test_a_hub_that_goes_back_to_the_address_of_spider_conf_gets_its_nodes_back(moving: Moving) -> None:
    old = moving.old
    moving.kept.write_text(moving.moved)
    old.names = "127.0.0.1"
    async with old.running(), moving.spider():
        await old.until(lambda: bool(old.sessions))
        await eventually(lambda: moving.kept.read_text() == f"{moving.url.text}\n")


async def test_a_new_address_that_sends_nodes_away_costs_one_session_in_ten_minutes(moving: Moving) -> None:
    old, new = moving.old, moving.new
    new.refuse_with = CLOSE_HOST, "host"
    async with old.running(), new.running(), moving.spider(faster=50.0) as clock:
        await new.until(lambda: bool(new.hellos))
        at = clock.monotonic()
        await eventually(lambda: clock.monotonic() > at + FIRST_TRY_S[1] + 5.0)
        assert len(new.hellos) == 1
        assert len(old.sessions) > 1


@pytest.mark.holds("S-47")
async def test_a_hub_with_another_key_at_the_new_address_gets_nothing(
    moving: Moving, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "other").mkdir()
    key = private_key(bytes(32))
    moving.new.tls = server_context(stored_or_issued(tmp_path / "other", key, ("10.0.0.6",), time.time())[0], key)
    async with moving.old.running(), moving.new.running(), moving.spider():
        await eventually(lambda: "address_not_reached" in caplog.text)
    assert "not among those that are pinned" in str([vars(record) for record in caplog.records])
    assert not moving.new.attempts


@pytest.mark.holds("S-47")
async def test_a_node_without_a_pin_follows_nowhere(moving: Moving) -> None:
    old = moving.old
    old.tls = None
    async with old.running():
        async with moving.spider(url=parse_url(f"ws://127.0.0.1:{old.port}/ws"), tls_pin=None):
            await old.until(lambda: bool(old.sessions))
            await old.tell(HubAddress(old.names))
            await old.cut()
            await old.until(lambda: len(old.sessions) == 2)
        assert HUB_ADDRESS not in old.hellos[0].features
        assert not moving.kept.exists()


def test_a_node_that_is_uninstalled_tells_the_hub_where_that_is(moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    dialled: list[str] = []

    async def farewell(config: Config, _why: str, _left: str, _sent: list[str]) -> None:
        dialled.append(config.url.host)
        if config.url.host == "127.0.0.2":
            raise OSError("nobody is there")

    monkeypatch.setattr(uninstall, "farewell", farewell)
    moving.kept.write_text(moving.moved)
    assert uninstall._say_farewell(moving.config(), []) == ""
    assert dialled == ["127.0.0.2", "127.0.0.1"]


def test_the_owner_gets_the_hubs_present_address(
    moving: Moving, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moving.kept.write_text(moving.moved)
    monkeypatch.setattr(uninstall, "_config", moving.config)
    monkeypatch.setattr(uninstall, "bundled_script", lambda: b"printf '%s\\n' 'note hub        wss://h/ws' 'note state      connected' ok")
    assert uninstall.status() == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == f"hub        wss://127.0.0.2:{moving.new.port}/ws (before: {moving.url.text})"
    assert (printed[2].split()[0], printed[3]) == ("policy", "state      connected")
