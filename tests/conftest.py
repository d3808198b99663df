"""Which tests run here, and what every test must leave behind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support import lab as labs


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the long tests (full fault counts, soak)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot run here, with the reason; in CI nothing is left out quietly."""
    no_lab = labs.unavailable()
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))
        if item.get_closest_marker("system") and no_lab and not os.environ.get("CI"):
            item.add_marker(pytest.mark.skip(reason=no_lab))
    # Quick tests first: a mistake shows early.
    order = {"unit": 0, "fuzz": 1, "contract": 2, "e2e": 3, "system": 4, "browser": 5}
    items.sort(key=lambda item: order.get(item.path.relative_to(config.rootpath / "tests").parts[0], 0))


@pytest.fixture(scope="session")
def lab_hosts() -> Iterator[list[labs.Host]]:
    """Two Debian hosts that live as long as the tests run."""
    reason = labs.unavailable()
    if reason:
        pytest.fail(f"this test needs lab hosts, and {reason}")
    hosts = labs.up(debian=2)
    yield hosts
    labs.down()


@pytest.fixture
def host(lab_hosts: list[labs.Host]) -> labs.Host:
    """A Debian host in factory state."""
    first = lab_hosts[0]
    first.reset()
    return first


@pytest.fixture
def second_host(lab_hosts: list[labs.Host]) -> labs.Host:
    """Another Debian host in factory state."""
    second = lab_hosts[1]
    second.reset()
    return second
