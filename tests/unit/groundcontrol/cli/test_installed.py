"""The settings of the installed service: a command on the hub's machine uses the unit's, and options override them."""

from __future__ import annotations

import argparse
import json
import os
import socket
from pathlib import Path

import pytest

from groundcontrol.cli.client import Hub, NotReadable, hub_location
from groundcontrol.cli.data_dir import read_settings
from groundcontrol.cli.installed import InstalledService, find_installed
from groundcontrol.cli.main import main
from groundcontrol.cli.uninstall import is_packaged, paths_of_service
from tests.support.hub import ROOT, SECRET
from tests.support.some import some

UNIT = (ROOT / "groundcontrol" / "examples" / "stardust-hub.service").read_text()
TOML = 'server_url = "wss://stardust.example.org/ws"\ntrusted_proxies = ["127.0.0.1"]\n'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a machine on which the hub was installed as docs/install.md says."""
    for name in [name for name in os.environ if name.startswith("STARDUST_")]:
        monkeypatch.delenv(name)
    root = tmp_path / "machine"
    for name in ("etc/systemd/system", "etc/stardust-hub", "var/lib"):
        (root / name).mkdir(parents=True)
    (root / "var/lib/stardust-hub").mkdir(mode=0o700)
    (root / "etc/systemd/system/stardust-hub.service").write_text(UNIT)
    secret = root / "etc/stardust-hub/secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o400)
    (root / "etc/stardust-hub/stardust.toml").write_text(TOML)
    monkeypatch.setattr("groundcontrol.cli.client.find_installed", lambda: find_installed(root))
    monkeypatch.chdir(tmp_path)
    return root


def words(**given: str) -> argparse.Namespace:
    return argparse.Namespace(**{"data_dir": None, "url": None, "db": None, "config": None, "tls_ca": None, "tls_pin": None, **given})


def found(root: Path) -> InstalledService:
    return some(find_installed(root))


def drop_in(root: Path, text: str, name: str = "50-here.conf", folder: str = "etc") -> None:
    place = root / folder / "systemd/system/stardust-hub.service.d"
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(text)


def test_the_documented_unit_has_every_setting_that_verbs_need(machine: Path) -> None:
    settings = read_settings(words())
    assert settings.config is not None, settings.faults
    assert settings.config.data_dir == machine / "var/lib/stardust-hub"
    assert settings.config.server_url == "wss://stardust.example.org/ws"
    assert (settings.secret_given, settings.config.secret.reveal()) == (True, SECRET)
    assert settings.unit == machine / "etc/systemd/system/stardust-hub.service"


def test_the_doctor_reads_the_settings_of_the_installed_service(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It said that no --server-url is set, which is false, and that no secret was given."""
    main(["doctor", "--json"])
    told = json.loads(capsys.readouterr().out)["checks"]
    texts = [check["text"] for check in told]
    assert not any("--server-url" in text or "no secret" in text for text in texts), texts
    assert f"only its owner can read {machine}/etc/stardust-hub/secret" in texts
    assert "STARDUST_SECRET_FILE" not in os.environ, "nothing of the service's settings goes to programs that this starts"


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("[Service]\nExecStart=\nExecStart=/x/stardust serve --data-dir=/srv/hub\n", "srv/hub"),
        (
            "[Service]\nExecStart=\nExecStart=-/x/python3 -m groundcontrol serve \\\n  # a comment\n  --port 9000 --data-dir /srv/hub\n",
            "srv/hub",
        ),
        ("[Service]\nEnvironment=HUB=/srv/hub\nExecStart=/x/stardust serve --data-dir ${HUB}\n", "srv/hub"),
        ('[Service]\nEnvironment=A=1 "STARDUST_DATA_DIR=/srv/my hub"\nExecStart=/x/stardust serve\n', "srv/my hub"),
        ("[Service]\nEnvironment=STARDUST_DATA_DIR=%S/hub\nExecStart=/x/stardust serve\n", "var/lib/hub"),
        ("[Service]\nEnvironmentFile=-/etc/stardust-hub/environment\nExecStart=/x/stardust serve\n", "srv/of file"),
        ("[Service]\nExecStart=/x/stardust serve --config /etc/stardust-hub/other.toml\n", "srv/of toml"),
        ("[Service]\nWorkingDirectory=/srv\nExecStart=/x/stardust serve\n", "srv/.stardust"),
        ("[Unit]\nExecStart=/x/stardust serve --data-dir /srv/wrong\n", "var/lib/stardust-hub"),
    ],
)
def test_the_data_folder_is_read_from_every_form_of_unit(machine: Path, text: str, folder: str) -> None:
    if "EnvironmentFile" in text:  # it goes before Environment=
        (machine / "etc/stardust-hub/environment").write_text('# of the hub\nSTARDUST_DATA_DIR="/srv/of file"\n')
    (machine / "etc/stardust-hub/other.toml").write_text('data_dir = "/srv/of toml"\n')
    drop_in(machine, text)
    assert found(machine).data_dir == machine / folder


def test_a_drop_in_of_the_administrator_overrides_the_packaged_one(machine: Path) -> None:
    for place, port in (("usr/lib", 1001), ("etc", 1002)):
        drop_in(machine, f"[Service]\nExecStart=/x/stardust serve --data-dir /srv/hub --port {port}\n", folder=place)
    assert found(machine).environ["STARDUST_PORT"] == "1002"


def test_a_secret_is_found_by_its_file_and_shows_itself_nowhere(machine: Path) -> None:
    drop_in(machine, "[Service]\nEnvironment=STARDUST_SECRET_FILE=%d/secret STARDUST_METRICS_TOKEN=not-to-be-shown-at-all\n")
    service = found(machine)
    assert service.environ["STARDUST_SECRET_FILE"] == str(machine / "etc/stardust-hub/secret")
    assert "not-to-be-shown" not in repr(service)


def test_a_flag_goes_before_the_environment_and_that_before_the_service(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_service = machine / "var/lib/stardust-hub"
    assert hub_location(words()).folder == of_service
    other = tmp_path / "other.toml"
    other.write_text('server_url = "wss://other.example.org/ws"\n')
    monkeypatch.setenv("STARDUST_CONFIG", str(other))
    monkeypatch.setenv("STARDUST_SECRET", "another secret of sixteen")
    settings = read_settings(words())
    assert settings.config is not None, settings.faults
    assert (settings.config.data_dir, settings.config.server_url) == (of_service, "wss://other.example.org/ws")
    assert settings.config.secret.reveal() == "another secret of sixteen"
    settings = read_settings(words(config=str(machine / "etc/stardust-hub/stardust.toml")))
    assert settings.config is not None, settings.faults
    assert settings.config.server_url == "wss://stardust.example.org/ws"
    monkeypatch.setenv("STARDUST_DATA_DIR", str(tmp_path / "environment"))
    assert hub_location(words()).folder == tmp_path / "environment"
    assert hub_location(words(data_dir=str(tmp_path / "flag"))).folder == tmp_path / "flag"


def test_the_settings_of_the_service_are_not_those_of_another_hub(machine: Path, tmp_path: Path) -> None:
    settings = read_settings(words(data_dir=str(tmp_path / "another")))
    assert settings.config is not None, settings.faults
    assert (settings.config.server_url, settings.secret_given, settings.unit) == (None, False, None)
    named = read_settings(words(data_dir=str(machine / "var/lib/stardust-hub")))
    assert (named.secret_given, named.unit is None) == (True, False)


def test_a_hub_of_the_run_script_keeps_its_secret_in_its_folder(machine: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkout" / ".stardust"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "secret").write_text(SECRET)
    settings = read_settings(words(data_dir=str(folder)))
    assert (settings.secret_given, settings.faults) == (True, ())


def test_without_a_service_the_folder_is_the_default_one(machine: Path) -> None:
    (machine / "etc/systemd/system/stardust-hub.service").write_text("[Service]\nExecStart=/usr/bin/podman run stardust\n")
    assert hub_location(words()).folder == Path(".stardust")
    (machine / "etc/systemd/system/stardust-hub.service").unlink()
    assert hub_location(words()).folder == Path(".stardust")


def test_settings_that_cannot_be_read_are_named(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (machine / "etc/stardust-hub/environment").mkdir()  # not even root can read it
    with pytest.raises(NotReadable, match=rf"{machine}/etc/stardust-hub/environment.*run this as root"):
        read_settings(words())
    assert main(["doctor", "--json"]) == 1
    [finding] = json.loads(capsys.readouterr().out)["checks"]
    assert (finding["check"], finding["remedy"]) == ("settings", "run this as root")
    drop_in(machine, "[Service]\nExecStart=/x/stardust serve\n")
    with pytest.raises(NotReadable, match="run this as root, or name the folder with --data-dir"):
        hub_location(words())


def test_an_unreadable_secret_is_reported_with_its_owner(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groundcontrol.cli.data_dir.os.access", lambda _path, _mode: False)  # as another user than root
    with pytest.raises(NotReadable, match=rf"{machine}/etc/stardust-hub/secret: Permission denied\): run this as root"):
        read_settings(words())


def no_hub(args: argparse.Namespace) -> str:
    return str(Hub(args)._no_hub())


def test_without_an_answering_hub_no_second_one_is_suggested(machine: Path, tmp_path: Path) -> None:
    assert "the service stardust-hub is stopped or starting: look with `systemctl status stardust-hub`" in no_hub(words())
    there = no_hub(words(data_dir=str(tmp_path / "nowhere")))
    assert f"the data folder of the service stardust-hub is {machine}/var/lib/stardust-hub" in there
    used = tmp_path / "used"
    used.mkdir()
    (used / "stardust.db").touch()
    assert "start it the way it was started before" in no_hub(words(data_dir=str(used)))
    for text in (no_hub(words()), there, no_hub(words(data_dir=str(used)))):
        assert "stardust start" not in text
    (machine / "etc/systemd/system/stardust-hub.service").unlink()
    assert "stardust start" in no_hub(words())


def test_the_removal_of_another_hub_leaves_the_installed_one(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It removed data, secret and unit of the running service, too."""
    of_service = paths_of_service(machine, keep_data=False)
    assert machine / "var/lib/stardust-hub" in of_service
    monkeypatch.setattr("groundcontrol.cli.uninstall.paths_of_service", lambda *_args, **_flags: of_service)
    trial = tmp_path / "trial"
    trial.mkdir()
    (trial / "stardust.db").touch()
    before = sorted(machine.rglob("*"))
    assert main(["uninstall", "--data-dir", str(trial), "--name", socket.gethostname()]) == 0
    assert not trial.exists()
    assert sorted(machine.rglob("*")) == before


def test_a_packaged_hub_is_left_to_its_package(machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Also by the program of a checkout, which is no part of the package."""
    monkeypatch.setattr("groundcontrol.cli.uninstall.is_packaged", lambda unit: is_packaged(unit, machine))
    packaged = machine / "usr/lib/systemd/system"
    packaged.mkdir(parents=True)
    (machine / "etc/systemd/system/stardust-hub.service").rename(packaged / "stardust-hub.service")
    before = sorted(machine.rglob("*"))
    assert main(["uninstall", "--name", socket.gethostname()]) == 1
    assert "apt-get purge stardust-hub" in capsys.readouterr().err
    assert sorted(machine.rglob("*")) == before
