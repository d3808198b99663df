"""Hosts for the tests of what runs on a node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import lab as labs
from tests.support.agent_host import AgentHost
from tests.support.deploy_client import Desk, any_host
from tests.support.hub import HubProcess
from tests.support.lab import named_host


@pytest.fixture
def bare_host(request: pytest.FixtureRequest) -> labs.Host:
    """A Debian host in factory state: one of the tests' own, or the one that is named."""
    named = named_host()
    if named is None:
        host: labs.Host = request.getfixturevalue("host")
        return host
    named.reset()
    return named


@pytest.fixture(scope="module")
def kept_agent(request: pytest.FixtureRequest) -> AgentHost:
    """What `agent` gives, once for a module whose tests leave it usable. Not the host that `host` resets."""
    host: labs.Host = named_host() or request.getfixturevalue("lab_hosts")[1]
    host.reset()
    agent = AgentHost(host)
    agent.install()
    return agent


@pytest.fixture
def agent(bare_host: labs.Host) -> AgentHost:
    """A host on which Stardust's units run, without a hub."""
    agent = AgentHost(bare_host)
    agent.install()
    return agent


@pytest.fixture(scope="module")
def shared_desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A hub for a module, which a test may kill, and a host to deploy to."""
    host = any_host(lambda: request.getfixturevalue("lab_hosts")[0])
    with Desk(HubProcess(tmp_path_factory.mktemp("desk") / "hub", faults=["killable"]), host) as desk:
        yield desk


@pytest.fixture
def desk(shared_desk: Desk) -> Desk:
    """The module's hub and host, with the host as it was at first."""
    shared_desk.freshen()
    return shared_desk
