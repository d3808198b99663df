"""A server that joins, without a host: the real messages, and a record of all bytes on the wire."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import aiohttp

from spider.wire.errors import NotProven
from spider.wire.frames import SUBPROTOCOL
from spider.wire.joining import Invite, Joined, JoinPart, JoinProbe, NodeJoin, as_any, read_invite, saying
from tests.support.hub import HubProcess

PROBE = [
    "uid=0", "kernel=Linux", "arch=x86_64", "hostname=far-away", "clock=1790000000", "os_ID=debian", "os_PRETTY_NAME='Debian 12'", "systemd=yes",
    "systemd_version=systemd 252", "systemd_state=running", "package_manager=apt-get", "existing=", "user=", "group=", "jobs=0",
    "python=/usr/bin/python3", "python_version=3.11.2",
    *(f"folder {path}=9000000 yes no" for path in ("/opt", "/etc/systemd/system", "/var/lib", "/tmp")),
]  # fmt: skip
"""What `probe.sh` says of a Debian host."""


class Sent(Exception):
    """The hub closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} ({reason})")
        self.code = code
        self.reason = reason


class Visitor(NamedTuple):
    """An open joining."""

    ws: aiohttp.ClientWebSocketResponse
    joined: Joined
    crossed: list[bytes]
    """Every message, both ways."""

    async def say(self, message: object) -> None:
        data = self.joined.link.send(saying(message))
        self.crossed.append(data)
        await self.ws.send_bytes(data)

    async def hear(self) -> Any:
        while True:
            message = as_any(self.joined.link.receive(await take(self.ws, self.crossed), 0.0))
            if message is not None:
                return message

    async def accepted(self) -> tuple[Any, dict[str, bytes]]:
        """Tell what the server is; returns the answer, and the files that came with it."""
        await self.say(JoinProbe(PROBE))
        answer = await self.hear()
        files: dict[str, bytes] = {}
        for name, size in zip(getattr(answer, "files", []), getattr(answer, "sizes", []), strict=True):
            files[name] = b""
            while len(files[name]) < size:
                part = await self.hear()
                assert isinstance(part, JoinPart)
                assert (part.file, part.offset) == (name, len(files[name]))
                files[name] += part.data
        return answer, files


async def take(ws: aiohttp.ClientWebSocketResponse, crossed: list[bytes]) -> bytes:
    """The next message. Raises: Sent."""
    message = await ws.receive(30)
    if message.type is not aiohttp.WSMsgType.BINARY:
        raise Sent(ws.close_code or 1006, str(message.extra or ""))
    data: bytes = message.data
    crossed.append(data)
    return data


def made(hub: HubProcess, **body: object) -> Any:
    """A new invite, as the hub's owner."""
    reply = hub.local("POST", "/api/v1/invites", body)
    assert reply.status == 201, reply.body
    return reply.json


async def start_join(
    client: aiohttp.ClientSession, hub: HubProcess, invite: str | Invite, *, host: str = "", crossed: list[bytes] | None = None
) -> Visitor:
    """Open a joining. Raises: NotProven: the hub did not prove that it made this invite; Sent."""
    crossed = [] if crossed is None else crossed
    read = read_invite(invite) if isinstance(invite, str) else invite
    ws = await client.ws_connect(hub.ws_url, protocols=(SUBPROTOCOL,), max_msg_size=1 << 20)
    opening = NodeJoin(read, os.urandom(16).hex(), host or f"127.0.0.1:{hub.port}", ["0.1.0"], os.urandom(32))
    crossed.append(opening.hello())
    await ws.send_bytes(opening.hello())
    try:
        answer, joined = opening.challenge(await take(ws, crossed))
    except NotProven:
        await ws.close()
        raise
    crossed.append(answer)
    await ws.send_bytes(answer)
    return Visitor(ws, joined, crossed)
