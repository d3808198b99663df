"""The script that stashes an installation: root runs no program of the agent's user while it moves or removes that user's files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from spider.config import ADDRESS_FILE

SCRIPTS = Path(__file__).parents[3] / "majortom/remote"
STUBS = """
systemctl() { :; }
stop_units() { printf 'stop\\n' >>"$DONE"; }
end_programs() { printf 'end\\n' >>"$DONE"; }
getent() { [ "$1" = passwd ] && printf 'stardust:x:990:990::%s:/bin/false\\n' "$HOME_OF_USER"; }
walk() { case $* in *[/\\ ]spider*|*stardust-spider*|*/before*) printf 'walk\\n' >>"$DONE" ;; esac; }
rm() { walk "$@"; command rm "$@"; }
mv() { walk "$@"; command mv "$@"; }
stat() { case $* in '-c %U '*) printf 'stardust\\n' ;; *) command stat "$@" ;; esac; }
require_timer() { :; }
"""


def carry_out(root: Path, action: str, journal: str, *, ours: bool, words: str = "") -> list[str]:
    """Run one function of the script, with these arguments, below `root`; returns its actions, without immediate repetitions."""
    for folder in (
        "var/lib/stardust/before/var",
        "var/lib/stardust/spider",
        "run/stardust-spider",
        "etc/stardust",
        "etc/systemd/system",
        "opt",
        "tmp",
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "var/lib/stardust/installed").write_text(f"version 1\n{journal}")
    if action == "stash":
        (root / "var/lib/stardust/before/var").rmdir()
    elif not (root / "var/lib/stardust/before/kept").exists():
        (root / "var/lib/stardust/before/kept").write_text("before\ninstalled\n")
    functions = (SCRIPTS / "replace.sh").read_text() + (SCRIPTS / "lifecycle.sh").read_text().partition("main() {")[0]
    script = re.sub(r"/(?=(?:var/lib|opt|etc|run|usr/local|tmp)/)", f"{root}/", functions)
    home = root / "var/lib/stardust" if ours else Path("/home/somebody")
    settings = f"DONE={root}/done HOME_OF_USER={home} action={action} why=undo"
    ran = subprocess.run(
        ["/bin/sh", "-s"],
        input=f"{script}\n{settings}\n{STUBS}\n{action} {words}\n",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert "error" not in ran.stdout, ran
    done = (root / "done").read_text().split()
    return [word for at, word in enumerate(done) if done[at - 1 : at] != [word]]


@pytest.mark.parametrize(("action", "journal"), [("stash", "again begun\n"), ("restore_previous", "again begun\nagain laid\n")])
@pytest.mark.parametrize("recorded", [True, False])
def test_programs_of_the_user_end_before_root_enters_its_folders(tmp_path: Path, action: str, journal: str, recorded: bool) -> None:
    done = carry_out(tmp_path, action, journal + ("user stardust\n" if recorded else ""), ours=not recorded)
    assert done == ["stop", "end", "walk"]


@pytest.mark.parametrize(("action", "journal"), [("stash", "again begun\n"), ("restore_previous", "again begun\nagain laid\n")])
def test_programs_of_a_foreign_account_continue(tmp_path: Path, action: str, journal: str) -> None:
    assert carry_out(tmp_path, action, journal, ours=False) == ["stop", "walk"]


def test_a_new_installation_uses_its_own_url_and_a_rolled_back_one_the_former_address(tmp_path: Path) -> None:
    kept, stashed = tmp_path / "var/lib/stardust/spider" / ADDRESS_FILE, tmp_path / "var/lib/stardust/before" / ADDRESS_FILE
    kept.parent.mkdir(parents=True)
    kept.write_text("wss://10.0.0.5:8933/ws\n10.0.0.6\n")
    carry_out(tmp_path, "stash", "again begun\n", ours=True, words="spider jobs started")
    assert not kept.exists()
    assert stashed.read_text() == "wss://10.0.0.5:8933/ws\n10.0.0.6\n"
    carry_out(tmp_path, "restore_previous", "again begun\nagain laid\n", ours=True)
    assert kept.read_text() == "wss://10.0.0.5:8933/ws\n10.0.0.6\n"
