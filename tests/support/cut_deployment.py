"""A connection to a server's sshd that is cut at a given byte, and a deployer in its own process that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from typing import Any, Self

import pytest

from majortom.deployer import MajorTom
from majortom.install import InstallOptions
from majortom.interfaces import DeployError, Payload, Secret, Target
from majortom.ssh.connect import Limits
from spider.clock import SystemClock
from tests.support.addresses import any_address
from tests.support.bundles import shipped_bundle
from tests.support.deployer_trial import FLEET, Notes, Trial
from tests.support.lab import ROOT
from tests.support.some import some

PIECE_BYTES = 16 * 1024


class Wire:
    """Forwards connections to one address. `cut_after` cuts all of them after that many bytes to the server. Later ones are refused unless `reachable`."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._left: int | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.dead = False
        self.cuts = 0
        self.reachable = False
        """Whether new connections are let through after a cut."""

    @property
    def port(self) -> int:
        return int(some(self._server).sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._taken, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_error: object) -> None:
        some(self._server).close()
        self._cut()
        for task in self._pumps:
            task.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def cut_after(self, count: int) -> None:
        self._left = count
        if count == 0:
            self._cut()

    def _cut(self) -> None:
        self.cuts += 1
        self.dead, self._left = not self.reachable, None
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.dead:
            writer.transport.abort()
            return
        there, onward = await asyncio.open_connection(*self._there)
        self._open |= {writer, onward}
        for source, sink in ((reader, onward), (there, writer)):
            task = asyncio.create_task(self._pump(source, sink, counted=sink is onward))
            self._pumps.add(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counted: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(PIECE_BYTES):
                if counted and self._left is not None:
                    if len(piece) >= self._left:
                        sink.write(piece[: self._left])
                        self._cut()
                        return
                    self._left -= len(piece)
                sink.write(piece)
                await sink.drain()
        sink.close()


async def main() -> None:
    """Install as standard input says, and print each step as a line. Tests kill this process."""
    asked: dict[str, Any] = json.loads(sys.stdin.read())

    class Out:
        async def started(self, step: str) -> None:
            print(step, flush=True)

        async def detail(self, step: str, text: str) -> None: ...
        async def done(self, step: str, detail: str = "") -> None: ...
        async def confirm_host_key(self, _key: object) -> bool:
            return True

    async def name_of(_node: str) -> str:
        return "web-1"

    async def payload(_probe: object) -> Payload:
        return Payload(
            "0.1.0", shipped_bundle(), asked["conf"], asked["policy"], Secret("5e" * 32), Secret("1a" * 32), install_python=False
        )

    async def wait_for_ever(_seconds: float) -> None:
        await asyncio.Event().wait()

    major = MajorTom(SystemClock(), any_address, Limits(rollback_s=asked["rollback_s"]))
    target = Target(asked["host"], asked["port"], asked["user"], Secret(asked["key"]), None, None, Secret(asked["sudo"]), None, None)
    wish = InstallOptions(asked["url"], tls_pinned=False, fleet=asked["fleet"], install_python=False, name_of=name_of)
    await major.install(target, wish, Out(), payload, wait_for_ever)


if __name__ == "__main__":
    asyncio.run(main())


ROLLBACK_S = 12.0
"""The server undoes an installation after this time without a sign of the deployer; by default after ten minutes.

It must be longer than a step on a busy machine, or the server would undo an installation that still runs."""


BOOT_LIMIT_S = 120.0


SETTLED = """
set +e
steady=0 tries=0
while [ $steady -lt 10 ] && [ $tries -lt 600 ]; do
    tries=$((tries + 1))
    if [ -e /var/lib/stardust ] || systemctl list-units --all --plain --no-legend 'stardust*' | grep -q .; then steady=0; else steady=$((steady + 1)); fi
    sleep 0.1
done
pgrep -af 'sh -s|sftp-server|/var/lib/stardust/rollback'
echo "tries $tries"
"""


class Cutting(Trial):
    """Installations whose connection is cut, or whose deployer is killed."""

    async def settle(self) -> None:
        """Wait until no file or process of an installation is left."""
        assert "tries 600" not in await self.sh(SETTLED)

    async def reboot(self, boot: str) -> None:
        """Wait until a host that is rebooting has booted. Each question has a time limit: one during the shutdown is never answered.

        Args: boot: the id of the boot that ends.
        """
        ends_at = time.monotonic() + BOOT_LIMIT_S
        question = ("/bin/sh", "-c", "cat /proc/sys/kernel/random/boot_id; systemctl is-system-running")
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                told = (await asyncio.to_thread(self.host.run, *question, check=False, timeout_s=5)).stdout.split()
                if len(told) == 2 and told[0] != boot.strip() and told[1] in ("running", "degraded"):
                    return
            assert time.monotonic() < ends_at
            await asyncio.sleep(0.2)

    async def cut(self, step: str, offset: int, *, reachable: bool = False, user: str = "admin", rollback_s: float = ROLLBACK_S) -> str:
        """Install, and cut the connection `offset` bytes after the begin of a step. Returns: the code of the error."""
        async with Wire(self.host.address, self.host.port) as wire:
            wire.reachable = reachable

            class Cutter(Notes):
                async def started(self, name: str) -> None:
                    await super().started(name)
                    if name == step:
                        wire.cut_after(offset)

            self.notes = Cutter()
            self.major = MajorTom(SystemClock(), any_address, Limits(verify_s=5, rollback_s=rollback_s))
            target = Target("127.0.0.1", wire.port, user, Secret(self.host.private_key()), None, None, Secret("lab-admin-pw"), None, None)

            async def wait(_seconds: float) -> None:
                if step == "verify" and wire.cuts == 0:
                    wire.cut_after(0)
                raise TimeoutError

            with pytest.raises(DeployError) as caught:
                await self.install(wait, target)
            assert wire.cuts, "the step was over before that many bytes were sent"
            return caught.value.code

    async def kill(self, step: str) -> None:
        """Install in another process, and kill that process at the beginning of a step."""
        asked = {
            "host": self.host.address, "port": self.host.port, "user": "admin", "key": self.host.private_key(), "sudo": "lab-admin-pw",
            "url": self.url, "fleet": FLEET, "rollback_s": ROLLBACK_S,
            "conf": f"[hub]\nurl = {self.url}\nfleet = {FLEET}\n\n[node]\nid = {FLEET}\ngeneration = 1\nname = trial\n",
            "policy": "[policy]\nversion = 1\nmode = managed\n",
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.cut_deployment", cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(asked).encode())
            process.stdin.close()
            async with asyncio.timeout(60):
                while (await process.stdout.readline()).decode().strip() != step:
                    assert not process.stdout.at_eof(), f"it never came to {step}"
        finally:
            process.kill()
            await process.wait()
