"""The script that stashes an installation: no program of the agent's user runs when root moves or removes files of that user."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

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


def carry_out(root: Path, action: str, journal: str, *, ours: bool) -> list[str]:
    """Run one function of the script below `root`; returns what was done, the same thing in a row once."""
    for folder in (
        "var/lib/stardust/before/var",
        "var/lib/stardust/spider",
        "run/stardust-spider",
        "etc/stardust",
        "etc/systemd/system",
        "opt",
        "tmp",
    ):
        (root / folder).mkdir(parents=True)
    (root / "var/lib/stardust/installed").write_text(f"version 1\n{journal}")
    if action == "stash":
        (root / "var/lib/stardust/before/var").rmdir()
    else:
        (root / "var/lib/stardust/before/kept").write_text("before\ninstalled\n")
    functions = (SCRIPTS / "replace.sh").read_text() + (SCRIPTS / "lifecycle.sh").read_text().partition("main() {")[0]
    script = re.sub(r"/(?=(?:var/lib|opt|etc|run|usr/local|tmp)/)", f"{root}/", functions)
    home = root / "var/lib/stardust" if ours else Path("/home/somebody")
    settings = f"DONE={root}/done HOME_OF_USER={home} action={action} why=undo"
    ran = subprocess.run(
        ["/bin/sh", "-s"], input=f"{script}\n{settings}\n{STUBS}\n{action}\n", text=True, capture_output=True, timeout=60, check=False
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
