"""Settings: parsed strictly, refused as a whole, with every error listed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spider.config import FLAGS, USAGE, Config, ConfigError, parse_conf, parse_flags, parse_proxy, parse_url
from spider.wire import ids

NODE, FLEET = ids.new_random_id(), ids.new_random_id()
CONF = f"""[hub]
url = wss://Hub.Example/ws
fleet = {FLEET}
tls_pin = {"ab" * 32}
[node]
id = {NODE}
generation = 3
name = web 3
"""
BOOT = "0123456789abcdef" * 2


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {"--config": tmp_path / "spider.conf", "--key": tmp_path / "session.key"}
    made["--config"].write_text(CONF)
    made["--config"].chmod(0o644)
    made["--key"].write_bytes(b"k" * 32)
    made["--key"].chmod(0o600)
    return made


def load(files: dict[str, Path], **environ: str) -> Config:
    return Config.from_env({"STARDUST_BOOT": BOOT, **environ}, [word for name, path in files.items() for word in (name, str(path))])


def faults(files: dict[str, Path], **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(files, **environ)
    return "\n".join(caught.value.faults)


def test_the_configuration_is_read_and_its_repr_hides_the_key(files: dict[str, Path]) -> None:
    config = load(files)
    assert config.url == (True, "hub.example", 443, "/ws", "hub.example")
    assert (config.node, config.fleet, config.generation, config.name, config.boot) == (NODE, FLEET, 3, "web 3", BOOT)
    assert config.tls_pin == b"\xab" * 32
    several = CONF.replace("ab" * 32, f"{'ab' * 32}, {'cd' * 32}")
    assert parse_conf(several)["tls_pin"] == f"{'ab' * 32}, {'cd' * 32}"
    assert config.key == b"k" * 32
    assert "kkk" not in repr(config)


def test_files_may_be_given_as_open_descriptors(files: dict[str, Path]) -> None:
    conf, key = (os.open(files[name], os.O_RDONLY) for name in ("--config", "--key"))
    config = Config.from_env({"STARDUST_BOOT": BOOT}, [f"--config=fd:{conf}", f"--key=fd:{key}"])
    assert config.key == b"k" * 32
    for handle in (conf, key):
        with pytest.raises(OSError, match="descriptor"):
            os.fstat(handle)


def test_the_boot_id_is_read_from_the_kernel_by_default(files: dict[str, Path]) -> None:
    assert load(files, STARDUST_BOOT="").boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")


@pytest.mark.parametrize(("said", "edition"), [("1", 1), ("27", 27), ("", 0), ("0", 0), ("x", 0), ("1" * 9, 0)])
def test_the_unit_says_which_edition_it_is(files: dict[str, Path], said: str, edition: int) -> None:
    assert load(files, STARDUST_UNITS=said).units == edition


def test_all_faults_are_named_together(files: dict[str, Path]) -> None:
    files["--key"].write_bytes(b"short")
    files["--config"].write_text("[hub]\nurl = wss://u@h/\n[other]\n[node]\nid = 1\nmore = 2\n")
    said = faults(files, STARDUST_BOOT="no")
    for word in ("[other]", "'more'", "'fleet' is missing", "'generation' is missing", "url:", "id:", "32 bytes", "STARDUST_BOOT"):
        assert word in said


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(files: dict[str, Path], mode: int) -> None:
    files["--key"].chmod(mode)
    assert "lets others in" in faults(files)


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_can_write_is_refused(files: dict[str, Path], mode: int) -> None:
    files["--config"].chmod(mode)
    assert "lets others in" in faults(files)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_refused(files: dict[str, Path]) -> None:
    os.chown(files["--config"], 65534, 65534)
    assert "neither root nor this user" in faults(files)


def test_a_file_that_is_not_regular_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "not a plain file" in faults({**files, "--key": tmp_path / "pipe"})
    assert "No such file" in faults({**files, "--key": tmp_path / "none"})
    assert "not a plain file" in faults({**files, "--config": tmp_path})
    files["--config"].write_bytes(b"\xff\xfe")
    assert "--config" not in faults(files)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wss://hub.example/ws", ("hub.example", 443, "hub.example")),
        ("WSS://HUB.example:443/ws", ("hub.example", 443, "hub.example")),
        ("wss://hub.example:8933/a/B?c=d", ("hub.example", 8933, "hub.example:8933")),
        ("ws://localhost:8933/ws", ("localhost", 8933, "localhost:8933")),
        ("ws://127.0.0.1", ("127.0.0.1", 80, "127.0.0.1")),
        ("ws://[::1]:80/ws", ("::1", 80, "[::1]")),
        ("wss://[2001:DB8::1]/ws", ("2001:db8::1", 443, "[2001:db8::1]")),
    ],
)
def test_host_port_and_authority_are_parsed_from_the_url(text: str, expected: tuple[str, int, str]) -> None:
    url = parse_url(text)
    assert (url.host, url.port, url.authority) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "hub", "http://hub/ws", "ws://hub.example/ws", "ws://10.0.0.1/ws", "ws://localhost.evil.example/ws", "ws://127.0.0.1.evil.example/",
        "ws://1270.0.0.1/ws", "wss://user@hub/ws", "wss://user:pw@hub/", "wss://hub:0/", "wss://hub:65536/", "wss://hub/ ws", "wss://hub/\r\nX: y",
        "wss://hüb/ws", "wss://hub#x", "wss:///ws", "wss://-hub/", "wss://hub/ws\n", "wss://[::1/ws", "wss://hub?x",
    ],
)  # fmt: skip
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|port|wss"):
        parse_url(text)


@pytest.mark.parametrize(
    "text",
    [
        CONF + "[hub]\n",
        CONF + "name = again\n",
        CONF.replace("generation = 3", "generation = 0"),
        CONF.replace("generation = 3", "generation = 4294967296"),
        CONF.replace("generation = 3", "generation = 03"),
        CONF.replace("ab" * 32, "ab" * 31),
        CONF.replace("ab" * 32, "AB" * 32),
        CONF.replace(FLEET, FLEET.upper()),
        CONF.replace("[hub]", "[DEFAULT]"),
        CONF.replace("[hub]", "[hub]\nskip_verify = yes"),
        "url = wss://hub/ws",
        "",
    ],
)
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_conf(text)


def test_a_pin_and_a_name_may_be_missing() -> None:
    lines = [line for line in CONF.splitlines() if not line.startswith(("tls_pin", "name"))]
    assert "tls_pin" not in parse_conf("\n".join(lines))


@pytest.mark.parametrize("argv", [["--nope", "x"], ["--key"], ["--key="], ["--key", "a", "--key", "b"], ["key"], ["--config", "a", "b"]])
def test_wrong_flags_are_refused(argv: list[str]) -> None:
    with pytest.raises(ConfigError):
        parse_flags(argv)


def test_the_usage_names_every_flag() -> None:
    assert all(flag.name in USAGE and flag.help in USAGE and flag.default in USAGE for flag in FLAGS)


def spider(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "spider", *argv], capture_output=True, text=True, timeout=30, check=False)


def test_a_refused_start_exits_78_with_plain_lines(tmp_path: Path) -> None:
    done = spider("--config", str(tmp_path / "none"), "--key", str(tmp_path / "none"))
    assert done.returncode == 78
    assert "Traceback" not in done.stderr
    assert all(line.startswith("spider: ") for line in done.stderr.splitlines())
    assert len(done.stderr.splitlines()) == 2


def test_the_version_and_the_help_are_reported() -> None:
    assert spider("--version").stdout.startswith("spider ")
    assert spider("--help").stdout == USAGE


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy.example:3128", ("proxy.example", 3128)),
        ("http://[2001:db8::1]:8080/", ("2001:db8::1", 8080)),
        ("http://me:secret@proxy.example:3128", None),
        ("https://proxy.example:3128", None),
        ("http://proxy.example", None),
        ("http://proxy.example:70000", None),
    ],
)
def test_a_proxy_is_an_address_and_a_port(text: str, proxy: tuple[str, int] | None) -> None:
    if proxy is not None:
        assert parse_proxy(text) == proxy
        return
    with pytest.raises(ValueError, match="http://host:port is expected") as caught:
        parse_proxy(text)
    assert "secret" not in str(caught.value)
