"""Attacks on invites of a running hub: reused, expired, shared, used on another hub, altered, and intercepted."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import pty
import select
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from spider.wire.errors import NotProven
from spider.wire.frames import CLOSE_GOING_AWAY, CLOSE_HOST
from spider.wire.ids import new_random_id
from spider.wire.joining import JoinEnded, join_key, masked, read_invite, write_invite
from tests.support.command import command
from tests.support.hub import HubProcess
from tests.support.join_client import Sent, Visitor, made, start_join


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session:
        yield session


def sql(hub: HubProcess, statement: str, *values: object) -> None:
    """Change the database behind the hub's back."""
    with sqlite3.connect(hub.folder / "stardust.db", timeout=10) as database:
        database.execute(statement, values)
    database.close()


def nodes(hub: HubProcess) -> list[Any]:
    found: list[Any] = hub.local("GET", "/api/v1/nodes").json["nodes"]
    return found


@pytest.mark.holds("SAFETY-45", "S-45")
async def test_an_invite_is_valid_once_for_five_minutes_and_for_one_of_twenty(hub: HubProcess, client: aiohttp.ClientSession) -> None:
    invite = made(hub)
    assert 0 < invite["expires_at"] - time.time() <= 300

    async def try_it(number: int) -> Any:
        connector = aiohttp.TCPConnector(local_addr=(f"127.7.1.{number + 1}", 0))
        async with aiohttp.ClientSession(connector=connector) as one:
            try:
                visitor = await start_join(one, hub, invite["invite"])
                return type((await visitor.accepted())[0]).__name__
            except (NotProven, Sent) as exc:
                return type(exc).__name__

    told = await asyncio.gather(*(try_it(number) for number in range(20)))
    assert told.count("JoinAccepted") == 1, told
    assert set(told) <= {"JoinAccepted", "JoinRefused", "NotProven"}
    assert len(nodes(hub)) == 1
    assert hub.local("GET", f"/api/v1/invites/{invite['info']['id']}").json["state"] == "used"

    refused: list[list[int]] = []
    late, revoked = made(hub), made(hub)
    sql(hub, "UPDATE invite SET expires_at = 1 WHERE id = ?", late["info"]["id"])
    assert hub.local("DELETE", f"/api/v1/invites/{revoked['info']['id']}").status == 204
    unknown = write_invite(read_invite(late["invite"])._replace(id=new_random_id()))
    for text in (invite["invite"], late["invite"], revoked["invite"], unknown):
        crossed: list[bytes] = []
        with pytest.raises(NotProven):
            await start_join(client, hub, text, crossed=crossed)
        refused.append([len(message) for message in crossed])
    assert all(sizes == refused[0] for sizes in refused)  # the same answer for all: it does not reveal which invites exist


@pytest.mark.holds("SAFETY-45", "S-38", "S-45")
async def test_an_altered_invite_a_foreign_hub_and_a_relay_are_refused(
    hub: HubProcess, client: aiohttp.ClientSession, tmp_path: Path
) -> None:
    text = made(hub)["invite"]
    invite = read_invite(text)
    for altered in (invite._replace(secret=os.urandom(32)), invite._replace(fleet=new_random_id())):
        with pytest.raises(NotProven):
            await start_join(client, hub, altered)
    visitor = await start_join(client, hub, invite, host="stardust.evil.example")
    with pytest.raises(Sent) as sent:
        await visitor.hear()
    assert sent.value.code == CLOSE_HOST

    with HubProcess(tmp_path / "other") as other:
        crossed: list[bytes] = []
        with pytest.raises(NotProven):
            await start_join(client, other, invite, crossed=crossed)
        assert len(crossed) == 2  # the greeting and the false proof: nothing else was said to it
        assert nodes(other) == []
    assert nodes(hub) == []
    assert hub.local("GET", "/api/v1/invites").json["invites"][0]["state"] == "open"  # none of this has used it up


@pytest.mark.holds("SAFETY-45", "S-45", "S-46")
async def test_secret_and_keys_of_a_join_appear_nowhere(hub: HubProcess, client: aiohttp.ClientSession) -> None:
    """On the wire, in the log, in the database and in what the interface tells afterwards."""
    shown = made(hub, name="web-9", tags=["web"])
    invite = read_invite(shown["invite"])
    visitor = await start_join(client, hub, invite)
    accepted, files = await visitor.accepted()
    session = masked(accepted.session_mask, visitor.joined.session_mask)
    launch = masked(accepted.launch_mask, visitor.joined.launch_mask)
    assert f"id = {accepted.node}".encode() in files["spider.conf"]
    assert b"session.key" in files["manifest"]
    assert not {"session.key", "launch.key"} & set(files)
    (node,) = nodes(hub)
    assert (node["name"], node["tags"], node["state"], node["waiting"]) == ("web-9", ["web"], "pending", False)

    secrets = {"invite": invite.secret, "join": join_key(invite.secret, invite.id), "session": session, "launch": launch}
    wire = b"".join(visitor.crossed)
    kept = b"".join(path.read_bytes() for path in sorted(hub.folder.glob("stardust*")))
    told = "".join(hub.local("GET", f"/api/v1/{path}").body.decode() for path in ("invites", "audit", "events", f"invites/{invite.id}"))
    for name, secret in secrets.items():
        forms = [secret, secret.hex().encode(), base64.urlsafe_b64encode(secret).rstrip(b"="), base64.b64encode(secret)]
        for place, held in (("wire", wire), ("files", kept), ("log", hub.output.encode()), ("interface", told.encode())):
            assert not any(form in held for form in forms), f"{name} in {place}"
    assert shown["invite"] not in told

    await visitor.say(JoinEnded("install_failed", "no room"))
    with pytest.raises(Sent):
        await visitor.hear()
    assert nodes(hub) == []
    events = hub.local("GET", "/api/v1/events").json["events"]
    assert any(one["type"] == "node_join_failed" and "no room" in one["message"] for one in events)


def typed_into_bash(folder: Path, *lines: bytes) -> tuple[str, str]:
    """What an interactive bash on a terminal says, and what it keeps in its history."""
    (folder / "rc").write_text(f"HISTFILE={folder}/history HISTCONTROL= PS1=\n")
    (folder / "inputrc").write_text("set enable-bracketed-paste on\n")
    terminal, inner = pty.openpty()
    env = {**os.environ, "HOME": str(folder), "TERM": "xterm", "INPUTRC": str(folder / "inputrc")}
    bash = ["setsid", "--ctty", "--wait", "bash", "--rcfile", str(folder / "rc"), "-i"]
    process = subprocess.Popen(bash, stdin=inner, stdout=inner, stderr=inner, env=env)
    os.close(inner)
    said, ends_at = b"", time.monotonic() + 30
    os.write(terminal, b"echo be''gun\r")
    waiting = [b"begun", *(b"done %d\r" % number for number in range(len(lines)))]
    for number, mark in enumerate(waiting):
        while mark not in said:
            assert time.monotonic() < ends_at, said
            if select.select([terminal], [], [], 1)[0]:
                said += os.read(terminal, 65536)
        if number < len(lines):
            os.write(terminal, lines[number] + b"\recho do''ne %d\r" % number)
    os.write(terminal, b"exit\r")
    with contextlib.suppress(OSError):  # a terminal that no longer has a user
        while os.read(terminal, 65536):
            pass
    process.wait(30)
    os.close(terminal)
    return said.decode(errors="replace"), (folder / "history").read_text()


@pytest.mark.holds("SAFETY-46", "S-46")
@pytest.mark.parametrize("form", ["command", "line"])
def test_a_shell_stores_nothing_of_a_pasted_invite(hub: HubProcess, tmp_path: Path, form: str) -> None:
    """As a terminal pastes it, all lines together; its download is missing, so that it does no more."""
    shown = made(hub)
    pasted, secret = shown[form].replace("/install.sh", "/nothing.sh"), shown["invite"]
    said, history = typed_into_bash(tmp_path, b"\x1b[200~" + pasted.encode() + b"\x1b[201~")
    assert "404" in said
    assert "echo do''ne 0" in history
    assert secret not in history
    assert "stardust1." not in history
    if form == "command":
        assert secret in pasted.splitlines()
        assert pasted.startswith(" "), "zsh with HIST_IGNORE_SPACE would keep it"
        assert "set +o history" in history
    else:
        assert "\n" not in pasted
        assert pasted.count("'") == 2, "each shell takes it whole, as one word"
        assert pasted in history


@pytest.mark.holds("SAFETY-45", "S-45")
async def test_an_address_may_try_thirty_times_a_minute(hub: HubProcess, client: aiohttp.ClientSession) -> None:
    invite = read_invite(made(hub)["invite"])
    guess = invite._replace(secret=os.urandom(32))
    for _ in range(30):
        with pytest.raises(NotProven):
            await start_join(client, hub, guess)
    with pytest.raises(Sent) as sent:
        await start_join(client, hub, invite)
    assert sent.value.code == CLOSE_GOING_AWAY
    assert int(sent.value.reason or "0") <= 60_000
    connector = aiohttp.TCPConnector(local_addr=("127.7.2.1", 0))
    async with aiohttp.ClientSession(connector=connector) as elsewhere:
        assert isinstance(await start_join(elsewhere, hub, invite), Visitor)  # others are not in its way


@pytest.mark.holds("S-15", "S-45")
def test_creating_an_invite_needs_the_right_and_a_fresh_password(hub: HubProcess) -> None:
    """The secret is shown once, and only to its creator."""
    admin = hub.login()
    assert hub.request("POST", "/api/v1/invites", {}).status == 401
    shown = hub.request("POST", "/api/v1/invites", {"kind": "organisation", "name": "cloud", "uses": 5}, token=admin.token)
    assert shown.status == 201
    secret = shown.json["invite"]
    assert hub.request("POST", "/api/v1/invites", {"uses": 5}, token=admin.token).status == 400
    assert hub.request("POST", "/api/v1/invites", {"kind": "organisation"}, token=admin.token).status == 400
    listed = hub.request("GET", "/api/v1/invites", token=admin.token)
    assert listed.json["invites"][0] | {"id": ""} == shown.json["info"] | {"id": ""}
    assert secret not in listed.body.decode()
    row = hub.local("GET", "/api/v1/audit").json["audit"][0]
    assert (row["actor"], row["action"]) == ("admin", "invite.create")
    script = hub.request("GET", "/install.sh")
    assert script.status == 200
    assert script.headers["Content-Type"].startswith("text/x-shellscript")
    assert hashlib.sha256(script.body).hexdigest() == shown.json["installer"]["sha256"] == listed.json["installer"]["sha256"]
    assert secret not in script.body.decode()


async def test_the_command_line_manages_invites_and_approves_nodes(hub: HubProcess, client: aiohttp.ClientSession) -> None:
    async def stardust(*words: str) -> tuple[int, str, str]:
        done = await asyncio.to_thread(command, hub.folder, *words)
        return done.returncode, done.stdout, done.stderr

    lines = ("--units", "nginx.service", "--journal", "warning", "--events", "backup")
    status, out, _ = await stardust("invite", "--organisation", "--name", "cloud", "--uses", "2", *lines, "--json")
    assert status == 0
    many = json.loads(out)
    assert (many["info"]["units"], many["info"]["journal"], many["info"]["events"]) == (["nginx.service"], "warning", ["backup"])
    assert (await stardust("invite", "--units", "no/unit"))[0] == 1
    for _ in range(2):
        _, files = await (await start_join(client, hub, many["invite"])).accepted()
        for line in (b"mode = managed", b"units = nginx.service", b"journal = warning", b"events = backup"):
            assert line in files["policy.conf"].splitlines()
    status, out, _ = await stardust("nodes")
    assert out.count("waiting") == 2
    assert (await stardust("nodes", "approve", "far-away"))[:2] == (0, "far-away is approved\n")
    assert (await stardust("nodes", "reject", "far-away-2"))[:2] == (0, "far-away-2 is rejected\n")
    assert (await stardust("nodes", "approve", "far-away"))[0] == 1
    assert [(node["name"], node["waiting"]) for node in nodes(hub)] == [("far-away", False)]
    status, out, _ = await stardust("invite", "--list")
    assert "2 of 2" in out
    assert many["invite"] not in out
    assert (await stardust("invite", "--revoke", many["info"]["id"]))[0] == 0
    assert (await stardust("invite", "--uses", "2"))[0] == 2
