"""Connections to real SSH servers: nothing is sent to them before their key is known."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from majortom.interfaces import DeployError, HostKey, Secret, Target
from majortom.ssh.connect import Connector, Limits, ReachedServer, check_host_key, describe, same_fingerprint
from majortom.ssh.private_keys import LoadedKey, load_key
from majortom.ssh.server_opening import CHACHA, CIPHERS, HOST_KEY_ALGS, KEX_ALGS, MACS, OfferedAlgorithms, check_offer
from tests.support.addresses import any_address
from tests.support.background import cancelled
from tests.support.ports import free_port
from tests.support.ssh_server import Barring, Closed, Impatient, Watcher, serving
from tests.support.tcp_server import listening

ED25519 = asyncssh.generate_private_key("ssh-ed25519")
OTHER = asyncssh.generate_private_key("ssh-ed25519")
ECDSA = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
LIMITS = Limits(connect_s=5, login_s=5)


def target(port: int, **given: object) -> Target:
    fields = {
        "host": "127.0.0.1", "port": port, "username": "admin", "private_key": None, "passphrase": None, "password": None,
        "sudo_password": None, "pinned": None, "expected_fingerprint": None,
    }  # fmt: skip
    return Target(**{**fields, **given})  # type: ignore[arg-type]  # named as they are


@contextlib.asynccontextmanager
async def counting(port: int) -> AsyncIterator[tuple[int, list[str]]]:
    """Another port of the same server, which counts connections."""
    seen: list[str] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tasks: set[asyncio.Task[None]]) -> None:
        seen.append("connection")
        there, back = await asyncio.open_connection("127.0.0.1", port)
        tasks.update(asyncio.ensure_future(pass_on(*ways)) for ways in ((reader, back), (there, writer)))

    async with listening(serve) as counted_port:
        yield counted_port, seen


def connector() -> Connector:
    return Connector(LIMITS, any_address)


async def user_key() -> LoadedKey:
    return await load_key(Secret(asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()), None)


async def login_error(where: Target, reached: ReachedServer, key: LoadedKey | None) -> DeployError:
    with pytest.raises(DeployError) as caught:
        async with connector().login(where, reached, key):
            pass
    return caught.value


async def reach_and_log_in(where: Target) -> None:
    reached = await connector().reach(where)
    async with connector().login(where, reached, None):
        pass


@pytest.mark.holds("SAFETY-61", "S-53")
async def test_the_host_key_is_read_without_an_authentication_packet() -> None:
    async with serving(ED25519) as (port, seen):
        reached = await connector().reach(target(port))
    assert reached.key == describe(ED25519)
    assert reached.key.fingerprint == ED25519.get_fingerprint()
    assert seen == []


@pytest.mark.holds("SAFETY-61", "S-53")
async def test_a_man_in_the_middle_gets_no_authentication_packet() -> None:
    async with serving(ED25519) as (port, _):
        reached = await connector().reach(target(port))
    async with serving(OTHER) as (port, seen):
        error = await login_error(target(port, password=Secret("right")), reached, await user_key())
        assert error.code == "host_key_changed"
        assert error.step == "host_key"
    assert seen == []


@pytest.mark.holds("SAFETY-64")
async def test_a_refused_key_is_reported_and_no_other_is_offered() -> None:
    async with serving(ED25519) as (port, seen):
        reached = await connector().reach(target(port))
        key = await user_key()
        error = await login_error(target(port), reached, key)
    assert error.code == "key_rejected"
    assert "authorized_keys" in error.message
    assert [line for line in seen if line.startswith("key")] == [f"key admin {key.fingerprint}"]


async def test_a_wrong_password_is_named() -> None:
    async with serving(ED25519) as (port, _):
        reached = await connector().reach(target(port))
        error = await login_error(target(port, password=Secret("canary-wrong")), reached, None)
    assert error.code == "password_rejected"
    assert "canary" not in error.message


@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        (Impatient, "{}_rejected", "let admin in with this {}"),
        (Barring, "account_refused", "the {} (Down for work.)"),
        (Closed, "method_off", "takes no {} from admin"),
    ],
)
@pytest.mark.parametrize("given", ["key", "password"])
async def test_the_reason_of_a_refused_log_in_is_reported(kind: type[Watcher], code: str, says: str, given: str) -> None:
    async with serving(ED25519, kind=kind) as (port, _):
        reached = await connector().reach(target(port))
        key = await user_key() if given == "key" else None
        error = await login_error(target(port, password=None if key else Secret("canary")), reached, key)
    assert (error.code, error.step) == (code.format(given), "authenticate")
    assert says.format(given) in error.message
    assert "canary" not in error.message


@pytest.mark.holds("SAFETY-64", "S-58")
async def test_neither_ssh_agent_nor_ssh_config_of_the_hub_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent_calls: list[bytes] = []

    async def agent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        agent_calls.append(await reader.read(100))
        writer.close()

    listening = await asyncio.start_unix_server(agent, str(tmp_path / "agent"))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text("Host *\n  Port 1\n  User evil\n  ProxyCommand touch " + str(tmp_path / "pwn") + "\n")
    (tmp_path / ".ssh/id_ed25519").write_bytes(OTHER.export_private_key())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    async with serving(ED25519) as (port, seen):
        reached = await connector().reach(target(port))
        key = await user_key()
        await login_error(target(port), reached, key)
    listening.close()
    await listening.wait_closed()
    assert agent_calls == []
    assert not (tmp_path / "pwn").exists()
    assert seen[0] == "begin admin"
    assert not any(OTHER.get_fingerprint() in line for line in seen)


async def test_a_right_password_logs_in_and_the_connection_ends() -> None:
    async with serving(ED25519) as (port, _):
        reached = await connector().reach(target(port))
        async with connector().login(target(port, password=Secret("right")), reached, None) as connection:
            assert not connection.is_closed()
        assert connection.is_closed()


async def test_the_pinned_key_type_is_requested_first() -> None:
    async with serving(ED25519, ECDSA) as (port, _):
        assert (await connector().reach(target(port))).key.type == "ssh-ed25519"
        reached = await connector().reach(target(port, pinned=describe(ECDSA)))
        assert reached.key == describe(ECDSA)
        assert check_host_key(target(port, pinned=describe(ECDSA)), reached)


async def test_a_server_without_the_pinned_key_type_counts_as_changed() -> None:
    async with serving(ED25519) as (port, seen):
        where = target(port, pinned=describe(ECDSA), password=Secret("right"))
        error = await login_error(where, await connector().reach(where), None)
    assert (error.code, error.step) == ("host_key_changed", "host_key")
    assert ED25519.get_fingerprint() in error.message
    assert ECDSA.get_fingerprint() in error.message
    assert seen == []


async def test_a_server_with_a_known_key_is_logged_in_to_over_one_connection() -> None:
    async with serving(ED25519, ECDSA) as (port, seen), counting(port) as (front, connections):
        await reach_and_log_in(target(front, pinned=describe(ECDSA), password=Secret("right")))
    assert seen == ["begin admin", "password admin"]
    assert len(connections) == 1


async def test_an_unreachable_known_server_is_reported() -> None:
    where = target(free_port(), pinned=describe(ECDSA), password=Secret("right"))
    error = await login_error(where, await connector().reach(where), None)
    assert (error.code, error.step) == ("port_closed", "connect")


async def test_a_batch_asks_its_jump_host_once() -> None:
    ask = connector()
    async with serving(ED25519, ECDSA) as (port, _), counting(port) as (front, connections):
        reached = await asyncio.gather(*(ask.reach(target(front), through=True) for _ in range(32)))
        assert {one.key for one in reached} == {describe(ED25519)}
        assert len(connections) == 1
        other = await ask.reach(target(front, expected_fingerprint=ECDSA.get_fingerprint()), through=True)
        assert other.key == describe(ECDSA)
        await ask.reach(target(front))
    assert len(connections) > 3


async def test_a_fingerprint_of_any_of_the_server_s_keys_confirms_it() -> None:
    async with serving(ED25519, ECDSA) as (port, _):
        for key in (ED25519, ECDSA):
            where = target(port, expected_fingerprint=key.get_fingerprint())
            assert check_host_key(where, await connector().reach(where))
        where = target(port, expected_fingerprint=OTHER.get_fingerprint())
        with pytest.raises(DeployError) as caught:
            check_host_key(where, await connector().reach(where))
    assert caught.value.code == "host_key_unexpected"


@pytest.mark.holds("SAFETY-62", "S-54")
@pytest.mark.parametrize(
    ("weak", "what"),
    [
        ({"kex_algs": ["diffie-hellman-group1-sha1"]}, "key exchange method"),
        ({"kex_algs": ["diffie-hellman-group14-sha1"]}, "key exchange method"),
        ({"encryption_algs": ["aes128-cbc"], "mac_algs": ["hmac-sha2-256"]}, "cipher"),
        ({"encryption_algs": ["aes256-ctr"], "mac_algs": ["hmac-sha1"]}, "MAC"),
    ],
)
async def test_a_server_with_weak_methods_only_is_refused(weak: dict[str, Any], what: str) -> None:
    async with serving(ED25519, **weak) as (port, seen):
        with pytest.raises(DeployError) as caught:
            await reach_and_log_in(target(port, password=Secret("right")))
    assert caught.value.code == "no_common_algorithm"
    assert f"no {what} that is safe" in caught.value.message
    assert seen == []


@pytest.mark.holds("SAFETY-62")
async def test_a_hardened_server_is_logged_in_to() -> None:
    methods: dict[str, Any] = {"encryption_algs": ["aes256-ctr", "aes192-ctr"], "mac_algs": ["hmac-sha2-512", "hmac-sha2-256"]}
    async with serving(ED25519, **methods) as (port, seen):
        await reach_and_log_in(target(port, password=Secret("right")))
    assert seen == ["begin admin", "password admin"]


def offer(*ciphers: str, strict: bool, macs: tuple[str, ...] = ("hmac-sha2-256-etm@openssh.com",)) -> OfferedAlgorithms:
    kex = {"curve25519-sha256", *(["kex-strict-s-v00@openssh.com"] if strict else [])}
    return OfferedAlgorithms(frozenset(kex), frozenset(HOST_KEY_ALGS), ((frozenset(ciphers), frozenset(macs)),) * 2)


@pytest.mark.parametrize(
    ("offered", "code"),
    [
        (offer(CHACHA, strict=False), "no_strict_kex"),
        (offer(CHACHA, "aes128-cbc", strict=False), "no_strict_kex"),
        (offer(CHACHA, strict=True), None),
        (offer(CHACHA, "aes128-ctr", strict=False), None),
        (offer("aes256-gcm@openssh.com", strict=False, macs=()), None),
        (offer("aes128-cbc", strict=False), "no_common_algorithm"),
        (offer("aes128-ctr", strict=True, macs=("hmac-sha1",)), "no_common_algorithm"),
    ],
)
def test_only_vulnerable_ciphers_need_strict_key_exchange(offered: OfferedAlgorithms, code: str | None) -> None:
    error = check_offer(offered, "a.example", HOST_KEY_ALGS)
    assert (error and error.code) == code


@pytest.mark.holds("SAFETY-62")
async def test_short_rsa_host_keys_warn_or_are_refused() -> None:
    async with serving(asyncssh.generate_private_key("ssh-rsa", key_size=2048)) as (port, _):
        assert "2048" in (await connector().reach(target(port))).warning
    async with serving(asyncssh.generate_private_key("ssh-rsa", key_size=1024)) as (port, _):
        with pytest.raises(DeployError) as caught:
            await connector().reach(target(port))
    assert caught.value.code == "host_key_weak"


@pytest.mark.holds("SAFETY-62", "S-54")
def test_no_old_algorithm_is_offered() -> None:
    offered = " ".join((*HOST_KEY_ALGS, *KEX_ALGS, *CIPHERS, *MACS))
    for weak in ("sha1", "cbc", "dss", "md5", "group1-", "arcfour", "3des"):
        assert weak not in offered
    assert "ssh-rsa" not in HOST_KEY_ALGS
    assert KEX_ALGS


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def test_a_closed_port_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(DeployError) as caught:
            await connector().reach(target(unused.getsockname()[1]))
    assert caught.value.code == "port_closed"


async def test_a_wrong_host_is_named() -> None:
    with pytest.raises(DeployError) as caught:
        await connector().reach(target(22, host="no-such-host.invalid"))
    assert caught.value.code == "host_unknown"
    assert "no-such-host.invalid" in caught.value.message


async def test_a_silent_server_times_out(silent: int) -> None:
    with pytest.raises(DeployError) as caught:
        await Connector(Limits(connect_s=0.3), any_address).reach(target(silent))
    assert caught.value.code == "connect_timeout"


@pytest.fixture
async def web_server() -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def test_a_server_that_does_not_speak_ssh_is_reported(web_server: int) -> None:
    with pytest.raises(DeployError) as caught:
        await connector().reach(target(web_server))
    assert caught.value.code == "not_ssh"


@pytest.mark.holds("S-30")
async def test_the_address_policy_is_applied_to_the_connected_address(silent: int) -> None:
    with pytest.raises(DeployError) as caught:
        await Connector(LIMITS, lambda address: f"{address} is mine").reach(target(silent, host="localhost"))
    assert caught.value.code == "target_not_allowed"
    assert "127.0.0.1 is mine" in caught.value.message or "::1 is mine" in caught.value.message


async def test_eight_concurrent_connections_to_one_address_are_allowed(silent: int) -> None:
    limits = Limits(connect_s=30, at_once=8)
    busy = Connector(limits, any_address)
    tasks = [asyncio.create_task(busy.reach(target(silent))) for _ in range(12)]
    async with asyncio.timeout(60):
        while len(open_to(silent)) < 8:  # noqa: ASYNC110  # the table of the kernel tells nobody of its changes
            await asyncio.sleep(0.02)
    for _ in range(10):
        await asyncio.sleep(0.01)
        assert len(open_to(silent)) == 8
    await cancelled(*tasks)


def open_to(port: int) -> list[str]:
    """Established connections to this port, as this machine's /proc shows the client's ends."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return [line for line in lines if line.split()[2] == f"0100007F:{port:04X}" and line.split()[3] == "01"]


def test_two_concurrent_deployments_to_one_address_are_refused() -> None:
    busy = connector()
    reached = ReachedServer("127.0.0.1", HostKey("", "", ""), "")
    with busy.alone(reached, 22), pytest.raises(DeployError) as caught, busy.alone(reached, 22):
        pass
    assert caught.value.code == "busy"
    with busy.alone(reached, 22), busy.alone(reached, 23):
        pass


def test_pasted_fingerprints_are_normalised() -> None:
    shown = "SHA256:z4BBFpR+5fzBwlqRGCNtghe+sAIybLGmy10J75XmX2A"
    assert same_fingerprint(" z4BBFpR+5fzBwlqRGCNtghe+sAIybLGmy10J75XmX2A= ", shown)
    assert not same_fingerprint("SHA256:Z4BBFpR+5fzBwlqRGCNtghe+sAIybLGmy10J75XmX2A", shown)
