"""An sshd of OpenSSH 9.8 or newer with its defaults, which penalises addresses that connect without logging in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from majortom.interfaces import DeployError, Secret, Target
from majortom.ssh.connect import Connector, Limits
from majortom.ssh.login_steps import Steps, log_in_as_root, prepare_login
from tests.support import lab as labs
from tests.support.addresses import any_address
from tests.support.lab import Host
from tests.support.ssh_server import Person, no_limit
from tests.support.sshd import sshd

pytestmark = pytest.mark.system

LIMITS = Limits(connect_s=30, login_s=60)


@pytest.fixture(scope="module")
def jump_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    request.getfixturevalue("lab_hosts")
    with labs.one("debian-new") as host:
        version = host.run("/usr/sbin/sshd", "-V").stderr.removeprefix("OpenSSH_").split("p", maxsplit=1)[0]
        assert tuple(map(int, version.split("."))) >= (9, 8)
        yield host


async def log_in(connector: Connector, target: Target) -> None:
    steps = Steps(Person())
    async with prepare_login(connector, target, steps, no_limit) as context, log_in_as_root(connector, context, steps, LIMITS):
        pass


def targets(jump: Target, behind: Host, ports: list[int]) -> list[Target]:
    key = Secret(behind.private_key())
    return [Target(behind.address, port, "root", key, None, None, None, None, None, jump=jump) for port in ports]


@pytest.mark.parametrize("servers", [8, pytest.param(32, marks=pytest.mark.slow)])
async def test_a_default_jump_host_accepts_a_batch_of_servers(jump_host: Host, lab_hosts: list[Host], servers: int) -> None:
    """The servers behind it are sshds on ports of one host, whose own penalties another test covers."""
    jump = Target(jump_host.address, jump_host.port, "root", Secret(jump_host.private_key()), None, None, None, None, None)
    connector = Connector(LIMITS, any_address)
    with contextlib.ExitStack() as stack:
        ports = [await asyncio.to_thread(stack.enter_context, sshd(lab_hosts[0])) for _ in range(servers)]
        ends = await asyncio.gather(*(log_in(connector, one) for one in targets(jump, lab_hosts[0], ports)), return_exceptions=True)
    assert [str(end) for end in ends if end is not None] == []


async def test_a_penalised_address_is_advised_to_retry_later(jump_host: Host) -> None:
    with contextlib.ExitStack() as stack:
        port = await asyncio.to_thread(stack.enter_context, sshd(jump_host, "PerSourcePenalties authfail:600", "UsePAM yes"))
        wrong = Target(jump_host.address, port, "admin", None, None, Secret("wrong"), None, None, None)
        codes = []
        for _ in range(3):
            with pytest.raises(DeployError) as caught:
                await log_in(Connector(LIMITS, any_address), wrong)
            codes.append(caught.value.code)
    assert codes[0] == "password_rejected"
    assert codes[-1] == "ssh_refused"
    assert "(Not allowed at this time): it may limit connections; try again in ten minutes." in caught.value.message
