"""Where the command sends a token, and how it resolves a node's name."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from groundcontrol.cli.client import UNTRUSTED, CliError, Hub, RefusedByHub, check_url, is_meant, one_named
from groundcontrol.cli.transport import Answer
from spider.wire.ids import new_random_id
from tests.support.certificates import Certificate

TOKEN = "not-for-strangers"


@pytest.mark.parametrize(
    "url",
    [
        "https://hub.example",
        "https://hub.example:8443/",
        "http://127.0.0.1:8933",
        "http://127.0.0.9:8933",
        "http://localhost:8933",
        "http://[::1]:8933",
    ],
)
def test_a_token_is_sent_over_tls_or_to_this_machine(url: str) -> None:
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
def test_a_token_is_not_sent_in_clear(url: str) -> None:
    with pytest.raises(CliError, match="--url"):
        check_url(url)


def test_an_organisation_that_is_not_yours_is_explained_by_the_flag() -> None:
    hub = Hub(argparse.Namespace(url="https://hub.example", tls_ca=None, tls_pin=None, org_slug="red"))
    refusal = {"code": "organisation.unknown", "detail": "you belong to no organisation of this name: GET /api/v1/auth/me lists yours"}
    with pytest.raises(RefusedByHub, match="no organisation red: leave out --org"):
        hub._check(Answer(403, json.dumps(refusal).encode()))


def test_an_id_matches_only_its_own_node() -> None:
    ours, theirs = ({"id": new_random_id(), "name": name} for name in ("web-1", "db-1"))
    posing = ours | {"name": theirs["id"]}
    assert is_meant(theirs, theirs["id"])
    assert is_meant(ours, "web-1")
    assert not is_meant(posing, theirs["id"])
    assert not is_meant(ours, "db-1")


def test_a_name_that_several_have_is_refused_with_their_ids() -> None:
    nights: list[dict[str, Any]] = [{"id": new_random_id(), "name": "nights", "state": "succeeded", "ended_at": 1.0} for _ in range(12)]
    other = {"id": new_random_id(), "name": "days", "state": "ready"}
    assert one_named([*nights, other], "days", "roll-out", "rollout") is other
    assert one_named([*nights, other], nights[3]["id"], "roll-out", "rollout") is nights[3]
    with pytest.raises(
        CliError, match=f"12 have the name nights: .* one roll-out: {nights[0]['id']} \\(succeeded\\), .* and 2 more"
    ) as refused:
        one_named([*nights, other], "nights", "roll-out", "rollout")
    assert refused.value.code == "command.usage"
    running = {"id": new_random_id(), "name": "nights", "state": "running", "ended_at": None}
    assert one_named([nights[0], running, *nights[1:]], "nights", "roll-out", "rollout") is running
    with pytest.raises(CliError, match="there is no roll-out gone; `stardust rollout` lists them") as refused:
        one_named(nights, "gone", "roll-out", "rollout")
    assert refused.value.code == "not_found"


class Door(NamedTuple):
    """A TLS server, and the requests that it has received."""

    url: str
    heard: bytearray
    certificate: Certificate
    file: Path


@pytest.fixture
async def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setenv("STARDUST_TOKEN", TOKEN)
    certificate, heard = Certificate(tmp_path), bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            heard.extend(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n{"nodes": []}')
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificate.context)
    async with server:
        yield Door(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard, certificate, tmp_path / "hub.pem")


async def asked(door: Door, *, ca: str | None = None, pin: str | None = None) -> object:
    args = argparse.Namespace(url=door.url, data_dir=None, tls_ca=ca, tls_pin=pin)
    async with Hub(args) as hub:
        return await hub.get("/nodes")


async def test_a_hub_that_no_authority_has_signed_is_trusted_by_its_authority_or_its_key(door: Door) -> None:
    pin = door.certificate.pin.hex()
    for ca, pins in ((str(door.file), None), (None, pin), (None, f"{'00' * 32}, {pin.upper()}")):
        door.heard.clear()
        assert await asked(door, ca=ca, pin=pins) == {"nodes": []}
        assert TOKEN.encode() in door.heard


async def test_an_untrusted_hub_gets_no_token_and_its_certificate_is_shown(door: Door, tmp_path: Path) -> None:
    with pytest.raises(CliError, match="issued by 'hub'") as refused:
        await asked(door)
    assert refused.value.code == UNTRUSTED
    for word in ("self-signed", door.certificate.pin.hex(), "--tls-ca", "--tls-pin"):
        assert word in str(refused.value)
    with pytest.raises(CliError, match="not one of --tls-pin") as refused:
        await asked(door, pin="00" * 32)
    assert (refused.value.code, door.certificate.pin.hex() in str(refused.value)) == (UNTRUSTED, True)
    with pytest.raises(CliError, match="issued by 'hub'"):
        await asked(door, ca=str(Path(_another_authority(tmp_path))))
    assert not door.heard


def _another_authority(folder: Path) -> Path:
    other = folder / "other"
    other.mkdir()
    Certificate(other)
    return other / "hub.pem"


@pytest.mark.parametrize(
    ("ca", "pin", "told"), [(None, "12:34", "--tls-pin: 64 hex digits"), ("/none.pem", None, "--tls-ca: /none.pem cannot be used")]
)
async def test_invalid_trust_options_are_refused(door: Door, ca: str | None, pin: str | None, told: str) -> None:
    with pytest.raises(CliError, match=told):
        await asked(door, ca=ca, pin=pin)
