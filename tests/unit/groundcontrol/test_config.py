"""Settings: their sources, and every error that must prevent the hub from starting."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from groundcontrol.config import Config
from groundcontrol.config_reader import read_config
from groundcontrol.core.errors import ConfigError
from groundcontrol.settings import SETTINGS, serve_parser, settings_page
from tests.support.hub import ROOT
from tests.support.some import some

SECRET = "Zq7hV2-mB9tKx4-Lw8pRf"


def config(tmp_path: Path, *argv: str, **env: str) -> Config:
    """Settings of a hub in an empty folder, with a good secret unless one is given."""
    environ = {"STARDUST_DATA_DIR": str(tmp_path / "data")} | ({} if "STARDUST_SECRET_FILE" in env else {"STARDUST_SECRET": SECRET}) | env
    return read_config(environ, argv)


def faults(tmp_path: Path, *argv: str, **env: str) -> list[str]:
    """What keeps it from starting."""
    with pytest.raises(ConfigError) as refused:
        config(tmp_path, *argv, **env)
    return str(refused.value).splitlines()


def test_the_defaults_are_those_of_the_table(tmp_path: Path) -> None:
    made = config(tmp_path)
    assert (made.port, made.bind, made.log_format, made.admin_user) == (8933, "127.0.0.1", "auto", "admin")
    assert made.control_db == tmp_path / "data" / "stardust.db"
    assert (made.server_url, made.agent_bundle, made.admin_pass, made.trusted_proxies) == (None, None, None, ())
    assert made.loopback_only


def test_flags_beat_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('port = 1\nbind = "127.0.0.9"\nadmin_user = "filed"\nlog-format = "text"\n')
    made = config(tmp_path, "--config", str(file), "--port", "3", STARDUST_PORT="2", STARDUST_BIND="127.0.0.8")
    assert (made.port, made.bind, made.admin_user, made.log_format) == (3, "127.0.0.8", "filed", "text")


def test_the_file_in_the_data_folder_is_read_by_itself(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "stardust.toml").write_text('port = 4242\ntrusted_proxies = ["10.1.2.3", "fd00::/8"]\n')
    made = config(tmp_path)
    assert made.port == 4242
    assert [str(network) for network in made.trusted_proxies] == ["10.1.2.3/32", "fd00::/8"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("STARDUST_TRUSTED_PROXY", "STARDUST_TRUSTED_PROXIES"),
        ("STARDUST_REQUIRE_TOPT", "STARDUST_REQUIRE_TOTP"),
        ("STARDUST_SECRETFILE", "STARDUST_SECRET_FILE"),
        ("STARDUST_ADMIN_PASSWD", "STARDUST_ADMIN_PASS"),
    ],
)
def test_a_misspelt_variable_is_refused(tmp_path: Path, written: str, meant: str) -> None:
    value = "Kj4-what-it-holds"
    (fault,) = faults(tmp_path, **{written: value})
    assert fault == f"{written} is set, but there is no such setting; did you mean {meant}?"
    assert value not in fault
    config(tmp_path, **{written: ""})


@pytest.mark.parametrize("other", ["STARDUST_TOKEN", "STARDUST_UNITS", "STARDUST_BOOT", "STARDUST_SOAK_MINUTES", "STARDUST_SERVICE_HOST"])
def test_variables_of_other_programs_are_ignored(tmp_path: Path, other: str) -> None:
    config(tmp_path, **{other: "1"})


def test_the_old_name_of_the_bundle_flag_still_works(tmp_path: Path) -> None:
    bundle = tmp_path / "spider.pyz"
    bundle.touch()
    assert config(tmp_path, "--agent-binary", str(bundle)).agent_bundle == bundle
    assert config(tmp_path, "--agent-bundle", str(bundle)).agent_bundle == bundle


@pytest.mark.holds("SAFETY-2")
def test_secrets_leave_the_environment_and_do_not_show(tmp_path: Path) -> None:
    environ = {"STARDUST_SECRET": SECRET, "STARDUST_ADMIN_PASS": "hunter2-canary", "STARDUST_METRICS_TOKEN": SECRET + "x"}
    made = read_config(environ, ["--data-dir", str(tmp_path)])
    assert not any(name in environ for name in ("STARDUST_SECRET", "STARDUST_ADMIN_PASS", "STARDUST_METRICS_TOKEN"))
    assert made.secret.reveal() == SECRET
    assert SECRET not in repr(made)
    assert "hunter2" not in repr(made)
    assert "***" in repr(made)


@pytest.mark.holds("SAFETY-2")
def test_a_secret_comes_from_a_file_or_a_systemd_credential(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    assert config(tmp_path, STARDUST_SECRET_FILE=str(file)).secret.reveal() == SECRET
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "STARDUST_DATA_DIR": str(tmp_path)}
    assert read_config(environ, []).secret.reveal() == SECRET


@pytest.mark.parametrize(
    "secret",
    ["", "\n", "fifteen-chars-x", "a" * 16, "abcabcabcabcabcabc", " " * 20, "changeme-changeme", "password12345678", "1234567890123456"],
)
def test_a_weak_secret_is_refused(tmp_path: Path, secret: str) -> None:
    lines = faults(tmp_path, STARDUST_SECRET=secret)
    assert len(lines) == 1
    assert lines[0].startswith("STARDUST_SECRET ")
    assert len(secret) < 9 or secret not in lines[0]


def test_a_file_instead_of_the_data_folder_is_not_blamed_on_the_settings(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert config(tmp_path).data_dir == tmp_path / "data"
    named = tmp_path / "data" / "my.toml"
    assert faults(tmp_path, "--config", str(named)) == [f"the settings file {named} is not there"]


@pytest.mark.holds("SAFETY-1")
def test_a_missing_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="STARDUST_SECRET is not set; make one with: stardust secret new"):
        read_config({"STARDUST_DATA_DIR": str(tmp_path)}, [])


@pytest.mark.parametrize("name", ["stardust.db", "mine.db"])
def test_with_an_existing_database_its_own_secret_is_required(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ConfigError) as refused:
        read_config({"STARDUST_DATA_DIR": str(tmp_path)}, ["--db", str(tmp_path / name)] if name == "mine.db" else [])
    assert str(refused.value) == (
        f"STARDUST_SECRET is not set, and the database {tmp_path / name} already exists: give the secret that belongs to it, by"
        " STARDUST_SECRET_FILE (or STARDUST_SECRET)"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: Is a directory"),
        (b"x" * 5000, "is longer than 4096 bytes"),
        (b"\xff" * 20, "is not a UTF-8 text"),
        (b"", "is empty: write the secret into it, or do not give it at all"),
        (b"\r\n", "is empty: write the secret into it, or do not give it at all"),
    ],
)
@pytest.mark.parametrize("name", ["secret", "admin_pass", "metrics_token"])
def test_an_unreadable_secret_is_one_fault_with_its_source(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    path = tmp_path / name
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    env = f"STARDUST_{name.upper()}_FILE"
    assert faults(tmp_path, **{env: str(path)}) == [f"{env} ({path}) {reason}"]
    given = {"CREDENTIALS_DIRECTORY": str(tmp_path)} | ({} if name == "secret" else {"STARDUST_SECRET": SECRET})
    with pytest.raises(ConfigError) as refused:
        read_config(given, ["--data-dir", str(tmp_path / "data")])
    assert str(refused.value) == f"the credential {name} ({path}) {reason}"


def test_a_missing_secret_file_is_one_fault_and_a_missing_credential_none(tmp_path: Path) -> None:
    none = tmp_path / "none"
    assert faults(tmp_path, STARDUST_SECRET_FILE=str(none)) == [f"STARDUST_SECRET_FILE ({none}) cannot be read: No such file or directory"]
    for folder in (none, tmp_path):
        made = config(tmp_path, CREDENTIALS_DIRECTORY=str(folder), STARDUST_ADMIN_PASS="", STARDUST_ADMIN_PASS_FILE="")
        assert (made.admin_pass, made.metrics_token) == (None, None)


def test_the_url_of_the_heartbeat_is_checked_and_never_shown(tmp_path: Path) -> None:
    made = config(tmp_path, STARDUST_HEARTBEAT_URL="https://hc.example/0f3c")
    assert some(made.heartbeat_url).reveal() == "https://hc.example/0f3c"
    assert "0f3c" not in repr(made)
    for wrong in ("ftp://hc.example/0f3c", "https://user:0f3c@hc.example/", "0f3c"):
        [fault] = faults(tmp_path, STARDUST_HEARTBEAT_URL=wrong)
        assert fault.startswith("STARDUST_HEARTBEAT_URL must be a URL")
        assert "0f3c" not in fault


def test_an_empty_admin_password_is_refused(tmp_path: Path) -> None:
    [fault] = faults(tmp_path, STARDUST_ADMIN_PASS="\n")
    assert fault.startswith("STARDUST_ADMIN_PASS is empty")


_AS_NOBODY = """
import os, sys
from groundcontrol.cli.data_dir import _given
from groundcontrol.config_reader import read_config
from groundcontrol.core.errors import ConfigError
os.setgroups([]); os.setgid(65534); os.setuid(65534)
closed = sys.argv[1]
assert _given("secret", {"CREDENTIALS_DIRECTORY": closed})
try:
    read_config(
        {"CREDENTIALS_DIRECTORY": closed, "STARDUST_AGENT_BUNDLE": closed + "/spider.pyz", "STARDUST_DB": closed + "/hub.db"},
        ["--data-dir", "/none"],
    )
except ConfigError as exc:
    print(exc)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_inaccessible_files_are_reported_one_per_line(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(closed)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.splitlines(), done.stderr) == (
        [
            f"CREDENTIALS_DIRECTORY: {closed} cannot be examined: Permission denied",
            f"STARDUST_DB: {closed}/hub.db cannot be examined: Permission denied",
            f"STARDUST_AGENT_BUNDLE: there is no readable file {closed}/spider.pyz",
        ],
        "",
    )


def test_a_short_secret_is_reported_with_the_place_that_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    short = "has 1 of at least 16 characters"
    assert short in faults(tmp_path, STARDUST_SECRET="x")[0]
    assert f"STARDUST_SECRET_FILE ({tmp_path}/secret) {short}" in faults(tmp_path, STARDUST_SECRET_FILE=str(tmp_path / "secret"))[0]
    (tmp_path / "metrics_token").write_text("x")
    lines = faults(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert f"the credential metrics_token ({tmp_path}/metrics_token) {short}" in lines[0]


def test_one_key_is_pinned_or_several(tmp_path: Path) -> None:
    one, two = "ab" * 32, "cd" * 32
    for text, pins in (
        (one, one),
        (f"{one},{two}", f"{one}, {two}"),
        (f" {one.upper()} {two}\n", f"{one}, {two}"),
        ("ab:" * 31 + "ab", one),
    ):
        assert config(tmp_path, STARDUST_SERVER_URL="wss://hub.example/ws", STARDUST_TLS_PIN=text).tls_pin == pins
    for wrong in ("ab", f"{one}{two}", ",".join([one] * 5)):
        with pytest.raises(ConfigError, match=r"STARDUST_TLS_PIN is .* 64 hex digits"):
            config(tmp_path, STARDUST_SERVER_URL="wss://hub.example/ws", STARDUST_TLS_PIN=wrong)


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    assert "both" in faults(tmp_path, STARDUST_SECRET=SECRET, STARDUST_SECRET_FILE=str(file))[0]


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"STARDUST_DATABASE_URL": "postgres://db/stardust"}, "SQLite only"),
        ({"STARDUST_NATS_URL": "nats://bus:4222"}, "single hub"),
        ({"STARDUST_REQUIRE_TOTP": "1"}, "must be one of none, admins, all"),
        ({"STARDUST_REQUIRE_TOTP": "true"}, "STARDUST_REQUIRE_TOTP is 'true'"),
        ({"STARDUST_REQUIRE_TOTP": "Admins"}, "STARDUST_REQUIRE_TOTP"),
        ({"STARDUST_REQUIRE_TOTP": " "}, "STARDUST_REQUIRE_TOTP"),
        ({"STARDUST_REQUIRE_TOTP": ""}, "STARDUST_REQUIRE_TOTP is '', but must be one of none, admins, all"),
        ({"STARDUST_PORT": "99999"}, "port"),
        ({"STARDUST_PORT": "http"}, "port"),
        ({"STARDUST_BIND": "example.com"}, "IP address"),
        ({"STARDUST_LOG_FORMAT": "xml"}, "auto, json, text"),
        ({"STARDUST_ADMIN_USER": "a b"}, "user name"),
        ({"STARDUST_AGENT_BUNDLE": "/nowhere/spider.pyz"}, "no readable file"),
        ({"STARDUST_TRUSTED_PROXIES": "*"}, "neither an address nor a network"),
        ({"STARDUST_TRUSTED_PROXIES": "0.0.0.0/0"}, "everybody"),
        ({"STARDUST_TRUSTED_PROXIES": "::/0"}, "everybody"),
        ({"STARDUST_TRUSTED_PROXIES": "10.0.0.1, 128.0.0.0/1"}, "everybody"),
        ({"STARDUST_TRUSTED_PROXIES": "proxy.local"}, "neither"),
        ({"STARDUST_METRICS_TOKEN": "short"}, "STARDUST_METRICS_TOKEN"),
        ({"STARDUST_SERVER_URL": "ws://hub.example.com/ws"}, "wss://"),
        ({"STARDUST_SERVER_URL": "ws://10.0.0.1/ws"}, "wss://"),
        ({"STARDUST_SERVER_URL": "https://hub.example.com"}, "wss://"),
        ({"STARDUST_SERVER_URL": "wss://hub.example.com"}, "wss://"),
        ({"STARDUST_SERVER_URL": "wss://hub.example.com/other"}, "wss://"),
        ({"STARDUST_SERVER_URL": "wss://user:pw@hub.example.com/ws"}, "wss://"),
        ({"STARDUST_SERVER_URL": "wss://hub.example.com:0/ws"}, "wss://"),
        ({"STARDUST_SERVER_URL": "wss://hub.example.com:port/ws"}, "wss://"),
        ({"STARDUST_SERVER_URL": "wss://*/ws"}, "wss://"),
        ({"STARDUST_SERVER_URL": "wss:///ws"}, "wss://"),
        ({"STARDUST_CONFIG": "/nowhere/stardust.toml"}, "not there"),
    ],
)
def test_an_invalid_or_unsafe_setting_is_one_plain_line(tmp_path: Path, env: dict[str, str], words: str) -> None:
    lines = faults(tmp_path, **env)
    assert len(lines) == 1
    assert words in lines[0]


@pytest.mark.holds("S-31")
@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.0.2.1"])
def test_a_public_bind_needs_a_named_proxy_with_tls(tmp_path: Path, bind: str) -> None:
    assert len(faults(tmp_path, "--bind", bind)) == 2
    assert len(faults(tmp_path, "--bind", bind, "--server-url", "wss://hub.example.com/ws")) == 1
    assert len(faults(tmp_path, "--bind", bind, STARDUST_TRUSTED_PROXIES="10.0.0.1")) == 1
    assert len(faults(tmp_path, "--bind", bind, "--server-url", "ws://127.0.0.1/ws", STARDUST_TRUSTED_PROXIES="10.0.0.1")) == 1
    made = config(tmp_path, "--bind", bind, "--server-url", "wss://hub.example.com/ws", STARDUST_TRUSTED_PROXIES="10.0.0.1")
    assert not made.loopback_only


def test_all_faults_are_listed_together(tmp_path: Path) -> None:
    lines = faults(
        tmp_path, "--port", "x", "--bind", "y", STARDUST_SECRET="short", STARDUST_NATS_URL="nats://x", STARDUST_TRUSTED_PROXIES="*",
        STARDUST_KEEP_SECONDS_HOURS="48", STARDUST_KEEP_MINUTES_DAYS="1",
    )  # fmt: skip
    assert len(lines) == 6


@pytest.mark.parametrize(
    "text",
    ["port = [1]", "secret = 'x'", "no_such = 1", "data_dir = '/x'", "this is not toml", "port = true", "admin_pass = 'x'"],
)
def test_a_settings_file_with_a_mistake_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "stardust.toml").write_text(text)
    assert len(faults(tmp_path)) == 1


def test_an_unknown_flag_is_refused(tmp_path: Path) -> None:
    assert "--nonsense" in faults(tmp_path, "--nonsense")[0]
    assert faults(tmp_path, "--por", "1")


@pytest.mark.parametrize(
    ("url", "origins", "hosts"),
    [
        ("", {"http://localhost:8933", "http://127.0.0.1:8933"}, {"localhost:8933", "127.0.0.1:8933", "[::1]:8933"}),
        ("wss://Hub.Example.com/ws", {"https://hub.example.com"}, {"hub.example.com", "127.0.0.1:8933"}),
        ("wss://hub.example.com:443/ws", {"https://hub.example.com"}, {"hub.example.com", "127.0.0.1:8933"}),
        ("wss://hub.example.com:8443/ws", {"https://hub.example.com:8443"}, {"hub.example.com:8443", "127.0.0.1:8933"}),
        ("ws://127.0.0.1:8933/ws", {"http://127.0.0.1:8933"}, {"127.0.0.1:8933"}),
        ("ws://localhost/ws", {"http://localhost"}, {"localhost", "127.0.0.1:8933"}),
        ("wss://[2001:db8::1]/ws", {"https://[2001:db8::1]"}, {"[2001:db8::1]", "127.0.0.1:8933"}),
    ],
)
def test_origin_and_host_follow_from_the_server_url(tmp_path: Path, url: str, origins: set[str], hosts: set[str]) -> None:
    made = config(tmp_path, STARDUST_SERVER_URL=url)
    assert made.origins == origins
    assert made.agent_hosts == hosts
    assert made.secure == url.startswith("wss")


@pytest.mark.parametrize(
    ("bind", "url", "origins"),
    [
        ("127.0.0.1", "ws://127.0.0.1:8933/ws", {"http://127.0.0.1:8933", "http://localhost:8933"}),
        ("localhost", "ws://127.0.0.1:8933/ws", {"http://127.0.0.1:8933", "http://localhost:8933"}),
        ("127.0.0.9", "ws://127.0.0.9:8933/ws", {"http://127.0.0.9:8933"}),
        ("::1", "ws://[::1]:8933/ws", {"http://[::1]:8933", "http://localhost:8933"}),
    ],
)
def test_the_hub_is_found_where_it_listens(tmp_path: Path, bind: str, url: str, origins: set[str]) -> None:
    made = config(tmp_path, "--bind", bind)
    assert made.node_url == made.local_node_url == url
    assert made.origins == origins
    assert url.split("/")[2] in made.agent_hosts


@pytest.mark.parametrize(
    ("bind", "local"), [("0.0.0.0", "ws://127.0.0.1:8933/ws"), ("::", "ws://[::1]:8933/ws"), ("10.0.0.5", None), ("2001:db8::5", None)]
)
def test_a_node_beside_the_hub_needs_no_proxy_where_the_hub_listens_on_loopback_too(tmp_path: Path, bind: str, local: str | None) -> None:
    made = config(tmp_path, "--bind", bind, "--server-url", "wss://hub.example.com/ws", STARDUST_TRUSTED_PROXIES="10.0.0.1")
    assert made.node_url == "wss://hub.example.com/ws"
    assert made.local_node_url == local
    assert made.agent_hosts == ({"hub.example.com"} if local is None else {"hub.example.com", local.split("/")[2]})


def test_port_zero_becomes_the_port_that_the_system_chose(tmp_path: Path) -> None:
    made = config(tmp_path, "--port", "0").on_port(40_123)
    assert made.node_url == "ws://127.0.0.1:40123/ws"
    assert "http://localhost:40123" in made.origins


def test_help_names_every_setting() -> None:
    text = serve_parser().format_help()
    for item in SETTINGS:
        assert item.env in text
        assert all(flag in text for flag in item.flags)


def test_the_docs_list_every_setting() -> None:
    page = Path(__file__).parents[3] / "docs" / "settings.md"
    assert page.read_text() == settings_page(), (
        "write it anew: python -c 'from groundcontrol.settings import *; print(settings_page(), end=\"\")'"
    )


def test_the_proxy_of_notifications_and_what_is_reached_without_it(tmp_path: Path) -> None:
    made = config(
        tmp_path, STARDUST_NOTIFY_PROXY="http://proxy.example:3128/", STARDUST_NOTIFY_DIRECT="10.0.0.0/8, 192.0.2.7 .Corp.example"
    )
    assert (made.notify_proxy, made.notify_direct) == ("http://proxy.example:3128", ("10.0.0.0/8", "192.0.2.7/32", "corp.example"))
    (tmp_path / "stardust.toml").write_text('[notify]\nproxy = "http://10.0.0.1:8080"\ndirect = ["corp.example", "::1"]\n')
    (tmp_path / "stardust.toml").chmod(0o600)
    made = config(tmp_path, "--config", str(tmp_path / "stardust.toml"))
    assert (made.notify_proxy, made.notify_direct) == ("http://10.0.0.1:8080", ("corp.example", "::1/128"))
    for url in (
        "proxy.example:3128",
        "https://proxy.example:3128",
        "http://proxy.example",
        "http://me:secret@proxy.example:3128",
        "http://p:0/x",
    ):
        [fault] = faults(tmp_path, STARDUST_NOTIFY_PROXY=url)
        assert "http://host:port" in fault
        assert "secret" not in fault
    assert "10.0.0.0/99" in faults(tmp_path, STARDUST_NOTIFY_DIRECT="10.0.0.0/99")[0]


def test_an_allowed_receiver_may_be_written_in_any_spelling_of_its_address(tmp_path: Path) -> None:
    assert config(tmp_path, STARDUST_NOTIFY_ALLOW="[::ffff:7f00:1]:9099").notify_allow == {("127.0.0.1", 9099)}
    assert config(tmp_path, STARDUST_NOTIFY_ALLOW="localhost:25").notify_allow == {("127.0.0.1", 25), ("::1", 25)}


def test_locations_are_pairs_of_a_pattern_and_a_word(tmp_path: Path) -> None:
    assert config(tmp_path, STARDUST_LOCATIONS="CSB*=cloud, hsb*= home ,").locations == (("csb*", "cloud"), ("hsb*", "home"))
    for text in ("csb*", "=cloud", "csb*=", "csb*=" + "x" * 41):
        [fault] = faults(tmp_path, STARDUST_LOCATIONS=text)
        assert "pattern of names with its location" in fault
