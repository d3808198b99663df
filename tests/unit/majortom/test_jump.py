"""Servers behind a jump host: the same rules for both host keys, and no credential sent to the wrong server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import asyncssh
import pytest

from groundcontrol.core.addresses import is_forbidden
from majortom.interfaces import DeployError, Secret, Target
from majortom.ssh.connect import Connector, Limits, describe
from majortom.ssh.login_steps import Steps, prepare_login
from tests.support.addresses import any_address
from tests.support.some import some
from tests.support.ssh_server import Person, jumping, no_limit, serving

BASTION = asyncssh.generate_private_key("ssh-ed25519")
INNER = asyncssh.generate_private_key("ssh-ed25519")
OTHER = asyncssh.generate_private_key("ssh-ed25519")


def target(port: int, host: str = "127.0.0.1", *, jump: Target | None = None, pinned: asyncssh.SSHKey | None = None) -> Target:
    known = None if pinned is None else describe(pinned)
    return Target(host, port, "admin", None, None, Secret("right"), None, known, None, jump=jump)


@contextlib.asynccontextmanager
async def both() -> AsyncIterator[tuple[int, list[str], int, list[str]]]:
    async with jumping(BASTION) as (jump, at_jump), serving(INNER) as (port, at_server):
        yield jump, at_jump, port, at_server


async def reach(wanted: Target, person: Person) -> tuple[str, str]:
    connector = Connector(Limits(connect_s=5, login_s=5), any_address)
    async with (
        prepare_login(connector, wanted, Steps(person), no_limit) as context,
        connector.login(wanted, context.reached, None, some(context.jump).tunnel),
    ):
        return context.reached.key.fingerprint, context.reached.via


async def fails(wanted: Target, person: Person) -> DeployError:
    with pytest.raises(DeployError) as caught:
        await reach(wanted, person)
    return caught.value


async def test_both_host_keys_are_shown_with_their_hosts() -> None:
    person = Person()
    async with both() as (jump, at_jump, port, at_server):
        found = await reach(target(port, jump=target(jump)), person)
    assert found == (INNER.get_fingerprint(), "127.0.0.1")
    assert person.shown == [describe(BASTION)._replace(host="127.0.0.1"), describe(INNER)]
    assert set(at_jump) == {"begin admin", "password admin", f"through to 127.0.0.1 {port}"}
    assert at_server == ["begin admin", "password admin"]


@pytest.mark.holds("S-53")
async def test_a_jump_host_that_changed_gets_no_authentication_packet() -> None:
    async with both() as (jump, at_jump, port, at_server):
        error = await fails(target(port, jump=target(jump, pinned=OTHER)), Person())
    assert (error.code, error.step) == ("host_key_changed", "host_key")
    assert error.message.startswith("At the jump host 127.0.0.1: ")
    assert (at_jump, at_server) == ([], [])


async def test_an_unconfirmed_jump_host_gets_no_authentication_packet() -> None:
    async with both() as (jump, at_jump, port, at_server):
        error = await fails(target(port, jump=target(jump)), Person(trusts=False))
    assert error.code == "host_key_unconfirmed"
    assert (at_jump, at_server) == ([], [])


@pytest.mark.holds("S-53")
async def test_a_jump_host_that_substitutes_the_server_learns_nothing() -> None:
    async with both() as (jump, _, port, at_server):
        error = await fails(target(port, jump=target(jump, pinned=BASTION), pinned=OTHER), Person())
    assert error.code == "host_key_changed"
    assert INNER.get_fingerprint() in error.message
    assert at_server == []


async def test_a_refusal_of_the_jump_host_is_reported() -> None:
    async with both() as (jump, _, port, _seen):
        error = await fails(target(port, "closed.example", jump=target(jump, pinned=BASTION)), Person())
        assert (error.code, error.step, error.at_jump_host) == ("jump_failed", "connect", False)
        assert "closed.example" in error.message
        wrong = target(jump, pinned=BASTION)._replace(password=Secret("wrong-canary"))
        error = await fails(target(port, jump=wrong), Person())
    assert (error.code, error.at_jump_host) == ("password_rejected", True)
    assert "At the jump host 127.0.0.1" in error.message
    assert "canary" not in error.message


@pytest.mark.holds("S-24")
async def test_the_metadata_address_of_a_cloud_is_not_reached_through_a_jump_host_either() -> None:
    async with jumping(BASTION) as (jump, at_jump):
        connector = Connector(Limits(connect_s=5, login_s=5), lambda address: "no server" if is_forbidden(address) else None)
        with pytest.raises(DeployError) as caught:
            async with prepare_login(connector, target(22, "169.254.169.254", jump=target(jump)), Steps(Person()), no_limit):
                pass
    assert caught.value.code == "target_not_allowed"
    assert not [line for line in at_jump if line.startswith("through")]
