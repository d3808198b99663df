"""The addresses and the certificate of a hub that terminates TLS itself."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from groundcontrol.cli.addresses import Dialled, describe
from groundcontrol.cli.main import main
from groundcontrol.config import Config
from groundcontrol.config_reader import read_config
from groundcontrol.core.errors import ConfigError
from groundcontrol.lan import fixed_addresses, parse_addresses, parse_setting, store_addresses, stored_addresses
from groundcontrol.own_certificate import FILE, RENEW_S, grouped, make_tls_end, private_key, read_certificate, stored_or_issued
from tests.support.some import some

FLEET_KEY = bytes(range(32))
NOW = 1_795_000_000.0


def config(folder: Path, *words: str, **environ: str) -> Config:
    return read_config({"STARDUST_SECRET": "a quite random thing 4711", **environ}, ["--data-dir", str(folder), *words])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", None), ("no", None), ("auto", ()), ("yes", ()), ("10.0.0.5", ("10.0.0.5",)),
        (" Hub.Lan., [FD00::1],10.0.0.5 10.0.0.5", ("hub.lan", "fd00::1", "10.0.0.5")),
    ],
)  # fmt: skip
def test_addresses_are_given_or_detected(text: str, wanted: tuple[str, ...] | None) -> None:
    assert parse_setting(text) == wanted


@pytest.mark.parametrize(
    "word", ["127.0.0.1", "localhost", "0.0.0.0", "::", "224.0.0.1", "fe80::1", "fd00::1%eth0", "a_b", "1.2.3", "x" * 254, "a/b", "a:80"]
)
def test_an_address_that_no_other_machine_reaches_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"address|host name|this machine"):
        parse_addresses([word])


def test_an_invite_has_room_for_eight_addresses() -> None:
    with pytest.raises(ValueError, match="at most 8"):
        parse_addresses([f"10.0.0.{number}" for number in range(1, 10)])


def test_named_addresses_precede_stored_ones(tmp_path: Path) -> None:
    assert stored_addresses(tmp_path) == ()
    store_addresses(tmp_path, ("10.0.0.5", "hub.lan"))
    assert fixed_addresses(tmp_path, ()) == ("10.0.0.5", "hub.lan")
    assert fixed_addresses(tmp_path, ("10.0.0.6",)) == ("10.0.0.6",)
    (tmp_path / "lan-addresses").write_text("nonsense_\n")
    with pytest.raises(ConfigError, match="lan-addresses"):
        stored_addresses(tmp_path)


@pytest.mark.holds("SAFETY-44")
def test_a_new_certificate_has_the_same_key(tmp_path: Path) -> None:
    key = private_key(FLEET_KEY)
    first, is_new = stored_or_issued(tmp_path, key, ("10.0.0.5", "hub.lan"), NOW)
    assert is_new
    assert first.names == {"10.0.0.5", "hub.lan", "localhost", "127.0.0.1", "::1"}
    assert stored_or_issued(tmp_path, private_key(FLEET_KEY), ("hub.lan", "10.0.0.5"), NOW + 1) == (first, False)
    assert read_certificate(tmp_path) == first

    moved, is_new = stored_or_issued(tmp_path, key, ("10.0.0.6",), NOW)
    assert (is_new, moved.pin, moved.fingerprint != first.fingerprint) == (True, first.pin, True)
    renewed, is_new = stored_or_issued(tmp_path, key, ("10.0.0.6",), moved.expires_at - RENEW_S)
    assert (is_new, renewed.pin) == (True, first.pin)
    (tmp_path / FILE).write_text("half of a certif")
    assert stored_or_issued(tmp_path, key, ("10.0.0.6",), NOW)[0].pin == first.pin
    other, is_new = stored_or_issued(tmp_path, private_key(bytes(32)), ("10.0.0.6",), NOW)
    assert (is_new, other.pin != first.pin) == (True, True)


def test_the_private_key_is_not_written_to_disk(tmp_path: Path) -> None:
    end = make_tls_end(config(tmp_path, "--lan", "10.0.0.5").with_lan(("10.0.0.5",)), FLEET_KEY, NOW)
    assert {path.name for path in tmp_path.iterdir()} == {"lan-addresses", FILE}
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"PRIVATE" not in path.read_bytes()
    certificate = some(read_certificate(tmp_path))
    assert end.config.tls_pin == certificate.pin
    assert any(grouped(certificate.fingerprint) in line for line in end.notices)


def test_a_start_at_other_addresses_reports_the_changes_that_nodes_need(tmp_path: Path) -> None:
    make_tls_end(config(tmp_path).with_lan(("10.0.0.5",)), FLEET_KEY, NOW)
    said = "\n".join(make_tls_end(config(tmp_path).with_lan(("10.0.0.6", "10.0.0.7")), FLEET_KEY, NOW).notices)
    assert "no longer reached at 10.0.0.5" in said
    assert "wss://10.0.0.6:8933/ws" in said
    assert stored_addresses(tmp_path) == ("10.0.0.6", "10.0.0.7")


def test_the_lan_addresses_are_origins_and_agent_hosts(tmp_path: Path) -> None:
    made = config(tmp_path, "--lan", "10.0.0.5", "hub.lan", "fd00::1", "--port", "443").with_lan(
        ("10.0.0.5", "hub.lan", "fd00::1"), "ab" * 32
    )
    assert made.origin == "https://10.0.0.5"
    assert {"https://hub.lan", "https://[fd00::1]", "https://localhost"} < made.origins
    assert made.node_urls == ["wss://10.0.0.5/ws", "wss://hub.lan/ws", "wss://[fd00::1]/ws"]
    assert {"10.0.0.5", "hub.lan", "[fd00::1]", "127.0.0.1"} < made.agent_hosts
    assert (made.bind, made.secure, made.signed, made.direct, made.loopback_only) == ("::", True, False, True, False)
    assert made.node_url_at("hub.lan") == "wss://hub.lan/ws"
    assert made.node_url_at("elsewhere") == made.node_url
    assert [made.address_for(host) for host in ("10.0.0.5", "hub.lan", "[fd00::1]", "127.0.0.1", "elsewhere")] == ["10.0.0.5"] * 3 + [
        None
    ] * 2
    assert config(tmp_path, "--server-url", "wss://hub.lan/ws").address_for("hub.lan") is None
    assert made.on_port(8933).node_url == "wss://10.0.0.5:8933/ws"


@pytest.mark.holds("S-31")
@pytest.mark.parametrize(
    ("words", "environ", "reason"),
    [
        (("--server-url", "wss://hub.example/ws"), {}, "--lan and --server-url are both set"),
        (("--tls-pin", "ab" * 32), {}, "--lan and --tls-pin are both set"),
        ((), {"STARDUST_TRUSTED_PROXIES": "10.0.0.1"}, "--lan and STARDUST_TRUSTED_PROXIES are both set"),
        (("--bind", "127.0.0.1"), {}, "which no other machine reaches"),
        (("--lan", "localhost"), {}, "localhost is this machine alone"),
    ],
)
def test_a_setting_that_contradicts_lan_is_one_plain_line(
    tmp_path: Path, words: tuple[str, ...], environ: dict[str, str], reason: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        config(tmp_path, "--lan", *words, **environ)
    [line] = str(refused.value).splitlines()
    assert reason in line


def test_the_command_changes_the_addresses_of_the_next_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def stardust(*words: str) -> tuple[int, str]:
        status = main(["addresses", *words, "--data-dir", str(tmp_path)])
        caught = capsys.readouterr()
        return status, caught.out + caught.err

    assert "start it once with --lan" in stardust()[1]
    first = make_tls_end(config(tmp_path).with_lan(("10.0.0.5",)), FLEET_KEY, NOW).config
    told = json.loads(stardust("--json")[1])
    assert (told["addresses"], told["pin"], told["restart_needed"]) == (["10.0.0.5"], first.tls_pin, False)
    assert stardust("set", "nonsense_")[0] == 1
    status, said = stardust("set", "10.0.0.6", "hub.lan")
    assert (status, stored_addresses(tmp_path)) == (0, ("10.0.0.6", "hub.lan"))
    assert "Nodes that still dial 10.0.0.5 lose the hub" in said
    assert "stardust addresses set 10.0.0.6 hub.lan 10.0.0.5" in said
    assert "lose the hub" not in stardust("set", "10.0.0.6", "hub.lan")[1]
    assert "restart the hub" in stardust("list")[1]
    assert "not known: the hub does not run" in stardust("list")[1]
    again = make_tls_end(config(tmp_path).with_lan(fixed_addresses(tmp_path, ())), FLEET_KEY, NOW).config
    assert (again.node_url, again.tls_pin) == ("wss://10.0.0.6:8933/ws", first.tls_pin)
    assert json.loads(stardust("--json")[1])["restart_needed"] is False


def test_the_list_names_the_nodes_that_are_not_at_the_first_address() -> None:
    assert describe([]) == ["none yet"]
    nodes = [Dialled(f"{number:02}", f"web-{number:02}", "10.0.0.6:8933", is_other=False, follows=number > 1) for number in range(30)]
    nodes += [Dialled("a", "db-1", "10.0.0.5:8933", is_other=True, follows=True), Dialled("b", "d\x1b", "10.0.0.5:8933", True, False)]
    nodes += [Dialled("c", "away", None, is_other=False, follows=False), Dialled("d", "here", "127.0.0.1:8933", False, False)]
    assert describe(nodes) == [
        "30 at 10.0.0.6:8933",
        "1 at 127.0.0.1:8933",
        "1 at 10.0.0.5:8933, told to move: db-1",
        "1 at 10.0.0.5:8933, cannot be told to move (update or redeploy): d\\x1b",
        "1 not connected, so their address is unknown: away",
    ]
    many = [Dialled(f"{number:02}", f"web-{number:02}", None, is_other=False, follows=False) for number in range(22)]
    assert describe(many)[0].endswith("web-19 and 2 more")
