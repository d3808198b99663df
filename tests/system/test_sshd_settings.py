"""Settings of a server's sshd: each allows the deployment, or ends it with an error that names the setting."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from majortom.interfaces import DeployError, Secret, Target
from majortom.ssh import shell
from majortom.ssh.connect import Connector, Limits
from majortom.ssh.login_steps import Steps, log_in_as_root, prepare_login
from majortom.ssh.shell import ScriptOutput
from tests.support.addresses import any_address
from tests.support.deploy_client import any_host
from tests.support.lab import Host
from tests.support.ssh_server import Person, no_limit
from tests.support.sshd import sshd

pytestmark = pytest.mark.system

LIMITS = Limits(connect_s=20, login_s=20)
COUNT = "main() { printf 'uid %s\\n' \"$(id -u)\"; printf 'ok\\n'; }\nmain </dev/null\nexit $?\n"


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Host:
    """Its own sshd is not touched, and nothing is installed: it need not be in factory state."""
    return any_host(lambda: request.getfixturevalue("lab_hosts")[0])


@contextlib.asynccontextmanager
async def running(server: Host, *settings: str) -> AsyncIterator[Target]:
    """An sshd with these settings, and how to log in as root."""
    with contextlib.ExitStack() as stack:
        port = await asyncio.to_thread(stack.enter_context, sshd(server, *settings))
        yield Target(server.address, port, "root", Secret(server.private_key()), None, None, None, None, None)


async def log_in(target: Target) -> ScriptOutput:
    """Up to a script that runs as root."""
    connector, steps = Connector(LIMITS, any_address), Steps(Person())
    async with prepare_login(connector, target, steps, no_limit) as context, log_in_as_root(connector, context, steps, LIMITS) as login:
        return await shell.run(login, COUNT, [], "probe", LIMITS.step_s)


async def refused(target: Target) -> DeployError:
    with pytest.raises(DeployError) as caught:
        await log_in(target)
    return caught.value


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")
@pytest.mark.parametrize(
    "settings",
    [
        ("Ciphers aes256-ctr,aes192-ctr,aes128-ctr", "MACs hmac-sha2-512,hmac-sha2-256"),
        pytest.param(
            ("Ciphers aes256-ctr", "MACs umac-128@openssh.com", "KexAlgorithms diffie-hellman-group18-sha512"), marks=pytest.mark.slow
        ),
        ("Ciphers chacha20-poly1305@openssh.com", "KexAlgorithms curve25519-sha256"),
        pytest.param(
            ("Ciphers chacha20-poly1305@openssh.com", "KexAlgorithms diffie-hellman-group-exchange-sha256"), marks=pytest.mark.slow
        ),
    ],
    ids=["stig", "umac", "chacha20", "exchange"],
)
async def test_a_hardened_server_accepts_the_log_in(server: Host, settings: tuple[str, ...]) -> None:
    async with running(server, *settings) as target:
        assert (await log_in(target)).of("uid") == ["0"]


@pytest.mark.parametrize(
    ("setting", "what", "offered"),
    [
        ("KexAlgorithms diffie-hellman-group14-sha1", "key exchange method", "diffie-hellman-group14-sha1"),
        ("Ciphers aes256-cbc,3des-cbc", "cipher", "3des-cbc, aes256-cbc"),
        ("Ciphers aes256-ctr\nMACs hmac-sha1", "MAC", "hmac-sha1"),
        ("HostKeyAlgorithms ssh-rsa", "host key type", "ssh-rsa"),
    ],
)
async def test_a_missing_common_algorithm_is_named(server: Host, setting: str, what: str, offered: str) -> None:
    async with running(server, setting) as target:
        error = await refused(target)
    assert (error.code, error.step) == ("no_common_algorithm", "connect")
    assert f"no {what} that is safe and known here, but only {offered}:" in error.message


async def test_a_server_without_free_connections_is_quoted(server: Host) -> None:
    async with running(server, "MaxStartups 1:100:1") as target:
        reader, first = await asyncio.open_connection(target.host, target.port)
        assert (await reader.readline()).startswith(b"SSH-2.0-")
        error = await refused(target)
        first.close()
        await first.wait_closed()
    assert (error.code, error.step) == ("ssh_refused", "connect")
    assert "Exceeded MaxStartups" in error.message
    assert "try again in a minute" in error.message


@pytest.mark.parametrize(
    ("methods", "asks"),
    [("publickey,keyboard-interactive", "Password:"), ("publickey,password", "a password"), ("publickey,publickey", "another method")],
)
async def test_a_required_second_factor_is_reported(server: Host, methods: str, asks: str) -> None:
    """PAM's stack here asks for a password as it would for a code."""
    settings = ("UsePAM yes", "KbdInteractiveAuthentication yes", "HostbasedAuthentication yes", f"AuthenticationMethods {methods}")
    async with running(server, *settings) as target:
        error = await refused(target)
        assert (error.code, error.step) == ("second_factor", "authenticate")
        assert f"more than the key ({asks})" in error.message
        error = await refused(target._replace(private_key=Secret(server.private_key("id_stranger"))))
        assert error.code == "key_rejected"


async def test_a_password_required_after_the_key_is_sent(server: Host) -> None:
    async with running(server, "UsePAM yes", "AuthenticationMethods publickey,password") as target:
        answer = await log_in(target._replace(username="admin", password=Secret("lab-admin-pw")))
    assert answer.of("uid") == ["0"]


async def test_a_certificate_opens_the_log_in(server: Host, tmp_path: Path) -> None:
    """No file of the server names the key, only the authority that signed it."""

    def key(name: str, *words: str) -> None:
        subprocess.run(["ssh-keygen", "-q", *words, str(tmp_path / name)], check=True, timeout=60)

    for name in ("authority", "mine"):
        key(name, "-t", "ed25519", "-N", "", "-f")
    key("mine.pub", "-s", str(tmp_path / "authority"), "-I", "lab", "-n", "root", "-V", "+1h")
    authority = "/run/lab-authority.pub"
    await asyncio.to_thread(server.run, "/bin/sh", "-c", f"cat >{authority}", stdin=(tmp_path / "authority.pub").read_text())
    try:
        async with running(server, "AuthorizedKeysFile none", f"TrustedUserCAKeys {authority}") as target:
            mine = target._replace(private_key=Secret((tmp_path / "mine").read_text()))
            assert (await refused(mine)).code == "key_rejected"
            certified = mine._replace(certificate=(tmp_path / "mine-cert.pub").read_text())
            assert (await log_in(certified)).of("uid") == ["0"]
    finally:
        await asyncio.to_thread(server.sh, f"rm {authority}")


async def test_the_reason_of_an_ended_log_in_is_reported(server: Host) -> None:
    async with running(server, "MaxAuthTries 1") as target:
        assert (await refused(target._replace(private_key=Secret(server.private_key("id_stranger"))))).code == "key_rejected"
    async with running(
        server, "UsePAM yes", "GSSAPIAuthentication yes", "Match User root", "AuthenticationMethods gssapi-with-mic"
    ) as target:
        assert (await refused(target)).code == "method_off"
        await asyncio.to_thread(server.sh, "echo down for work > /run/nologin")
        try:
            error = await refused(target._replace(username="ops"))
        finally:
            await asyncio.to_thread(server.sh, "rm /run/nologin")
    assert error.code == "account_refused"
    assert "(down for work)" in error.message


async def test_an_expired_password_is_reported(server: Host) -> None:
    await asyncio.to_thread(server.sh, "chage -d 0 ops")
    try:
        async with running(
            server, "UsePAM yes", "KbdInteractiveAuthentication yes", "AuthenticationMethods keyboard-interactive"
        ) as target:
            error = await refused(target._replace(username="ops", private_key=None, password=Secret("lab-ops-pw")))
        async with running(server, "UsePAM yes") as target:
            by_key = await refused(target._replace(username="ops"))
    finally:
        await asyncio.to_thread(server.sh, "chage -d $(date +%F) ops")
    assert (error.code, by_key.code) == ("password_expired", "password_expired")
