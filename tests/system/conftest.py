"""Hosts for the tests of Spider on a node."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.support import lab as labs
from tests.support.agent_host import AgentHost
from tests.support.deploy_client import Desk, any_host
from tests.support.hub import HubProcess
from tests.support.lab import named_host

LIMIT_S = 600
"""Of a test on hosts."""
BUILDING = pytest.StashKey[subprocess.Popen[bytes]]()


def flavours_of(item: pytest.Item) -> list[str]:
    """The kinds of host, other than `debian`, on which a test is run."""
    of_module = getattr(getattr(item, "module", None), "FLAVOUR", None)
    given = getattr(item, "callspec", None)
    named = [*given.params.values()] if given else []
    return [name for name in (of_module, *named) if isinstance(name, str) and name in labs.program().FLAVOURS and name != "debian"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test has time for a busy machine."""
    for item in items:
        if item.get_closest_marker("system") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LIMIT_S))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin to build the trees that are missing, in the order in which they are wanted; one of the processes does it for all."""
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0" or labs.unavailable():
        return
    run = [item for item in session.items if item.get_closest_marker("system") and not item.get_closest_marker("skip")]
    wanted = dict.fromkeys(name for item in run for name in flavours_of(item))
    if wanted:
        session.stash[BUILDING] = labs.build(*wanted)


def pytest_sessionfinish(session: pytest.Session) -> None:
    building = session.stash.get(BUILDING, None)
    if building is not None:
        building.terminate()
        building.wait()


@pytest.fixture
def bare_host(request: pytest.FixtureRequest) -> labs.Host:
    """A Debian host in factory state: one of the tests' own, or the named one."""
    named = named_host()
    if named is None:
        host: labs.Host = request.getfixturevalue("host")
        return host
    named.reset()
    return named


@pytest.fixture(scope="module")
def kept_agent(request: pytest.FixtureRequest) -> AgentHost:
    """As `agent`, once for a module whose tests leave it usable. Not the host that `host` resets."""
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
