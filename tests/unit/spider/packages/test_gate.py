"""The gate that apt-get and pacman run themselves: what they pass to it, and whether they may continue."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.packages.backend import OwnStep
from spider.packages.hook_install import TransactionHook
from spider.packages.pacman.backend import Pacman
from spider.packages.plan import Plan, Planned
from spider.packages.transaction_hook import hash_lists, read_apt
from tests.support.some import some

HEAD = "VERSION 3\nAPT::Architecture=amd64\nDPkg::Pre-Install-Pkgs::=exec%20python3\n\n"
# As apt 2.6 sent it on a host of the lab.
UPGRADES = (
    "lab-extra - - none < 2.0 all none /srv/lab-repo/apt/main/./lab-extra_2.0_all.deb\n"
    "libx 1.0 i386 same < 1:2.0 i386 same /var/cache/apt/archives/libx_1%3a2.0_i386.deb\n"
    "lab-old 1.0 all none > - - none **REMOVE**\n"
    "lab-extra - - none < 2.0 all none **CONFIGURE**\n"
    "libx 1.0 i386 same < 1:2.0 i386 same **CONFIGURE**\n"
)
PLAN = Plan((Planned("lab-extra", "", "2.0"), Planned("libx:i386", "1.0", "1:2.0"), Planned("lab-old", "1.0", "")))


def ask(gate: TransactionHook, kind: str, said: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/bin/sh", "-c", gate.command(kind, *words)], input=said, text=True, capture_output=True, check=False)


@pytest.fixture
def gate(tmp_path: Path) -> TransactionHook:
    return TransactionHook(str(tmp_path / "gate"))


def test_apt_passes_the_hook_only_with_the_approved_plan(gate: TransactionHook) -> None:
    gate.install(PLAN, {"native": "amd64"})
    assert gate.refusal() is None
    assert ask(gate, "apt", HEAD + UPGRADES).returncode == 0
    assert gate.refusal() is None
    for said, name in (
        (UPGRADES + "lab-slow 1.0 all none < 2.0 all none /x/lab-slow_2.0_all.deb\n", "lab-slow"),
        (UPGRADES.replace("1:2.0", "1:2.1"), "libx:i386"),
        (UPGRADES.replace("lab-old 1.0 all none > - - none **REMOVE**\n", ""), "lab-old"),
        (UPGRADES + "bash 5 amd64 none > - - none **REMOVE**\n", "bash"),
    ):
        gate.install(PLAN, {"native": "amd64"})
        done = ask(gate, "apt", HEAD + said)
        assert (done.returncode, done.stdout, done.stderr) == (1, f"Stardust: this is not what was shown: {name}\n", "")
        refusal = some(gate.refusal())
        assert refusal.code == "job.plan_changed"


def test_unknown_hook_input_is_refused(gate: TransactionHook) -> None:
    for said in ("", "VERSION 2\n\n" + UPGRADES, HEAD + "one two three\n", UPGRADES):
        gate.install(PLAN, {"native": "amd64"})
        assert ask(gate, "apt", said).returncode == 1
        assert gate.refusal() is not None


@given(st.text())
def test_any_text_is_a_change_of_packages_or_none(text: str) -> None:
    try:
        found = read_apt(text, "amd64")
    except ValueError:
        return
    assert all(name and " " not in name + version for name, version in found.items())


def test_pacman_passes_the_hook_only_with_the_approved_plan(gate: TransactionHook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists, programs = tmp_path / "sync", tmp_path / "bin"
    lists.mkdir()
    programs.mkdir()
    (lists / "core.db").write_bytes(b"1")
    (programs / "pacman-conf").write_text("#!/bin/sh\necho core; echo extra\n")
    (programs / "pacman-conf").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    more: dict[str, object] = {"lists": hash_lists(str(lists)), "lists_at": str(lists), "repositories": ["core", "extra"]}

    def told(*calls: tuple[str, str]) -> list[int]:
        gate.install(PLAN, more)
        return [ask(gate, "pacman", said, part).returncode for part, said in calls]

    assert told(("whole", "lab-extra\nlab-old\nlibx:i386\n")) == [0]
    assert told(("part", "lab-extra\n"), ("whole", "lab-old\nlibx:i386\n")) == [0, 0]
    assert told(("part", "lab-extra\n"), ("whole", "lab-old\n")) == [0, 1]
    assert told(("part", "glibc\n")) == [1]
    assert told(("whole", "lab-extra\nlab-old\nlibx:i386\nglibc\n")) == [1]
    (lists / "community.db").write_bytes(b"1")  # of a repository that is no longer enabled: pacman keeps it, and Spider's copy lacks it
    assert told(("whole", "lab-extra\nlab-old\nlibx:i386\n")) == [0]
    (lists / "extra.db").write_bytes(b"1")  # of an enabled one, without a list when the plan was made
    assert told(("whole", "lab-extra\nlab-old\nlibx:i386\n")) == [1]
    (lists / "extra.db").unlink()
    (lists / "core.db").write_bytes(b"2")  # refreshed meanwhile: the same names may be other versions
    assert told(("whole", "lab-extra\nlab-old\nlibx:i386\n")) == [1]
    more["lists"] = hash_lists(str(lists))
    more["repositories"] = ["extra", "core"]
    assert told(("whole", "lab-extra\nlab-old\nlibx:i386\n")) == [1]
    more["lists"] = None
    assert told(("whole", "lab-extra\nlab-old\nlibx:i386\n")) == [0]


def test_without_room_for_the_hook_the_system_s_lists_of_pacman_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Newer lists without their upgrade would make the next installation by hand a partial upgrade."""
    own, system = tmp_path / "own", tmp_path / "system"
    for folder, content in ((own, b"new"), (system, b"old")):
        (folder / "sync").mkdir(parents=True)
        (folder / "sync" / "core.db").write_bytes(content)
    monkeypatch.setattr(Pacman, "_system", str(system))
    monkeypatch.setattr(Pacman, "_databases", lambda _self: str(own))
    monkeypatch.setattr(Pacman, "_hooks", lambda _self, _part: ())
    work = Pacman(str(own), TransactionHook(str(tmp_path / "missing" / "gate"))).work("upgrade", (), PLAN)
    first = next(step for step in work if isinstance(step, OwnStep))
    with pytest.raises(FileNotFoundError):
        first.do()
    assert (system / "sync" / "core.db").read_bytes() == b"old"


def test_the_hook_depends_only_on_its_own_folder(gate: TransactionHook, tmp_path: Path) -> None:
    gate.install(PLAN, {"native": "amd64"})
    assert sorted(path.name for path in (tmp_path / "gate").iterdir()) == ["transaction_hook.py", "wanted"]
    assert json.loads((tmp_path / "gate" / "wanted").read_text())["native"] == "amd64"
    assert (tmp_path / "gate").stat().st_mode & 0o777 == 0o700
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(tmp_path / "gate/transaction_hook.py")], capture_output=True, text=True, check=True
    )
    assert "spider" not in loaded.stdout
