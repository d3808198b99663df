"""The command run by a user without access to the data folder: one error line for every verb."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from groundcontrol.data_dir import user_name
from spider.clock import SystemClock
from spider.wire.ids import new_time_id
from tests.support.command import command
from tests.support.hub import ROOT, SECRET
from tests.support.keys import first_vault
from tests.support.store_files import open_new

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

_AS_USER = """
import concurrent.futures.thread, contextlib, encodings.ascii, encodings.cp437, importlib.readers, io, json, os, sys, traceback
from groundcontrol.cli.main import main
from groundcontrol.cli.commands import VERBS, module_of
for verb in VERBS:
    verb.name == "serve" or module_of(verb)  # this Python may be root's alone
user = int(sys.argv[1])
os.setgroups([]); os.setgid(user); os.setuid(user)
given, told = dict(os.environ), []
for words in json.load(sys.stdin):
    os.environ.update(given)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(words)
        except BaseException:
            status = traceback.format_exc()
    told.append((status, out.getvalue(), err.getvalue()))
print(json.dumps(told))
"""
_VERBS = (
    "status", "nodes", "jobs", "logs", "run upgrade web-1", "cancel x", "user list", "user add bob", "token list", "invite --list",
    "update web-1", "rekey web-1", "redeploy web-1", "clock accept", "recovery print", "audit list", "backup /tmp", "restore /none",
    "rotate-secret --new-secret-file /proc/self/cmdline", "recovery restore",
)  # fmt: skip


STRANGER = user_name(65534)
PYTHON, PACKAGES = Path(os.__file__).parent, Path(aiohttp.__file__).parents[1]


class Told(NamedTuple):
    status: int | str
    """A text: it ended so, with a stack."""
    out: str
    err: str


def as_stranger(folder: Path, *commands: str, user: int = 65534) -> list[Told]:
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "STARDUST_DATA_DIR": str(folder), "STARDUST_SECRET": SECRET}
    done = subprocess.run(
        [sys.executable, "-c", _AS_USER, str(user)],
        cwd="/", env=env, input=json.dumps([words.split() for words in commands]), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [Told(*told) for told in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """The data folder of root's hub, in a place that all users reach; its socket exists, without a listener."""
    with tempfile.TemporaryDirectory(prefix="stardust-rights-") as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "data"
        asyncio.run(_fill(folder))
        with closing(socket.socket(socket.AF_UNIX)) as control:
            control.bind(str(folder / "control.sock"))
        (folder / "control.sock").chmod(0o600)
        yield folder


async def _fill(folder: Path) -> None:
    database = await open_new(folder, clock=SystemClock())
    vault = await first_vault(database, "old")
    await database.store(audit_key=vault.audit_key, chain=new_time_id())
    await database.close()


@pytest.fixture
def strangers(made: Path) -> Iterator[Path]:
    """Such a folder that is the stranger's own."""
    with tempfile.TemporaryDirectory(prefix="stardust-rights-") as place:
        Path(place).chmod(0o755)
        folder = Path(shutil.copytree(made, Path(place) / "data", ignore=shutil.ignore_patterns("*.sock")))
        folder.chmod(0o700)
        for path in (folder, *folder.iterdir()):
            os.chown(path, 65534, 65534)
        yield folder


@pytest.fixture(scope="module", params=[0o700, pytest.param(0o755, marks=pytest.mark.slow)])
def refused(made: Path, request: pytest.FixtureRequest) -> tuple[Path, list[Told]]:
    """The output of each verb, then of `status` on a terminal and `doctor` for a program; all in one process, whose start takes most of it."""
    made.chmod(request.param)
    return made, as_stranger(made, *(f"{words} --json" for words in _VERBS), "status", "doctor --json")


def test_every_verb_names_the_owner_of_the_data_folder(refused: tuple[Path, list[Told]]) -> None:
    folder, said = refused
    for words, told in zip(_VERBS, said[:-2], strict=True):
        assert told.status == 1, (words, told)
        error = json.loads(told.err)["error"]
        assert error["code"] in ("command.failed", "config.invalid"), (words, told)
        assert str(folder) in error["message"], (words, told)
        assert "the user root" in error["message"] or "user 0" in error["message"], (words, told)


def test_a_permission_error_is_one_line(refused: tuple[Path, list[Told]]) -> None:
    folder, said = refused
    assert said[-2] == (1, "", f"stardust: {folder} is the data folder of the user root: run this as root\n")


def test_the_doctor_suggests_no_restore_for_a_missing_permission(refused: tuple[Path, list[Told]]) -> None:
    told = refused[1][-1]
    assert told.status == 1, told
    found = json.loads(told.out)["checks"]
    assert not [one for one in found if "restore" in one["remedy"]], found
    [one] = [one for one in found if "is the data folder of the user root" in one["text"]]
    assert (one["check"], one["state"], one["remedy"]) == ("folder", "problem", "run this as root")


def test_the_doctor_names_the_file_that_the_owner_of_the_folder_may_not_read(strangers: Path) -> None:
    os.chown(strangers / "stardust.db", 0, 0)
    [told] = as_stranger(strangers, "doctor --json")
    found = [one for one in json.loads(told.out)["checks"] if one["state"] == "problem"]
    assert {one["text"] for one in found} >= {f"the user {STRANGER} may not read {strangers}/stardust.db"}, found
    assert not [one for one in found if "restore" in one["remedy"]], found


def test_a_backup_goes_where_the_owner_of_the_folder_may_write(strangers: Path) -> None:
    target = strangers.parent / "roots"
    target.mkdir(mode=0o700)
    [closed, long] = as_stranger(strangers, f"backup {target} --json", f"backup {strangers.parent}/{'x' * 300} --json")
    for told in (closed, long):
        assert (told.status, told.out) == (1, ""), told
    error = json.loads(closed.err)["error"]
    assert (error["code"], error["message"]) == (
        "config.invalid",
        f"no backup was made: {target}: Permission denied: the user {STRANGER}, who owns the data folder, has to be able to read and write there",
    )
    assert "File name too long" in json.loads(long.err)["error"]["message"]


@pytest.mark.parametrize(("verb", "closed"), [("doctor", PYTHON), pytest.param("backup", PACKAGES, marks=pytest.mark.slow)])
def test_root_is_warned_of_a_python_that_the_folders_owner_cannot_read(strangers: Path, verb: str, closed: Path) -> None:
    """One under /root, say: a module that is wanted later is not there any more."""
    roots = strangers.parent / "roots"
    (roots / "lib").mkdir(parents=True)
    roots.chmod(0o700)
    (roots / "lib" / PYTHON.name).symlink_to(closed)
    env = {"PYTHONHOME": str(roots)} if closed == PYTHON else {"PYTHONPATH": f"{roots}/lib/{PYTHON.name}:{ROOT}"}
    told = command(strangers, verb, *[str(strangers / "kept.stardust-backup")] * (verb == "backup"), env=env)
    assert told.returncode == 1, told
    said = (told.stdout if verb == "doctor" else told.stderr).splitlines()
    [line] = [line for line in said if f"cannot be read by the user {STRANGER}, who owns the data folder, so nothing was done" in line]
    assert f"{roots}/lib/{PYTHON.name} " in line or not _open_to_all(PYTHON)
    assert "Traceback" not in told.stderr
    assert "LookupError" not in told.stdout


def _open_to_all(path: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))


def test_root_is_warned_of_a_backup_that_the_folders_owner_cannot_read(strangers: Path) -> None:
    file = strangers.parent / "kept.stardust-backup"
    [made] = as_stranger(strangers, f"backup {strangers}/kept.stardust-backup")
    assert made.status == 0, made
    shutil.copy(strangers / "kept.stardust-backup", file)
    file.chmod(0o600)
    closed = strangers.parent / "roots"
    closed.mkdir(mode=0o700)
    shutil.copy(file, closed)
    cases = ((file, f"chown {STRANGER} {file}"), (closed / file.name, "move it to a folder that this user may read"))
    answers = as_stranger(strangers, *(f"restore {path} --replace --json" for path, _ in cases), user=0)
    for (path, remedy), told in zip(cases, answers, strict=True):
        assert told.status == 1, told
        message = json.loads(told.err)["error"]["message"]
        if not all(_open_to_all(needed) for needed in (PYTHON, PACKAGES, ROOT)):
            assert f"cannot be read by the user {STRANGER}" in message  # nor can the program itself, which is told first
            continue
        assert message == f"{path} cannot be read by the user {STRANGER}, who owns the data folder: {remedy}"
