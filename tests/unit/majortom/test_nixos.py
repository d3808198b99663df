"""NixOS: what a deployment does there, and the scripts of the module under a real shell, with real git and real profiles of Debian's Nix.

Written from documentation, and not run on NixOS: nixos-rebuild, home-manager, systemctl and journalctl are programs of this test with their contract.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from majortom.interfaces import DeployError
from majortom.plan import plan_install
from majortom.probe import parse_probe
from tests.support.eventually import wait_until
from tests.support.hub import ROOT

NIX = ROOT / "majortom" / "nix"
LIMIT_S = 60


class Nix(NamedTuple):
    """A store of Nix."""

    env: dict[str, str]
    systems: list[str]


BUILDING = "switch --log-format internal-json -v"
STUBS = {
    **dict.fromkeys(
        ("nixos-rebuild", "home-manager"),
        """echo "${0##*/} $*" >>"$LOG"
case $* in *--rollback*) move=--rollback ;; *) move="--set $NEXT" ;; esac
[ -z "${RECORDED:-}" ] || cat "$RECORDED" >&2
[ "${MOVES:-yes}" = no ] || nix-env --profile "$PROFILE" $move
echo "activating the configuration..."
[ "${LOSES:-no}" = no ] || rm "$SESSION"
[ -z "${HANGS:-}" ] || { echo $PPID >"$HANGS.new"; mv "$HANGS.new" "$HANGS"; exec sleep 60; }
exit "${STATUS:-0}" """,
    ),
    "systemctl": """case $* in "$MANAGER show"*) echo 0123 ;; "$MANAGER --failed"*) echo nginx.service ;; *is-active*) exit 3 ;; esac""",
    "journalctl": """[ ! -e "$SESSION" ] || echo '{"event": "session_open"}'""",
}
GENERATIONS = """let
  made = { name, text }: derivation {
    inherit name text; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin";
    args = [ "-c" ''mkdir -p $out/bin && printf "$text" >$out/activate && chmod +x $out/activate && ln -s ../activate $out/bin/switch-to-configuration'' ];
  };
in map (number: made {
  name = "generation-${number}";
  text = "#!/bin/sh\\necho activate ${number} \\$* >>\\$LOG # ${made { name = "openssl-3.${number}"; text = "#"; }}\\n";
}) [ "41" "42" "43" ]"""
"""Three systems, each with an openssl of its own version."""


@pytest.fixture(scope="module")
def nix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nix]:
    """A store of Nix with three systems. Nothing is fetched."""
    folder = tmp_path_factory.mktemp("nix")
    env = {f"NIX_{name.upper()}_DIR": str(folder / name) for name in ("store", "state", "log", "conf")}
    (folder / "conf").mkdir()
    (folder / "conf/nix.conf").write_text("build-users-group =\nsandbox = false\nsubstitute = false\nfsync-metadata = false\n")
    made = subprocess.run(
        ["nix-build", "--no-out-link", "-E", GENERATIONS],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **env}, capture_output=True, text=True, timeout=LIMIT_S, check=True,
    )  # fmt: skip
    yield Nix(env, made.stdout.split())
    subprocess.run(["chmod", "-R", "u+w", str(folder / "store")], timeout=LIMIT_S, check=True)


PACKAGES = {
    "git": "git",
    "openssh": "openssh-client",
    "util-linux": "util-linux",
    "coreutils": "coreutils",
    "gnugrep": "grep",
    "gnused": "sed",
    "bash": "dash",
    "nix": "nix-bin",
}
"""Package of Nix -> the package of Debian with the same programs; systemd's are stand-ins here."""


def programs(folder: Path) -> Path:
    """A folder with the programs that the module gives to an action, and no other: NixOS has no /usr/bin."""
    made = folder / "programs"
    if not made.exists():
        made.mkdir()
        [listed] = [line for line in (NIX / "nixos.nix").read_text().splitlines() if line.strip().startswith("programs = ")]
        for name in {"nix", *re.findall(r"pkgs\.([a-z-]+)", listed)} - {"systemd"}:
            files = subprocess.run(
                ["dpkg", "-L", PACKAGES[name]], capture_output=True, text=True, timeout=LIMIT_S, check=True
            ).stdout.split()
            for path in files:
                if re.fullmatch(r"(/usr)?/bin/[^/]+", path) and os.path.exists(path):
                    (made / path.rpartition("/")[2]).symlink_to(path)
    return made


class Machine:
    """A checkout with a remote, a profile with generations, and the programs that a switch calls."""

    def __init__(self, folder: Path, nix: Nix) -> None:
        self.folder, self.nix = folder, nix
        self.checkout, self.log = folder / "nixcfg", folder / "log"
        (folder / "bin").mkdir()
        for name, text in STUBS.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / "bin" / name).chmod(0o755)
        for kind in ("system", "home"):
            for number, system in zip((41, 42), nix.systems, strict=False):
                (folder / f"{kind}-{number}-link").symlink_to(system)
            (folder / kind).symlink_to(f"{kind}-42-link")
        self.session = folder / "session"
        self.session.touch()
        self.git("init", "-q", "-b", "main", str(folder / "remote"))
        self.commit("one")
        self.git("clone", "-q", str(folder / "remote"), str(self.checkout))

    def git(self, *words: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        return subprocess.run(
            ["git", *identity, *words], env=env, capture_output=True, text=True, timeout=LIMIT_S, check=True
        ).stdout.strip()

    def commit(self, text: str, place: str = "remote") -> str:
        (self.folder / place / text).write_text(text)
        self.git("-C", str(self.folder / place), "add", "-A")
        self.git("-C", str(self.folder / place), "commit", "-q", "-m", text)
        return self.git("-C", str(self.folder / place), "rev-parse", "HEAD")

    def run(self, action: str, rebuild: str = "nixos-rebuild", **env: str) -> tuple[int, str]:
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, timeout=LIMIT_S, check=True).stdout.strip()
        values = {
            "ACTION": action,
            "CHECKOUT": str(self.checkout),
            "CHECKOUT_USER": user,
            "FLAKE": f"{self.checkout}#web",
            "TESTS": "tests/*.sh",
            "REBUILD": rebuild,
            "PROGRESS": f"{sys.executable} -I {NIX / 'progress.py'}",
            "MANAGER": "--system" if rebuild == "nixos-rebuild" else "--user",
            "PROFILE": str(self.folder / ("system" if rebuild == "nixos-rebuild" else "home")),
            **({"FLAKE": env["FLAKE"]} if "FLAKE" in env else {}),
        }
        head = "".join(f"{name}='{value}'\n" for name, value in values.items())
        usual = {
            "PATH": f"{self.folder}/bin:{programs(self.folder)}", "HOME": str(self.folder), "MANAGER": values["MANAGER"], "PROFILE": values["PROFILE"],
            "LOG": str(self.log), "SESSION": str(self.session), "SESSION_LIMIT_S": "1", "NEXT": self.nix.systems[2],
        }  # fmt: skip
        script = self.folder / "action"
        script.write_text("#!/bin/sh\n" + head + (NIX / "action.sh").read_text())
        script.chmod(0o755)
        with subprocess.Popen(
            [script],
            env={**usual, **self.nix.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as child:
            said, _ = child.communicate(timeout=LIMIT_S)
        return child.returncode, said

    def generation(self, rebuild: str) -> str:
        return os.readlink(self.folder / ("system" if rebuild == "nixos-rebuild" else "home")).split("-")[1]

    @property
    def ordered(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path, nix: Nix) -> Machine:
    return Machine(tmp_path, nix)


def test_a_pull_moves_forward_and_shows_the_commits(machine: Machine) -> None:
    level = machine.run("pull")
    assert (level[0], "as before" in level[1]) == (0, True)
    after = machine.commit("two")
    (machine.checkout / ".git" / "hooks" / "post-merge").write_text("#!/bin/sh\ntouch $HOME/hooked\n")
    (machine.checkout / ".git" / "hooks" / "post-merge").chmod(0o755)
    status, text = machine.run("pull")
    assert status == 0
    assert f"-> {after}" in text
    assert text.rstrip().endswith(" two")
    assert not (machine.folder / "hooked").exists(), "a hook of the checkout would run"


@pytest.mark.parametrize(
    ("state", "told"), [("dirty", "not committed"), ("diverged", "diverged"), ("away", "does not answer"), ("none", "no checkout")]
)
def test_a_pull_that_cannot_go_forward_changes_nothing_and_no_switch_follows(machine: Machine, state: str, told: str) -> None:
    before = machine.git("-C", str(machine.checkout), "rev-parse", "HEAD")
    machine.commit("two")
    if state == "dirty":
        (machine.checkout / "one").write_text("changed")
    elif state == "diverged":
        before = machine.commit("mine", "nixcfg")
    elif state == "away":
        (machine.folder / "remote").rename(machine.folder / "gone")
    else:
        machine.checkout.rename(machine.folder / "elsewhere")
        machine.checkout.mkdir()
    status, text = machine.run("pull-switch")
    assert (status, told in text, "nothing was done" in text, machine.ordered) == (1, True, True, [])
    if state != "none":
        assert machine.git("-C", str(machine.checkout), "rev-parse", "HEAD") == before


def test_a_switch_shows_the_generation_and_what_changed(machine: Machine) -> None:
    status, text = machine.run("switch")
    assert (status, machine.ordered) == (0, [f"nixos-rebuild {BUILDING} --flake {machine.checkout}#web"])
    assert "generation 42 -> 43" in text
    assert "openssl: 3.42 → 3.43" in text


@pytest.mark.parametrize(
    ("rebuild", "words"), [("nixos-rebuild", "-I nixos-config={}/configuration.nix"), ("home-manager", "-f {}/home.nix")]
)
def test_a_switch_without_a_flake_names_the_file_of_the_checkout(machine: Machine, rebuild: str, words: str) -> None:
    status, text = machine.run("switch", rebuild, FLAKE="")
    assert (status, machine.ordered) == (0, [f"{rebuild} {BUILDING} {words.format(machine.checkout)}"])
    assert "generation 42 -> 43" in text


def test_a_switch_shows_what_is_fetched_and_built_and_that_it_is_activated(machine: Machine, tmp_path: Path) -> None:
    """The lines are those of Nix 2.34, with a fetch before them as its sources write it."""
    recorded = (Path(__file__).parent / "nix-2.34-build.txt").read_text()
    fetch = "".join(
        f"@nix {json.dumps(one)}\n"
        for one in (
            {"action": "start", "id": 1, "level": 0, "parent": 0, "text": "", "type": 103},
            *({"action": "result", "fields": [done, 2, 0, 0], "id": 1, "type": 105} for done in (0, 2)),
            {"action": "msg", "level": 0, "msg": "error: \x1b[31mone\x1b[0m\nof two lines"},
            {"action": "later"}, ["not known"],
        )
    )  # fmt: skip
    (tmp_path / "recorded").write_text(fetch + recorded)
    status, text = machine.run("switch", RECORDED=str(tmp_path / "recorded"))
    assert status == 0
    lines = text.splitlines()
    told = ["[0/2] fetch", "[2/2] fetch", "of two lines", "[0/1] build", "hello from the builder", "[1/2] build", "[?] activate"]
    assert [line for line in lines if line in told] == told
    assert "evaluating file" not in text
    assert '@nix ["not known"]' in text, "what cannot be read is shown as it is"


def test_failed_units_are_named_and_a_failed_build_leaves_the_generation(machine: Machine) -> None:
    status, text = machine.run("switch", STATUS="4")
    assert (status, "nginx.service" in text) == (4, True)
    status, text = machine.run("switch", STATUS="1", MOVES="no")
    assert (status, "generation 43 -> 43" in text, "switched" in text) == (1, True, False)


@pytest.mark.parametrize(
    ("action", "rebuild", "status", "activated"),
    [
        ("switch", "nixos-rebuild", "0", "activate 42 switch"),
        ("switch", "home-manager", "0", "activate 42 --driver-version 1"),
        pytest.param("switch", "nixos-rebuild", "1", "activate 42 switch", marks=pytest.mark.slow),
        pytest.param("switch", "nixos-rebuild", "2", "activate 42 switch", marks=pytest.mark.slow),
        ("switch", "nixos-rebuild", "4", "activate 42 switch"),
        ("rollback", "nixos-rebuild", "0", "activate 42 switch"),
        pytest.param("rollback", "home-manager", "1", "activate 42 --driver-version 1", marks=pytest.mark.slow),
    ],
)
def test_what_leaves_no_session_is_taken_back(machine: Machine, action: str, rebuild: str, status: str, activated: str) -> None:
    """Whatever status it ended with."""
    ended, text = machine.run(action, rebuild, LOSES="yes", STATUS=status)
    assert (ended, "rolled back to generation 42" in text) == (1, True), text
    assert machine.ordered[-1] == activated
    assert machine.generation(rebuild) == "42"


@pytest.mark.parametrize("status", [*(pytest.param(status, marks=pytest.mark.slow) for status in "12"), "4"])
def test_a_switch_with_failures_stays_where_the_session_comes_back(machine: Machine, status: str) -> None:
    ended, text = machine.run("switch", STATUS=status)
    assert (ended, "rolled back" in text) == (int(status), False), text
    assert machine.generation("nixos-rebuild") == "43"


def test_an_action_that_is_killed_half_way_is_taken_back_all_the_same(machine: Machine) -> None:
    """The job's own end, as at its time limit: its programs die at once, but what they had changed stays."""
    hangs = machine.folder / "hangs"

    def kill() -> None:
        wait_until(hangs.exists, LIMIT_S)
        os.killpg(os.getpgid(int(hangs.read_text())), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    status, text = machine.run("switch", LOSES="yes", HANGS=str(hangs))
    thread.join()
    assert (status, "switched, with failures (status ended)" in text, "rolled back to generation 42" in text) == (-9, True, True), text
    assert (machine.generation("nixos-rebuild"), machine.ordered[-1]) == ("42", "activate 42 switch")


def test_a_machine_without_git_is_left_as_it_is(machine: Machine) -> None:
    (programs(machine.folder) / "git").unlink()
    status, text = machine.run("pull-switch")
    assert (status, "git is missing: nothing was done" in text, machine.ordered) == (1, True, []), text


def test_a_rollback_goes_back_and_needs_no_flake(machine: Machine) -> None:
    status, text = machine.run("rollback")
    assert (status, machine.ordered) == (0, ["nixos-rebuild switch --rollback"])
    assert "generation 42 -> 41" in text


def test_tests_are_run_one_by_one_and_counted(machine: Machine) -> None:
    assert machine.run("test")[0] == 1, "no test is not a passed test"
    (machine.checkout / "tests").mkdir()
    for name, text in (("a.sh", "echo fine"), ("b.sh", "exit 3")):
        (machine.checkout / "tests" / name).write_text(text)
    status, text = machine.run("test")
    assert (status, "failed with 3: tests/b.sh" in text, "1 of 2 tests passed" in text) == (1, True, True)


def test_a_join_stores_the_keys_alone_and_takes_them_back(tmp_path: Path) -> None:
    upload, etc = tmp_path / "upload", tmp_path / "etc"
    upload.mkdir()
    etc.mkdir()
    for name in ("spider.conf", "session.key", "launch.key", "spider.pyz"):
        (upload / name).write_text(name)
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(upload.iterdir()))
    (upload / "manifest").write_text(sums)
    digest = hashlib.sha256(sums.encode()).hexdigest()
    (tmp_path / "systemctl").write_text("#!/bin/sh\n")
    (tmp_path / "systemctl").chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STARDUST_ETC": str(etc), "STARDUST_USER": str(os.geteuid())}

    def act(*words: str) -> str:
        done = subprocess.run(["sh", str(NIX / "join.sh"), *words], env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        return done.stdout.splitlines()[-1]

    assert act("arm", "600") == "ok"
    assert act("install", str(upload), "0" * 64, "1.0", "yes") == "error upload_damaged"
    assert list(etc.iterdir()) == []
    assert act("install", str(upload), digest, "1.0", "yes") == "ok"
    assert {path.name: path.stat().st_mode & 0o777 for path in etc.iterdir()} == {
        "spider.conf": 0o644,
        "session.key": 0o600,
        "launch.key": 0o600,
    }
    assert act("install", str(upload), digest, "1.0", "yes").startswith("error already_installed")
    assert act("undo") == "ok"
    assert list(etc.iterdir()) == []


LINES = [
    "uid=0", "kernel=Linux", "arch=x86_64", "hostname=nix", "clock=1", "systemd=yes", "systemd_version=257", "os_ID=nixos",
    "python=/run/current-system/sw/bin/python3",
]  # fmt: skip


def planned(*lines: str) -> str:
    return plan_install(parse_probe([*lines, *LINES]), install_python=False, hub_url="", fleet="0" * 26, replaceable=False).clean


def test_a_deployment_on_nixos_changes_nothing_and_says_what_to_do() -> None:
    with pytest.raises(DeployError, match=r"docs/nixos\.md") as refused:
        planned()
    assert refused.value.code == "nixos"
    own = ("nixos_module=yes", "existing=/var/lib/stardust", "user=stardust:x:1:1::/:/x", "missing_tool=useradd")
    assert planned(*own) == "nothing", "account and folder are the module's"
    with pytest.raises(DeployError) as refused:
        planned(*own, f"existing_id={'1' * 26}")
    assert refused.value.code == "already_installed"
