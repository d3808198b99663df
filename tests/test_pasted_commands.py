"""Blocks of commands in the documents are pasted as a whole: after one that fails, no later one may do damage."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORMER: Final = "the former secret\n"
NEW: Final = "the new secret\n"
TAKES_AWAY: Final = re.compile(
    r"^(?:.*[&|;({] *)?(?:rm|userdel|podman rm|podman secret rm|install -m|mv|systemctl restart)\b", re.MULTILINE
)
"""Commands that remove or replace what was there, or start what replaces it."""
PLACES: Final = re.compile(r"(?<![\w.-])/(?=(?:etc|root|srv|opt|usr|var)/)")
REAL: Final = ("cat", "cp", "install", "rm", "date", "mkdir")
FAKE: Final = """#!/bin/sh
echo "${0##*/} $*" >> "$LOG"
[ "$(wc -l < "$LOG")" -eq "$FAILS" ] && exit 1
case "${0##*/} $*" in
  "stardust secret new" | *"stardust secret new") printf '%s' "$NEW_SECRET";;
  *"cat stardust /run/secrets/stardust") printf '%s' "$FORMER_SECRET";;
esac
exit 0
"""


class Block(NamedTuple):
    """Commands of a document that belong together."""

    page: str
    line: int
    text: str


def blocks() -> list[Block]:
    """Every block that takes something away, or writes a file over another one."""
    found: list[Block] = []
    for page in ("docs/install.md", "docs/operate.md", "docs/node.md", "README.md"):
        text = (ROOT / page).read_text()
        found += [
            Block(page, text[: block.start()].count("\n") + 2, block[1])
            for block in re.finditer(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
            if TAKES_AWAY.search(block[1]) or "> /etc/" in block[1]
        ]
    return found


def pasted(block: Block, machine: Path, fails: int) -> list[str]:
    """Run the block on a machine where every command is there and succeeds, but for one. Returns: what was called until the end."""
    log, commands = machine / "log", machine / "bin"
    for folder in (
        "bin",
        "etc/stardust-hub",
        "etc/systemd/system",
        "root",
        "srv/backup",
        "opt/stardust-hub/bin",
        ".cache/build/bin",
        "dist",
    ):
        (machine / folder).mkdir(parents=True)
    (machine / "etc/stardust-hub/secret").write_text(FORMER)
    for name in ("stardust", "systemctl", "podman", "python3", "userdel", "useradd", "apt", "ln", "journalctl"):
        fake(commands / name)
    for pip in ("opt/stardust-hub/bin/pip", ".cache/build/bin/pip"):
        fake(machine / pip)
    for name in REAL:
        (commands / name).symlink_to(f"/bin/{name}")
    log.touch()
    env = {"PATH": str(commands), "LOG": str(log), "FAILS": str(fails), "NEW_SECRET": NEW, "FORMER_SECRET": FORMER}
    script = PLACES.sub(f"{machine}/", block.text).replace(" -o stardust-hub", "").replace(" -o root -g stardust-hub", "")
    subprocess.run(["/bin/bash", "-c", script], cwd=machine, env=env, capture_output=True, timeout=60, check=False)
    return log.read_text().splitlines()


def fake(path: Path) -> None:
    path.write_text(FAKE.replace("wc -l", "/usr/bin/wc -l"))
    path.chmod(0o755)


def held(machine: Path) -> set[str]:
    """What the files of the machine hold."""
    return {path.read_text() for path in machine.rglob("*") if path.is_file() and not path.is_symlink() and path.parent.name != "bin"}


@pytest.mark.parametrize("block", blocks(), ids=lambda block: f"{block.page}:{block.line}")
def test_after_a_failed_command_nothing_is_removed(block: Block, tmp_path: Path) -> None:
    whole = pasted(block, tmp_path / "whole", 0)
    for fails in range(1, len(whole) + 1):
        machine = tmp_path / str(fails)
        called = pasted(block, machine, fails)
        later = [line for line in called[fails:] if TAKES_AWAY.search(line)]
        assert later == [], f"called although this had failed: {called[fails - 1]}"
        if any(line.startswith("userdel") for line in whole):
            continue  # it takes the hub away; the secret was copied before
        assert FORMER in held(machine), f"the only copy is gone after a failure of: {called[fails - 1]}"


@pytest.mark.parametrize(
    "block", [block for block in blocks() if "rotate-secret" in block.text], ids=lambda block: f"{block.page}:{block.line}"
)
def test_the_secret_is_replaced_only_after_its_rotation_and_both_are_saved(block: Block, tmp_path: Path) -> None:
    whole = pasted(block, tmp_path / "whole", 0)
    rotation = next(at for at, line in enumerate(whole, 1) if "rotate-secret" in line)
    for fails in range(1, rotation + 1):
        pasted(block, tmp_path / str(fails), fails)
        assert (tmp_path / str(fails) / "etc/stardust-hub/secret").read_text() == FORMER, whole[fails - 1]
    for fails in range(rotation + 1, len(whole) + 1):
        pasted(block, tmp_path / str(fails), fails)
        assert {FORMER, NEW} <= held(tmp_path / str(fails)), whole[fails - 1]
    assert {FORMER, NEW} <= held(tmp_path / "whole")
