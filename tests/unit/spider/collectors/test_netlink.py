"""Netlink messages: recorded, truncated and live."""

from __future__ import annotations

import struct

import pytest

from spider.sampling.collectors.addresses import parse_addresses
from spider.sampling.collectors.netlink import HEADER, NETLINK_ROUTE, NETLINK_SOCK_DIAG, Netlink, parse_attributes, parse_messages
from tests.support.recordings import dumped


def test_only_permanent_addresses_of_the_host_are_listed() -> None:
    assert parse_addresses(dumped("getaddr")) == ["203.0.113.9", "198.51.100.1", "2001:db8::7"]


def test_an_error_reply_of_the_kernel_is_raised() -> None:
    message = HEADER.pack(36, 2, 0, 1, 0) + struct.pack("=i", -95) + bytes(16)
    with pytest.raises(OSError, match="not supported") as caught:
        list(parse_messages(message))
    assert caught.value.errno == 95


@pytest.mark.parametrize("cut", [1, 15, 17, 40])
def test_a_message_that_is_cut_off_is_refused(cut: int) -> None:
    message = HEADER.pack(44, 20, 0, 1, 0) + bytes(28)
    with pytest.raises(ValueError, match="netlink"):
        list(parse_messages(message[:cut]))


def test_an_attribute_longer_than_its_message_is_refused() -> None:
    with pytest.raises(ValueError, match="attribute"):
        list(parse_attributes(struct.pack("=HHI", 12, 1, 7), 0, 8))


def test_two_requests_at_one_socket_get_their_own_replies() -> None:
    netlink = Netlink(NETLINK_ROUTE)
    whole = [data[start : start + 8] for data, start, _ in netlink.dump(22, bytes(8))]
    left = netlink.dump(22, bytes(8))
    next(left)
    again = netlink.dump(22, bytes(8))
    first = next(again)
    del left
    assert [first[0][first[1] : first[1] + 8], *(data[start : start + 8] for data, start, _ in again)] == whole
    netlink.close()


def test_an_unknown_netlink_request_is_refused() -> None:
    netlink = Netlink(NETLINK_SOCK_DIAG)
    with pytest.raises(OSError, match=r"."):
        list(netlink.dump(20, bytes(2)))
    netlink.close()
