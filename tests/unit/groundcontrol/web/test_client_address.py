"""Which client address is used behind proxies."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from groundcontrol.web.client_address import client_of_peer
from tests.support.inprocess_hub import a_config, running

PROXIES = (ipaddress.ip_network("10.0.0.0/24"), ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("fd00::/64"))
ROWS = [
    ("203.0.113.1", [], "203.0.113.1", "no proxy, no header"),
    ("203.0.113.1", ["1.1.1.1"], "203.0.113.1", "a stranger's header counts for nothing"),
    ("10.0.1.1", ["1.1.1.1"], "10.0.1.1", "nor does that of a neighbour of the proxy"),
    ("127.0.0.1", [], "127.0.0.1", "the proxy itself"),
    ("127.0.0.1", ["203.0.113.1"], "203.0.113.1", "one hop"),
    ("127.0.0.1", ["1.1.1.1, 203.0.113.1"], "203.0.113.1", "what the client wrote itself stands to the left"),
    ("127.0.0.1", ["1.1.1.1", "203.0.113.1"], "203.0.113.1", "two headers are one list"),
    ("127.0.0.1", ["203.0.113.1, 10.0.0.7"], "203.0.113.1", "two proxies"),
    ("127.0.0.1", ["203.0.113.1, 10.0.9.9, 10.0.0.7"], "10.0.9.9", "the right-most that is none of ours"),
    ("127.0.0.1", ["203.0.113.1, nonsense"], "127.0.0.1", "what is no address ends the search"),
    ("127.0.0.1", ["203.0.113.1:4711"], "203.0.113.1", "with a port"),
    ("127.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1", "IPv6 with a port"),
    ("127.0.0.1", ["2001:db8::1"], "2001:db8::1", "IPv6"),
    ("::ffff:127.0.0.1", ["203.0.113.1"], "203.0.113.1", "IPv4 written as IPv6"),
    ("fd00::2", ["203.0.113.1"], "203.0.113.1", "a proxy with IPv6"),
    ("127.0.0.1", ["10.0.0.1, 10.0.0.2"], "10.0.0.1", "proxies all the way"),
    ("127.0.0.1", [""], "127.0.0.1", "an empty header"),
    ("", ["203.0.113.1"], "", "through the local socket"),
]


@pytest.mark.holds("SAFETY-27", "S-29")
@pytest.mark.parametrize(("peer", "headers", "expected", "why"), ROWS, ids=[row[3] for row in ROWS])
def test_the_address_of_the_client(peer: str, headers: list[str], expected: str, why: str) -> None:
    assert client_of_peer(peer, {"X-Forwarded-For": headers}, PROXIES, direct=False).address == expected, why


@pytest.mark.parametrize(
    ("peer", "headers", "direct", "sure"),
    [
        ("127.0.0.9", {}, True, True),
        ("127.0.0.9", {}, False, False),
        ("127.0.0.9", {"X-Forwarded-For": ["192.168.0.1"]}, True, False),
        ("127.0.0.9", {"Forwarded": ["for=192.168.0.1"]}, True, False),
        ("127.0.0.9", {"Via": ["1.1 cache"]}, True, False),
        ("127.0.0.1", {}, True, False),
        ("127.0.0.1", {"X-Forwarded-For": [""]}, False, False),
        ("127.0.0.1", {"X-Forwarded-For": ["unknown"]}, False, False),
        ("127.0.0.1", {"X-Forwarded-For": ["192.168.0.1, unknown"]}, False, False),
        ("127.0.0.1", {"X-Forwarded-For": ["10.0.0.7"]}, False, False),
        ("127.0.0.1", {"X-Real-IP": ["192.168.0.1"]}, False, False),
        ("127.0.0.1", {"X-Forwarded-For": ["192.168.0.1"]}, False, True),
        ("127.0.0.1", {"X-Forwarded-For": ["203.0.113.1, 10.0.0.7"]}, False, True),
        ("127.0.0.1", {"X-Forwarded-For": ["203.0.113.1, 192.168.0.1"]}, False, False),  # a balancer before the proxy that was named
        ("127.0.0.1", {"X-Forwarded-For": ["203.0.113.1", "192.168.0.1"]}, False, False),
        ("127.0.0.1", {"X-Forwarded-For": ["unknown, 192.168.0.1, 10.0.0.7"]}, False, False),
        ("127.0.0.1", {"X-Forwarded-For": [", ".join(["203.0.113.1", "192.168.0.1", *["10.0.0.7"] * 31])]}, False, False),
        ("127.0.0.1", {"X-Forwarded-For": ["192.168.0.1"], "X-Real-IP": ["192.168.0.1"]}, False, True),
        ("127.0.0.1", {"X-Forwarded-For": ["192.168.0.1, 10.0.0.7"], "X-Real-IP": ["10.0.0.7"]}, False, True),  # by the last of the named
        ("127.0.0.1", {"X-Forwarded-For": ["192.168.0.1"], "Via": ["1.1 Caddy"]}, False, True),  # the named one's own
        # what a balancer before the proxy that was named says, which says it in another header
        ("127.0.0.1", {"X-Forwarded-For": ["192.168.0.1"], "X-Real-IP": ["203.0.113.1"]}, False, False),
        ("127.0.0.1", {"X-Forwarded-For": ["192.168.0.1"], "X-Real-IP": ["unknown"]}, False, False),
        ("127.0.0.1", {"X-Forwarded-For": ["192.168.0.1"], "Forwarded": ["for=203.0.113.1"]}, False, False),
        ("", {}, True, False),
    ],
)
def test_whether_the_address_is_the_client_s_own(peer: str, headers: dict[str, list[str]], *, direct: bool, sure: bool) -> None:
    assert client_of_peer(peer, headers, PROXIES, direct=direct).sure == sure


def test_an_overlong_forwarded_list_is_cut() -> None:
    headers = {"X-Forwarded-For": [", ".join(["10.0.0.1"] * 10_000)]}
    assert client_of_peer("127.0.0.1", headers, PROXIES, direct=False).address == "10.0.0.1"


@pytest.mark.holds("S-29")
@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP", "Forwarded", "True-Client-IP", "X-Client-IP"])
async def test_headers_of_an_untrusted_peer_give_no_fresh_limit(tmp_path: Path, header: str) -> None:
    async with running(tmp_path, config=a_config(tmp_path, proxies="192.0.2.1")) as hub:
        statuses = [
            (
                await hub.anonymous().post(
                    "auth/login", {"username": f"u{number}", "password": "x"}, headers={header: f"203.0.113.{number}"}
                )
            ).status
            for number in range(6)
        ]
        assert statuses == [401] * 5 + [429]


async def test_behind_a_trusted_proxy_each_client_has_its_own_limit(tmp_path: Path) -> None:
    async with running(tmp_path, config=a_config(tmp_path, proxies="127.0.0.1")) as hub:
        statuses = [
            (
                await hub.anonymous().post(
                    "auth/login", {"username": f"u{number}", "password": "x"}, headers={"X-Forwarded-For": f"9.9.9.9, 203.0.113.{number}"}
                )
            ).status
            for number in range(6)
        ]
        assert statuses == [401] * 6
