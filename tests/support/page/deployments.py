"""The Add Node dialog, servers that it can reach, and the questions of its steps."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import asyncssh
from playwright.sync_api import Locator, Page, Request, expect

from spider.wire.joining import JoinEnded, masked
from tests.support.agent import IDENTITY, agents
from tests.support.hub import Enrolled, HubProcess
from tests.support.join_client import Visitor, start_join
from tests.support.page.gate import Gate
from tests.support.ssh_server import SshServerThread, jumping, serving

SUDO = "canary-sudo-8812"


def opened(page: Page) -> Locator:
    page.get_by_role("button", name="Add node").first.click()
    return page.get_by_role("dialog")


def listed(seen: Gate, name: str) -> Locator:
    """Open the list of deployments. Returns: the row with this name."""
    seen.open("/jobs")
    seen.page.get_by_role("radio", name="Deployments").click()
    return seen.page.get_by_role("table", name="Deployments").get_by_role("row").filter(has_text=name)


def pumped(taken: socket.socket, given: socket.socket) -> None:
    """Forward bytes from one socket to the other, until one of them is closed."""
    with contextlib.suppress(OSError):
        while said := taken.recv(65536):
            given.sendall(said)
        given.shutdown(socket.SHUT_WR)


@contextmanager
def held_back(port: int) -> Iterator[tuple[int, threading.Event]]:
    """A forwarder to a port of this machine. It holds connections until the event is set. Gives its own port, and the event."""
    let_go = threading.Event()

    class Way(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            let_go.wait(30)
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as far:
                back = threading.Thread(target=pumped, args=(far, self.request))
                back.start()
                pumped(self.request, far)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Way) as ways:
        ways.daemon_threads = True
        threading.Thread(target=ways.serve_forever, daemon=True).start()
        try:
            yield ways.server_address[1], let_go
        finally:
            let_go.set()
            ways.shutdown()


def asked_for_its_key(end: SshServerThread, password: str) -> Callable[[Gate], None]:
    """The steps to the question about the host key of a new server."""

    def go(seen: Gate) -> None:
        seen.open("/")
        seen.page.get_by_role("button", name="Add node").first.click()
        dialog = seen.page.get_by_role("dialog")
        dialog.get_by_label("Host name or IP").fill("127.0.0.1")
        dialog.get_by_label("Port").fill(str(end.port))
        dialog.get_by_label("SSH user").fill("ada")
        dialog.get_by_role("radio", name="Password", exact=True).click()
        dialog.get_by_label("SSH password", exact=True).fill(password)
        dialog.get_by_role("button", name="Connect").click()
        expect(dialog.get_by_text("Is this the right server?")).to_be_visible()

    return go


def trusted(seen: Gate) -> None:
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_text("The fingerprints match").click()
    dialog.get_by_role("button", name="Trust and deploy").click()
    expect(dialog.locator("[data-step=host_key][data-state=done], .failure").first).to_be_visible()


def said(page: Page) -> list[str]:
    """Every request (method, URL, body) and WebSocket frame that the page sends. The list grows."""
    sent: list[str] = []

    def noted(request: Request) -> None:
        sent.append(f"{request.method} {request.url} {request.post_data or ''}")

    page.on("request", noted)
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
    return sent


class LoopThread(threading.Thread):
    """A thread that runs `work` on its own event loop. The end of the `with` block sets `_over`, for which `work` must wait."""

    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._over = asyncio.Event()
        self._loop = asyncio.new_event_loop()

    def __exit__(self, *_exc: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self.join(20)
        assert not self.is_alive()

    def run(self) -> None:
        self._loop.run_until_complete(self._work())
        self._loop.close()


class Server(LoopThread):
    """A server that joins with an invite. It sets `accepted`, waits for `go_on`, and then fails, or runs an agent until the block ends."""

    def __init__(self, hub: HubProcess, invite: str, failure: str = "") -> None:
        super().__init__("a server", self._play)
        self._failure = failure
        self._hub = hub
        self._invite = invite
        self.accepted = threading.Event()
        self.go_on = threading.Event()

    def __enter__(self) -> Server:
        self.start()
        return self

    async def _play(self) -> None:
        async with aiohttp.ClientSession() as client:
            visitor: Visitor = await start_join(client, self._hub, self._invite)
            answer, _ = await visitor.accepted()
            keys = [masked(answer.session_mask, visitor.joined.session_mask), masked(answer.launch_mask, visitor.joined.launch_mask)]
            self.accepted.set()
            await asyncio.to_thread(self.go_on.wait, 60)
            if self._failure:
                await visitor.say(JoinEnded("install_failed", self._failure))
                await self._over.wait()
                return
            node = Enrolled(answer.node, "web-7", 1, "", *keys)
            async with agents(self._hub, node) as [agent]:
                await agent.join()
                await agent.say(IDENTITY)
                assert (await visitor.hear()).waiting == 0
                await visitor.say(JoinEnded("", ""))
                await self._over.wait()


KEY = asyncssh.generate_private_key("ssh-ed25519")


GATE = asyncssh.generate_private_key("ssh-ed25519")


OPENS = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()


class Servers(LoopThread):
    """Three real SSH servers that accept no key, and a jump host, until the block ends."""

    def __init__(self) -> None:
        super().__init__("ssh servers", self._serve)
        self.ports: list[int] = []
        self.jump = 0
        self._ready = threading.Event()

    def __enter__(self) -> Servers:
        self.start()
        assert self._ready.wait(20)
        return self

    async def _serve(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            self.ports = [(await stack.enter_async_context(serving(KEY)))[0] for _ in range(3)]
            self.jump = (await stack.enter_async_context(jumping(GATE)))[0]
            self._ready.set()
            await self._over.wait()


SECRET = "canary-ssh-5521"


def signed(dialog: Locator, port: int) -> None:
    """Fill the form for a server at this port, with a password."""
    dialog.get_by_label("Host name or IP").fill("127.0.0.1")
    dialog.get_by_label("Port", exact=True).fill(str(port))
    dialog.get_by_label("SSH user").fill("ada")
    with_password(dialog)


def with_password(dialog: Locator) -> None:
    dialog.get_by_role("radio", name="Password", exact=True).click()
    dialog.get_by_label("SSH password", exact=True).fill(SECRET)
