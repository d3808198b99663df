"""One policy for the addresses of servers and of receivers, compared as values."""

from __future__ import annotations

import psutil
import pytest

from groundcontrol.core.addresses import is_forbidden, is_loopback, is_own, parse, plain
from groundcontrol.notifications.egress import Denied, Egress


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "::", "169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:169.254.1.1",
        "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd20:ce::254", "fd00:42::42", "fd00:ec2::23", "240.0.0.1", "not-an-address", "fd00:ec2:0:0::254%eth0",
        "::ffff:100.100.100.200", "::168.63.129.16", "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::192.0.0.192",
        "2002:a9fe:a9fe::1", "2002:6464:64c8::", "::ffff:0:169.254.169.254", "2001:0:a9fe:a9fe::1", "2001:0:1:1::5601:5601",
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_servers_are_forbidden(address: str) -> None:
    assert is_forbidden(address)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "192.0.2.7",
        "127.0.0.1",
        "::1",
        "2001:db8::1",
        "fd00:ec2::253",
        "100.100.100.201",
        "64:ff9b::192.0.2.7",
        "2002:c000:207::1",
    ],
)
def test_ordinary_addresses_are_allowed(address: str) -> None:
    assert not is_forbidden(address)


def test_own_addresses_of_this_machine_are_detected() -> None:
    assert is_own("127.0.0.1")
    assert is_own("127.0.2.9")
    assert is_loopback("::ffff:127.0.0.1")
    assert not is_own("192.0.2.7")


@pytest.mark.holds("S-30")
async def test_no_spelling_of_an_own_address_reaches_this_machine() -> None:
    own = [
        one.address for rows in psutil.net_if_addrs().values() for one in rows if parse(one.address) is not None and "%" not in one.address
    ]
    four = [text for text in own if ":" not in text]
    assert four
    spelled = [form for text in four for form in (f"::ffff:{text}", f"64:ff9b::{text}", _mapped_in_hex(text), _mapped_in_hex(text).upper())]
    egress = Egress()
    try:
        for address in (*own, *spelled):
            assert is_own(address), address
            with pytest.raises(Denied):
                egress.check(address, 80)
    finally:
        await egress.close()
    allowing = Egress(frozenset({("192.0.2.7", 80)}))
    allowing.check("::ffff:c000:207", 80)
    await allowing.close()
    assert plain("::ffff:c000:207") == "192.0.2.7"


def _mapped_in_hex(address: str) -> str:
    a, b, c, d = (int(part) for part in address.split("."))
    return f"::ffff:{a << 8 | b:x}:{c << 8 | d:x}"
