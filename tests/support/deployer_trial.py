"""The deployer against a lab host, without a hub."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from majortom.deployer import MajorTom
from majortom.install import InstallOptions
from majortom.interfaces import HostKey, Payload, Secret, Target
from majortom.probe import Probe
from majortom.ssh.connect import Limits
from spider.clock import SystemClock
from spider.wire.ids import new_random_id
from tests.support import fsdiff
from tests.support.addresses import any_address
from tests.support.bundles import shipped_bundle
from tests.support.lab import Host

FLEET = new_random_id()


SESSION_KEY = "5e" * 32


class Notes:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def started(self, step: str) -> None:
        self.lines.append(f"> {step}")

    async def detail(self, step: str, text: str) -> None:
        self.lines.append(f"  {step}: {text}")

    async def done(self, step: str, detail: str = "") -> None:
        self.lines.append(f"< {step} {detail}")

    async def confirm_host_key(self, key: HostKey) -> bool:
        self.lines.append(f"? {key.fingerprint}")
        return True


class Trial:
    """Installs to one host."""

    def __init__(self, host: Host, url: str) -> None:
        self.host = host
        self.url = url
        self.notes = Notes()
        self.clean = False
        self.install_python = False
        self.policy = "managed"
        self.major = MajorTom(SystemClock(), any_address, Limits(verify_s=2, undo_s=60))

    def target(self, user: str = "root", sudo_password: str | None = None) -> Target:
        sudo = Secret(sudo_password) if sudo_password else None
        return Target(self.host.address, self.host.port, user, Secret(self.host.private_key()), None, None, sudo, None, None)

    async def payload(self, _probe: Probe) -> Payload:
        conf = f"[hub]\nurl = {self.url}\nfleet = {FLEET}\n\n[node]\nid = {new_random_id()}\ngeneration = 1\nname = trial\n"
        policy = f"[policy]\nversion = 1\nmode = {self.policy}\n"
        bundle = await asyncio.to_thread(shipped_bundle)
        return Payload("0.1.0", bundle, conf, policy, Secret(SESSION_KEY), Secret("1a" * 32), install_python=self.install_python)

    async def install(self, verify: Callable[[float], Awaitable[None]], target: Target | None = None) -> None:
        async def name_of(_node: str) -> str:
            return "web-1"

        wish = InstallOptions(self.url, tls_pinned=False, fleet=FLEET, install_python=self.install_python, name_of=name_of)
        await self.major.install(target or self.target(), wish, self.notes, self.payload, verify)

    async def look(self, *, packages: bool = False) -> dict[str, str]:
        return await asyncio.to_thread(fsdiff.look, lambda script: self.host.sh(script, check=False), packages=packages)

    async def check_as(self, before: dict[str, str]) -> None:
        """The host is what it was: so it serves the next test as it is."""
        assert fsdiff.difference(before, await self.look()) == []
        self.clean = True

    async def sh(self, script: str) -> str:
        return await asyncio.to_thread(self.host.sh, script, check=False)


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[str]:
    """Something that accepts connections and is no hub."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
    finally:
        server.close()
        await server.wait_closed()


async def nobody_comes(_seconds: float) -> None:
    raise TimeoutError


async def at_once(_seconds: float) -> None:
    return
