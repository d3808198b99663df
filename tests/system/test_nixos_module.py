"""The NixOS module evaluated by Nix itself, against a stub of the options that it uses; nixpkgs is no part of this."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from spider.root.policy import parse_policy
from spider.sampling.collectors.configuration import Configuration, read_configuration
from tests.support.nix import evaluated

pytestmark = pytest.mark.system
LIMIT_S = 60
ON = 'enable = true; policy = "managed";'
MANAGED = f'{ON} configuration.path = "/home/me/nixcfg"; configuration.user = "me";'


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("enable = true; polcy = 1;", "unknown option polcy"),
        ('enable = true; policy = "root";', "policy is no"),
        ('enable = true; inviteFile = "/nix/store/x";', "inviteFile is no"),
        ('enable = true; inviteFile = "~/invite";', "inviteFile is no"),
        ("enable = true; inviteFile = ./invite;", "inviteFile is no"),
        ('enable = true; policy = "managed";', "need configuration.path"),
        ('enable = true; policy = "managed"; configuration.path = "/x";', "need configuration.user"),
        ('enable = true; policy = "managed"; actions = [ ];', "is monitor"),
        (MANAGED + ' actions = [ "format" ];', "actions is no"),
        (ON + 'configuration.path = "/home/me/it\'s"; configuration.user = "me";', "configuration.path is no"),
        (ON + 'configuration.path = "nixcfg"; configuration.user = "me";', "configuration.path is no"),
        (ON + 'configuration.path = "/x"; configuration.user = "a b";', "configuration.user is no"),
        ('enable = true; location = "a\\nb";', "location is no"),
        (MANAGED + 'configuration.tests = "a;b";', "configuration.tests is no"),
    ],
)
def test_invalid_settings_are_refused(settings: str, told: str, tmp_path: Path) -> None:
    status, _, error = evaluated(settings, tmp_path)
    assert (status, told in error) == (1, True), error


def test_a_node_that_is_only_watched_gets_no_launcher_and_no_action(tmp_path: Path) -> None:
    status, made, error = evaluated('enable = true; inviteFile = "/run/agenix/invite";', tmp_path)
    assert status == 0, error
    policy = parse_policy(made["environment"]["etc"]["stardust/policy.conf"]["text"])
    assert (policy.mode, policy.verbs) == ("monitor", ())
    assert sorted(made["environment"]["etc"]) == ["stardust/about.conf", "stardust/policy.conf"]
    assert made["systemd"]["sockets"]["stardust-launcher"] is None
    join = made["systemd"]["services"]["stardust-join"]
    assert join["serviceConfig"]["LoadCredential"] == "invite:/run/agenix/invite"
    assert join["unitConfig"]["ConditionPathExists"] == "!/etc/stardust/spider.conf"


@pytest.mark.parametrize(
    ("more", "flake"),
    [
        ("", "/home/me/nixcfg#web-1"),
        ('configuration.attribute = "prod@web";', "/home/me/nixcfg#prod@web"),
        ("configuration.flake = false;", ""),
    ],
)
def test_a_managed_node_gets_the_policy_and_the_actions_that_it_allows(more: str, flake: str, tmp_path: Path) -> None:
    status, made, error = evaluated(MANAGED + 'units = [ "nginx.service" ]; reboot = true;' + more, tmp_path)
    assert status == 0, error
    etc = made["environment"]["etc"]
    policy = parse_policy(etc["stardust/policy.conf"]["text"])
    assert set(policy.verbs) == {"reboot", "rekey", "action-run", "unit-start", "unit-stop", "unit-restart", "unit-reload"}
    assert dict(policy.lines)["actions"] == ("pull", "switch", "pull-switch", "test", "rollback")
    actions = {name.rpartition("/")[2]: entry for name, entry in etc.items() if "actions.d" in name}
    assert set(actions) == {"pull", "switch", "pull-switch", "test", "rollback"}
    for name, entry in actions.items():
        assert entry["mode"] == "0755", "a real file: the runner refuses links"
        assert f"ACTION='{name}'\n" in entry["text"]
        assert f"FLAKE='{flake}'\n" in entry["text"]
        done = subprocess.run(["sh", "-n"], input=entry["text"], text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0
    for unit in ("stardust-job@", "stardust-launcher@"):
        assert made["systemd"]["services"][unit]["restartIfChanged"] is False, "a switch must not end the job that ordered it"


def test_revision_and_location_are_told_to_spider(tmp_path: Path) -> None:
    status, made, error = evaluated('enable = true; location = "the cellar";', tmp_path)
    assert status == 0, error
    (tmp_path / "about.conf").write_text(made["environment"]["etc"]["stardust/about.conf"]["text"])
    assert read_configuration(str(tmp_path), str(tmp_path)) == Configuration("1a2b3c4d5e6f", 0, "the cellar")


def test_a_disabled_module_makes_nothing(tmp_path: Path) -> None:
    assert evaluated("", tmp_path)[:2] == (0, None)
