"""Where the command sends a token, and which node it means."""

from __future__ import annotations

import pytest

from groundcontrol.cli.client import CliError, check_url, is_meant
from spider.wire.ids import new_random_id


@pytest.mark.parametrize(
    "url",
    ["https://hub.example", "https://hub.example:8443/", "http://127.0.0.1:8933", "http://localhost:8933", "http://[::1]:8933"],
)
def test_a_token_goes_by_tls_or_within_this_machine(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://hub.example",
        "http://127.0.0.1.hub.example:80",
        "http://localhost:8933@hub.example",
        "http://127.0.0.1:@hub.example/",
        "https://user:word@hub.example",
        "https://@",
        "https://",
        "https://hub.example/page",
        "https://hub.example?x",
        "https://hub.example:0",
        "https://hub.example:port",
        "https://[::1",
        "ftp://127.0.0.1:21",
        "hub.example",
        "",
    ],
)
def test_a_token_goes_nowhere_else(url: str) -> None:
    with pytest.raises(CliError, match="--url"):
        check_url(url)


def test_an_id_stands_for_its_node_alone() -> None:
    ours, theirs = ({"id": new_random_id(), "name": name} for name in ("web-1", "db-1"))
    posing = ours | {"name": theirs["id"]}
    assert is_meant(theirs, theirs["id"])
    assert is_meant(ours, "web-1")
    assert not is_meant(posing, theirs["id"])
    assert not is_meant(ours, "db-1")
