"""The fifteen-minute limit of a whole deployment: it ends any step, and only working time counts. The server is simulated."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import AsyncIterator, Callable

import asyncssh
import pytest

from majortom.deployer import MajorTom
from majortom.install import InstallOptions
from majortom.interfaces import DeployError, HostKey, Payload, Secret, Target
from majortom.probe import Probe
from majortom.ssh.connect import Limits
from spider.clock import SystemClock
from tests.support.addresses import any_address
from tests.support.ssh_server import Watcher

KEY = asyncssh.generate_private_key("ssh-ed25519")
URL = "ws://127.0.0.1:1/ws"
FOLDER = "/tmp/stardust-upload.abcdefghij"  # of the played server
LOOKED = """uid=0
kernel=Linux
arch=x86_64
hostname=played
clock=0
os_id=debian
os_pretty_name=Debian
systemd_version=systemd 252
systemd_state=running
systemd=yes
selinux=absent
package_manager=apt-get
folder /opt=1000000 yes no
folder /etc/systemd/system=1000000 yes no
folder /var/lib=1000000 yes no
folder /tmp=1000000 yes no
existing=
user=
group=
jobs=0
python=/usr/bin/python3
python_version=3.11.2
reach=ok
"""


class Server:
    """Answers our scripts as a fresh server does, but never comes back from `stuck`."""

    def __init__(self, stuck: str) -> None:
        self.stuck = stuck
        self.did: list[str] = []

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        words = shlex.split(process.command or "")
        at = next(at for at, word in enumerate(words) if word.startswith("sd") and len(word) == 34)
        ready, given = words[at], words[at + 1 :]
        with contextlib.suppress(asyncssh.Error, BrokenPipeError):
            process.stdout.write(f"{ready}\n".encode())
            script = await process.stdin.read()
            process.stdout.write(await self._answer(given, script) + b"ok\n")
            process.exit(0)

    async def _answer(self, given: list[str], script: bytes) -> bytes:
        if not given:
            return f"folder {FOLDER}\n".encode() if b"mktemp" in script else b"uid 0\n"
        if given[0] == URL:
            return LOOKED.encode()
        self.did.append(("drop" if len(given) == 1 else "send") if given[0] == FOLDER else given[0])
        if given[0] == self.stuck:
            await asyncio.Event().wait()
        return b""


class Hours:
    """The time of this loop, which a test moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        real, self._ahead_s = loop.time, 0.0
        monkeypatch.setattr(loop, "time", lambda: real() + self._ahead_s)

    def pass_by(self, seconds: float) -> None:
        self._ahead_s += seconds


class Watch:
    """A user who looks at the fingerprint for a while; then the work takes its time."""

    def __init__(self, hours: Hours, looks_s: float, works_s: float) -> None:
        self._hours = hours
        self._looks_s = looks_s
        self._works_s = works_s
        self.details: list[str] = []

    async def started(self, step: str) -> None:
        if step == "install":
            self._hours.pass_by(self._works_s)

    async def detail(self, step: str, text: str) -> None:
        self.details.append(f"{step}: {text}")

    async def done(self, step: str, detail: str = "") -> None:
        pass

    async def confirm_host_key(self, key: HostKey) -> bool:
        self._hours.pass_by(self._looks_s)
        await asyncio.sleep(0)  # everything due by then happens
        await asyncio.sleep(0)
        return True


async def payload(_probe: Probe) -> Payload:
    return Payload("0.1.0", b"bundle", "conf", "[policy]\nmode = monitor\n", Secret("5e" * 32), Secret("1a" * 32), install_python=False)


async def install(watch: Watch, port: int, finished: Callable[[HostKey], None] | None = None) -> None:
    async def name_of(_node: str) -> str:
        return "web-1"

    async def at_once(_seconds: float) -> None:
        return

    wish = InstallOptions(URL, tls_pinned=False, fleet="f" * 26, install_python=False, name_of=name_of, finished=finished)
    target = Target("127.0.0.1", port, "root", None, None, Secret("right"), None, None, None)
    await MajorTom(SystemClock(), any_address).install(target, wish, watch, payload, at_once)


@contextlib.asynccontextmanager
async def playing(server: Server) -> AsyncIterator[int]:
    listener = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=lambda: Watcher([]), server_host_keys=[KEY], process_factory=server.serve, encoding=None
    )
    try:
        yield listener.get_port()
    finally:
        listener.close()
        await listener.wait_closed()


WHOLE_S = Limits().whole_s


@pytest.mark.holds("SAFETY-68")
@pytest.mark.parametrize("looks_s", [0.0, 10 * WHOLE_S])
async def test_a_deployment_over_its_time_limit_ends_and_is_rolled_back(monkeypatch: pytest.MonkeyPatch, looks_s: float) -> None:
    server = Server(stuck="install")
    watch = Watch(Hours(monkeypatch), looks_s, works_s=WHOLE_S)
    async with playing(server) as port:
        with pytest.raises(DeployError, match="longer than 15 minutes") as caught:
            await install(watch, port)
    assert (caught.value.code, caught.value.step) == ("deadline", "install")
    assert [act for act in server.did if act != "install"] == ["arm", "send", "undo", "drop"]
    assert watch.details[-1] == "install: everything was taken back: the server is as before"


async def test_waiting_for_the_fingerprint_confirmation_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(stuck="")
    async with playing(server) as port:
        await install(Watch(Hours(monkeypatch), looks_s=10 * WHOLE_S, works_s=WHOLE_S / 2), port)
    assert server.did == ["arm", "send", "install", "start", "finish"]


async def test_an_installation_is_reported_as_final_before_its_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may close slowly, and a cancellation or the time limit may end the wait for it."""
    server, final = Server(stuck=""), asyncio.Event()

    async def hang(_connection: asyncssh.SSHClientConnection) -> None:
        await asyncio.Event().wait()

    def finished(_key: HostKey) -> None:
        monkeypatch.setattr(asyncssh.SSHClientConnection, "wait_closed", hang)
        final.set()

    async with playing(server) as port:
        work = asyncio.create_task(install(Watch(Hours(monkeypatch), 0.0, 0.0), port, finished))
        async with asyncio.timeout(60):
            await final.wait()
        await asyncio.sleep(0)
        work.cancel()
        await asyncio.wait({work})
    assert work.cancelled()
    assert server.did[-1] == "finish", "nothing is undone"
