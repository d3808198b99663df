"""Servers that reach their hub through an HTTP proxy only: a real tinyproxy, a real host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deploy_client import Desk, Look, any_host, told
from tests.support.http_proxy import HttpProxy, http_proxy
from tests.support.hub import HubProcess
from tests.support.join_host import invited, until_online
from tests.support.ports import free_port

pytestmark = [pytest.mark.system, pytest.mark.slow]  # test_deploy deploys through a proxy, and names one that cannot be reached


@pytest.fixture(scope="module")
def module_desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    host = any_host(lambda: request.getfixturevalue("lab_hosts")[0])
    with Desk(HubProcess(tmp_path_factory.mktemp("proxied") / "hub"), host) as desk:
        yield desk


@pytest.fixture
def desk(module_desk: Desk) -> Desk:
    module_desk.freshen()
    return module_desk


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[HttpProxy]:
    with http_proxy(tmp_path) as one:
        yield one


def test_a_server_is_deployed_to_through_the_proxy_and_removed(desk: Desk, proxy: HttpProxy) -> None:
    look = Look(desk)
    row = desk.install("root", proxy=proxy.url)
    assert row["state"] == "succeeded", told(row)
    assert f"proxy = {proxy.url}\n" in desk.host.sh("cat /etc/stardust/spider.conf")
    assert proxy.connects() >= 2  # of the probe and of the session
    removed = desk.remove(row["node_id"])
    assert removed["state"] == "succeeded", told(removed)
    look.check_unchanged()


def test_a_server_joins_and_leaves_through_the_proxy(desk: Desk, proxy: HttpProxy) -> None:
    look = Look(desk)
    made = invited(desk.hub, proxy=proxy.url)
    assert f"https_proxy={proxy.url}" in made["command"]
    done = desk.host.run("sh", stdin=made["command"], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (node,) = desk.nodes()
    until_online(desk.hub, node["id"])
    assert f"proxy = {proxy.url}\n" in desk.host.sh("cat /etc/stardust/spider.conf")
    assert proxy.connects() >= 2
    before = proxy.connects()
    desk.host.run("/opt/stardust/stardust-spider", "uninstall")
    assert desk.nodes() == []
    assert proxy.connects() > before  # of the farewell
    look.check_unchanged()


def test_an_unreachable_proxy_is_reported(desk: Desk) -> None:
    look = Look(desk)
    row = desk.install("root", proxy=f"http://127.0.0.1:{free_port()}")
    assert (row["error"]["code"], row["error"]["step"]) == ("hub_unreachable", "probe"), told(row)
    look.check_unchanged()
