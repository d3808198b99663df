"""Hosts for the tests of what runs on a node."""

from __future__ import annotations

import json
import os

import pytest

from tests.support import lab as labs
from tests.system.agent_host import AgentHost


@pytest.fixture
def bare_host(request: pytest.FixtureRequest) -> labs.Host:
    """A Debian host in factory state: one of the tests' own, or the one that STARDUST_LAB_HOST names in the lab of LAB_DIR."""
    name = os.environ.get("STARDUST_LAB_HOST")
    if name is None:
        host: labs.Host = request.getfixturevalue("host")
        return host
    facts = next(facts for facts in json.loads(labs.lab("list")) if facts["name"] == name)
    host = labs.Host(facts)
    host.reset()
    return host


@pytest.fixture
def agent(bare_host: labs.Host) -> AgentHost:
    """A host on which Stardust's units run, without a hub."""
    agent = AgentHost(bare_host)
    agent.install()
    return agent
