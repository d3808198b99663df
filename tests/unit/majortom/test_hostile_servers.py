"""Servers that waste time or memory: each is left within the limits, with an error, and receives no secret."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncssh
import pytest

from majortom.errors import MESSAGES, REPORTED
from majortom.interfaces import DeployError, Secret, Target
from majortom.ssh.connect import Connector, Limits, describe
from majortom.ssh.shell import MAX_NOTES, MAX_OUTPUT_BYTES, ShellLogin, run
from majortom.ssh.sudo import Words
from tests.support.addresses import any_address
from tests.support.some import some
from tests.support.tcp_server import listening

LIMITS = Limits(connect_s=2, login_s=2)
KEY = asyncssh.generate_private_key("ssh-ed25519")


def target(port: int) -> Target:
    return Target("127.0.0.1", port, "admin", None, None, Secret("canary"), Secret("canary"), None, None)


@contextlib.asynccontextmanager
async def saying(talk: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A port that sends to every client; returns what it received."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tasks: set[asyncio.Task[None]]) -> None:
        task = some(asyncio.current_task())
        tasks.add(task)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(listen(reader))
                await talk(writer)
        except* ConnectionError:
            pass
        finally:
            writer.transport.abort()

    async def listen(reader: asyncio.StreamReader) -> None:
        heard.append(await reader.read(1 << 16))

    async with listening(serve) as port:
        yield port, heard


async def drip(writer: asyncio.StreamWriter) -> None:
    """A banner that comes byte by byte, and never ends."""
    while True:
        writer.write(b"S")
        await writer.drain()
        await asyncio.sleep(0.02)


async def lines_without_end(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"welcome to this server, which is not yours\r\n" * 1000)
        await writer.drain()


async def one_line_without_end(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def a_packet_without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-evil\r\n\xff\xff\xff\xf0")
    while True:
        writer.write(b"\0" * 65536)
        await writer.drain()


@pytest.mark.holds("S-55")
@pytest.mark.parametrize("talk", [drip, lines_without_end, one_line_without_end, a_packet_without_end])
async def test_a_server_that_talks_without_answering_times_out(talk: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with saying(talk) as (port, heard):
        with pytest.raises(DeployError) as caught:
            async with asyncio.timeout(60):
                await Connector(LIMITS, any_address).reach(target(port))
    assert caught.value.code in ("not_ssh", "connect_timeout", "ssh_refused")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024
    assert not any(b"canary" in piece for piece in heard)


def says(*lines: bytes) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    """A server that says this and hangs up."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(lines))
        await writer.drain()
        writer.close()

    return talk


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([b"Exceeded MaxStartups\r\n"], "(Exceeded MaxStartups): it may limit connections; try again in a minute."),
        ([b"Not allowed at this time\r\n"], "(Not allowed at this time): it may limit connections; try again in ten minutes."),
        ([b"Welcome to the cluster\r\n", b"Down for \x1b]0;x\x07\xe2\x80\xaework\r\n"], "(Down for ]0;x work)"),
        ([b"x" * 5000 + b"\n"], "x…)"),
        ([b"no newline"], "before it said that it is one"),
        ([], "before it said that it is one"),
        ([b"SSH-2.0-OpenSSH_9.8\r\n"], "onnection "),
    ],
)
async def test_a_closing_server_is_quoted(lines: list[bytes], sentence: str) -> None:
    async with saying(says(*lines)) as (port, heard):
        with pytest.raises(DeployError) as caught:
            await Connector(LIMITS, any_address).reach(target(port))
    assert (caught.value.code, caught.value.step) == ("ssh_refused", "connect")
    assert sentence in caught.value.message
    assert len(caught.value.message) < 400
    assert len(heard) == 1  # a second connection to find out why would cost the next one's welcome


async def test_a_server_with_only_ssh_version_1_is_reported_as_old() -> None:
    async with saying(says(b"SSH-1.5-Cisco-1.25\r\n")) as (port, _):
        with pytest.raises(DeployError) as caught:
            await Connector(LIMITS, any_address).reach(target(port))
    assert caught.value.code == "no_common_algorithm"
    assert "only SSH-1.5-Cisco-1.25:" in caught.value.message


@pytest.mark.parametrize(
    "greeting",
    [
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"* OK IMAP4rev1\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46",
        b"RFB 003.008\n",
    ],
)
async def test_a_server_of_another_protocol_is_reported_as_not_ssh(greeting: bytes) -> None:
    async def hold(writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await asyncio.sleep(60)

    for talk, limits in ((says(greeting), LIMITS), (hold, Limits(connect_s=0.5))):
        async with saying(talk) as (port, _):
            with pytest.raises(DeployError) as caught:
                await Connector(limits, any_address).reach(target(port))
        assert caught.value.code == "not_ssh"


class Talker(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


@contextlib.asynccontextmanager
async def shells(behave: Callable[[asyncssh.SSHServerProcess[bytes]], Awaitable[None]]) -> AsyncIterator[ShellLogin]:
    """A log-in at a server whose commands do this."""
    server = await asyncssh.listen("127.0.0.1", 0, server_factory=Talker, server_host_keys=[KEY], process_factory=behave, encoding=None)
    try:
        known = asyncssh.import_public_key(describe(KEY).public)
        async with asyncssh.connect(
            "127.0.0.1", server.get_port(), known_hosts=([known], [], []), username="admin", config=None, agent_path=None, client_keys=None
        ) as connection:
            yield ShellLogin(connection, "admin", "sudo", Secret("canary"))
    finally:
        server.close()
        await server.wait_closed()


def ready_word(process: asyncssh.SSHServerProcess[bytes]) -> bytes:
    """The arguments of a call are in its command line: a server sees them, and may echo them at any time."""
    words = (process.command or "").replace("'", " ").split()
    return [word for word in words if word.startswith("sd") and len(word) == len(Words.fresh().ready)][-1].encode()


@pytest.mark.holds("S-55")
async def test_a_server_with_endless_output_is_stopped() -> None:
    async def flood(process: asyncssh.SSHServerProcess[bytes]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionError, asyncssh.Error):
            process.stdout.write(ready_word(process) + b"\n")
            while True:
                process.stdout.write(b"uid 0\n" * 10_000)
                await process.stdout.drain()

    async with shells(flood) as login:
        with pytest.raises(DeployError) as caught:
            async with asyncio.timeout(60):
                await run(login, "true\n", [], "probe", 15)
    assert caught.value.code == "probe_failed"
    assert MAX_OUTPUT_BYTES <= 1 << 20


async def test_the_notes_of_a_server_are_passed_on_up_to_a_limit() -> None:
    """Each is written into the hub's database."""
    told: list[str] = []

    async def chatter(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(ready_word(process) + b"\n" + b"note x\n" * 20_000 + b"ok\n")
        process.exit(0)

    async def tell(text: str) -> None:
        told.append(text)

    async with shells(chatter) as login:
        answer = await run(login, "true\n", [], "install", 30, receive_note=tell)
    assert len(answer.notes) == 20_000
    assert told == ["x"] * MAX_NOTES


@pytest.mark.parametrize("code", sorted(MESSAGES))
async def test_any_error_code_that_a_server_reports_ends_in_a_sentence(code: str) -> None:
    """Only our scripts' own codes are taken over: a server does not choose what its deployment failed of."""

    async def refuse(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(ready_word(process) + f"\nerror {code} the reason\n".encode())
        process.exit(1)

    async with shells(refuse) as login:
        with pytest.raises(DeployError) as caught:
            await run(login, "true\n", [], "install", 15)
    assert caught.value.code == (code if code in REPORTED else "install_failed")
    assert "the reason" in caught.value.message or "{" not in MESSAGES[code]


@pytest.mark.holds("SAFETY-68")
async def test_a_server_that_goes_silent_ends_at_the_steps_time_limit() -> None:
    async def hang(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(ready_word(process) + b"\n")
        with contextlib.suppress(asyncssh.Error):
            while await process.stdin.read(100):
                pass
            await asyncio.sleep(60)

    async with shells(hang) as login:
        with pytest.raises(DeployError) as caught:
            async with asyncio.timeout(30):
                await run(login, "true\n", [], "probe", 0.5)
    assert (caught.value.code, caught.value.step) == ("step_timeout", "probe")
    assert "0.5 seconds" in caught.value.message


@pytest.mark.holds("SAFETY-66", "S-56")
async def test_a_sudo_that_imitates_other_prompts_never_gets_the_password() -> None:
    heard: list[bytes] = []

    async def lie(process: asyncssh.SSHServerProcess[bytes]) -> None:
        for prompt in (b"Password: ", b"[sudo] password for admin: ", b"doas (admin@host) password: ", b"sd" + b"0" * 32 + b" admin:"):
            process.stderr.write(prompt)
            process.stdout.write(prompt)
        with contextlib.suppress(TimeoutError, asyncssh.Error):
            async with asyncio.timeout(0.3):
                heard.append(await process.stdin.read(100))
        process.exit(1)

    async with shells(lie) as login:
        with pytest.raises(DeployError) as caught:
            await run(login, "true\n", [], "become_root", 15)
    assert caught.value.code == "sudo_failed"
    assert not any(heard)
