"""The modules for nix-darwin and Home Manager, evaluated by Nix itself; and a join as a user's own service, with the real scripts and a real hub."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from majortom.build.bundle import read_bundle, read_joiner
from spider.root.policy import parse_policy
from spider.sampling.collectors.configuration import Configuration, read_configuration
from tests.support.eventually import wait_until
from tests.support.hub import ROOT, HubProcess
from tests.support.join_host import invited
from tests.support.nix import LIMIT_S, evaluated, expression

pytestmark = pytest.mark.system
JOINING = 'enable = true; inviteFile = "/run/secret/invite"; location = "home"; revision = "1a2b3c4d5e6f";'
MANAGED = 'policy = "managed"; configuration.path = "/home/me/nixcfg";'
MODULES = [("darwin", True), ("home-manager", True), ("home-manager", False)]


def without_nulls(value: Any) -> Any:
    return {key: without_nulls(item) for key, item in value.items() if item is not None} if isinstance(value, dict) else value


def listed(value: Any) -> Any:
    """A property list as launchd gets it: written as XML and as binary, and read again."""
    given = without_nulls(value)
    for form in (plistlib.FMT_XML, plistlib.FMT_BINARY):
        assert plistlib.loads(plistlib.dumps(given, fmt=form)) == given
    return given


@pytest.mark.parametrize(("module", "darwin"), MODULES)
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("enable = true; polcy = 1;", "unknown option polcy"),
        ("enable = true; reboot = true;", "unknown option reboot"),
        ('enable = true; inviteFile = "/nix/store/x";', "inviteFile is no"),
        ("enable = true; inviteFile = ./invite;", "inviteFile is no"),
        ('enable = true; inviteFile = "/run/$(reboot)";', "inviteFile is no"),
        ('enable = true; revision = "main";', "revision is no"),
    ],
)
def test_invalid_settings_are_refused(module: str, darwin: bool, settings: str, told: str, tmp_path: Path) -> None:
    status, _, error = evaluated(settings, tmp_path, module, darwin=darwin)
    assert (status, told in error) == (1, True), error


@pytest.mark.parametrize(
    ("module", "darwin", "settings", "told"),
    [
        ("darwin", True, 'policy = "managed";', "unknown option policy"),
        ("home-manager", True, MANAGED, "no launcher on a Mac"),
        ("home-manager", False, 'policy = "managed";', "need configuration.path"),
        ("home-manager", False, MANAGED + "actions = [ ];", "is monitor"),
        ("home-manager", False, MANAGED + 'configuration.user = "me";', "unknown option configuration.user"),
        ("home-manager", False, 'policy = "managed"; configuration.path = "/home/me/it\'s";', "configuration.path is no"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused(module: str, darwin: bool, settings: str, told: str, tmp_path: Path) -> None:
    status, _, error = evaluated(f"enable = true; {settings}", tmp_path, module, darwin=darwin)
    assert (status, told in error) == (1, True), error


@pytest.mark.parametrize(("module", "darwin"), MODULES)
def test_a_disabled_module_makes_nothing(module: str, darwin: bool, tmp_path: Path) -> None:
    assert evaluated("", tmp_path, module, darwin=darwin)[:2] == (0, None)


def test_the_flake_sees_all_that_its_modules_need(tmp_path: Path) -> None:
    """A flake is copied into the store by itself, so nothing above its folder may be named."""
    flake = tmp_path / "flake"
    shutil.copytree(ROOT / "majortom", flake, ignore=shutil.ignore_patterns("__pycache__"))
    text = f'let made = (import {flake}/flake.nix).outputs {{ self = null; }}; in builtins.attrNames made ++ [ (toString (import {flake}/nix/package.nix {{ stdenvNoCC.mkDerivation = given: given.src; python3 = ""; }})) ]'
    status, made, error = expression(text, tmp_path)
    assert (status, made) == (0, ["darwinModules", "homeManagerModules", "nixosModules", str(flake)]), error


def test_nix_darwin_gets_a_daemon_an_account_and_a_join(tmp_path: Path) -> None:
    status, made, error = evaluated(JOINING, tmp_path, "darwin", darwin=True)
    assert status == 0, error
    spider, join = (made["launchd"]["daemons"][name] for name in ("stardust-spider", "stardust-join"))
    plist = listed(spider["serviceConfig"])
    assert (plist["UserName"], plist["KeepAlive"]) == ("_stardust", {"PathState": {"/etc/stardust/spider.conf": True}})
    arguments = dict(zip(plist["ProgramArguments"][4::2], plist["ProgramArguments"][5::2], strict=True))
    policy = parse_policy((tmp_path / arguments["--policy"].lstrip("/")).read_text())
    assert (policy.mode, policy.verbs) == ("monitor", ())
    assert made["users"]["users"]["_stardust"]["uid"] == made["users"]["groups"]["_stardust"]["gid"] == 533
    assert listed(join["serviceConfig"])["KeepAlive"] == {"SuccessfulExit": False}
    assert "export STARDUST_SERVICE=system/org.nixos.stardust-spider\n" in join["script"]
    assert subprocess.run(["sh", "-n"], input=join["script"], text=True, timeout=LIMIT_S, check=False).returncode == 0
    assert "uid is no" in evaluated("enable = true; uid = 0;", tmp_path, "darwin", darwin=True)[2]
    status, made, error = evaluated("enable = true;", tmp_path, "darwin", darwin=True)
    assert (status, made["launchd"]["daemons"]["stardust-join"]) == (0, None), error


def test_home_manager_on_a_mac_gets_two_agents(tmp_path: Path) -> None:
    status, made, error = evaluated(JOINING, tmp_path, "home-manager", darwin=True)
    assert (status, made["systemd"]["user"]["services"]) == (0, None), error
    agents = made["launchd"]["agents"]
    assert {name: agent["domain"] for name, agent in agents.items()} == {"stardust-spider": "user", "stardust-join": "user"}
    assert listed(agents["stardust-spider"]["config"])["ProgramArguments"][0] == "/nix/store/python3-env/bin/python3", "with psutil"
    script = (tmp_path / listed(agents["stardust-join"]["config"])["ProgramArguments"][0].lstrip("/")).read_text()
    assert 'export STARDUST_SERVICE="user/$(id -u)/org.nix-community.home.stardust-spider"\n' in script


STANDS_IN = r"""#!/bin/sh
case "$*" in
    "--user start stardust-spider.service")
        [ -e "$HOME/.config/stardust/spider.conf" ] || exit 1
        setsid sh -c "$(cat "$HOME/exec-start")" </dev/null >"$HOME/log" 2>&1 & echo $! >"$HOME/pid" ;;
    "--user is-active --quiet stardust-spider.service") kill -0 "$(cat "$HOME/pid")" ;;
    "--user show "*) echo 0123 ;;
    "--user stop "*) kill "$(cat "$HOME/pid")" ;;
    *) echo "systemctl $*" >>"$HOME/unexpected"; exit 1 ;;
esac
"""


def test_a_user_joins_with_home_manager_and_is_only_watched(tmp_path: Path) -> None:
    """With no folder of other systems in PATH, as on NixOS. Only systemctl and journalctl are stand-ins."""
    home, package, tools = tmp_path / "home", tmp_path / "package/lib/stardust", tmp_path / "bin"
    for folder in (home / ".local/state", package, tools):
        folder.mkdir(parents=True)
    for name, data in {"spider.pyz": read_bundle(), "joiner.pyz": read_joiner()}.items():
        (package / name).write_bytes(data)
    for name in ("probe.sh", "join.sh"):
        (package / name).write_bytes((ROOT / "majortom/nix" / name).read_bytes())
    for name, text in {"systemctl": STANDS_IN, "journalctl": '#!/bin/sh\ncat "$HOME/log"\n'}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    names = [
        "sh",
        "cat",
        "env",
        "id",
        "uname",
        "date",
        "sed",
        "grep",
        "tail",
        "install",
        "sha256sum",
        "rm",
        "mkdir",
        "setsid",
        "kill",
        "sleep",
        "dirname",
    ]
    for name in names:
        path = subprocess.run(
            ["/bin/sh", "-c", f"command -v {name}"], capture_output=True, text=True, timeout=LIMIT_S, check=True
        ).stdout.strip()
        if path.startswith("/"):
            (tools / name).symlink_to(path)
    (tools / "python3").symlink_to(sys.executable)
    with HubProcess(tmp_path / "hub") as hub:
        (tmp_path / "invite").write_text(invited(hub, name="laptop", policy="managed")["invite"] + "\n")
        settings = f'{JOINING.replace("/run/secret", str(tmp_path))} package = "{package.parents[1]}";'
        status, made, error = evaluated(settings, tmp_path / "store", "home-manager")
        assert status == 0, error
        services = made["systemd"]["user"]["services"]

        def here(text: str) -> str:
            usual = {
                "/nix/store/python3/bin/python3": f"{tools}/python3",
                "/home/me": str(home),
                "'me'": "'root'",
                "/nix/store/": f"{tmp_path}/store/nix/store/",
            }
            for before, after in usual.items():
                text = text.replace(before, after)
            return text.replace(":/usr/bin:/bin:/usr/sbin:/sbin", "").replace("export PATH='", f"export PATH='{tools}:")

        script = here((tmp_path / "store" / services["stardust-join"]["Service"]["ExecStart"].lstrip("/")).read_text())
        (home / "exec-start").write_text("exec " + here(services["stardust-spider"]["Service"]["ExecStart"]))
        env = {"HOME": str(home), "PATH": str(tools)}
        done = subprocess.run(["/bin/sh", "-c", script], env=env, capture_output=True, text=True, timeout=120, check=False)
        pid = int((home / "pid").read_text()) if (home / "pid").exists() else 0
        try:
            assert (done.returncode, "connected" in done.stdout) == (0, True), done.stdout + done.stderr + hub.output[-2000:]
            assert not (home / "unexpected").exists()
            (node,) = hub.local("GET", "/api/v1/nodes").json["nodes"]
            wait_until(lambda: hub.node(node["id"])["policy"], 60)
            seen = hub.node(node["id"])
            assert (seen["state"], seen["name"], seen["policy"]["mode"]) == ("online", "laptop", "monitor")
            again = subprocess.run(["/bin/sh", "-c", script], env=env, capture_output=True, text=True, timeout=120, check=False)
            assert (again.returncode, again.stdout) == (0, ""), "a second start leaves it"
        finally:
            if pid:
                os.kill(pid, 15)
    about = home / ".config/stardust/about.conf"
    about.write_text(here(made["xdg"]["configFile"]["stardust/about.conf"]["text"]))
    profiles = home / ".local/state/nix/profiles"
    profiles.mkdir(parents=True)
    (profiles / "home-manager").symlink_to("home-manager-9-link")
    assert read_configuration(str(about.parent)) == Configuration("1a2b3c4d5e6f", 9, "home")


UNITS = ROOT / "majortom/remote/units"


def unit_text(sections: dict[str, dict[str, Any]]) -> str:
    """Sections as systemd reads them."""
    lines = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        for name, value in values.items():
            given = value if isinstance(value, list) else [value]
            lines += [f"{name}={str(one).lower() if isinstance(one, bool) else one}" for one in given]
    return "\n".join(lines) + "\n"


def complaints(folder: Path, *more: str) -> list[str]:
    """What systemd says of the units in a folder. The programs are in a Nix store that is not here."""
    done = subprocess.run(
        ["systemd-analyze", "verify", *more, *sorted(str(path) for path in folder.iterdir() if path.suffix in (".service", ".socket"))],
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)}, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    return [line for line in done.stderr.splitlines() if "is not executable: No such file" not in line]


def test_systemd_accepts_the_units_of_both_modules(tmp_path: Path) -> None:
    status, nixos, error = evaluated(f'{JOINING} {MANAGED} configuration.user = "me"; units = [ "nginx.service" ];', tmp_path)
    assert status == 0, error
    system = tmp_path / "system"
    shutil.copytree(UNITS, system)
    for kind in ("services", "sockets"):
        for name, unit in without_nulls(nixos["systemd"][kind]).items():
            sections = {
                "Unit": {"Description": unit.get("description", name), **unit.get("unitConfig", {})},
                "Service": {
                    **unit.get("serviceConfig", {}),
                    "Environment": [f"{key}={value}" for key, value in unit.get("environment", {}).items()],
                },
            }
            if "script" in unit:
                sections["Service"]["ExecStart"] = "/bin/sh"
            file = system / f"{name}.{kind[:-1]}"
            if file.exists():
                file = system / f"{file.name}.d" / "overrides.conf"
                file.parent.mkdir()
            file.write_text(unit_text(sections if kind == "services" else {"Unit": sections["Unit"]}))
    assert {path.parent.name for path in system.glob("*/overrides.conf")} == {
        f"stardust-{name}.d" for name in ("spider.service", "launcher@.service", "job@.service", "launcher.socket")
    }
    assert complaints(system) == []

    status, home, error = evaluated(f"{JOINING} {MANAGED}", tmp_path, "home-manager")
    assert status == 0, error
    user = tmp_path / "user"
    user.mkdir()
    for kind in ("services", "sockets"):
        for name, sections in home["systemd"]["user"][kind].items():
            (user / f"{name}.{kind[:-1]}").write_text(unit_text(sections))
    assert len(list(user.iterdir())) == 5
    assert complaints(user, "--user") == []
    (user / "stardust-spider.service").write_text("[Service]\nExecStart=/bin/true\nRestart=sometimes\n")
    assert len(complaints(user, "--user")) == 1, "a wrong line is seen"
