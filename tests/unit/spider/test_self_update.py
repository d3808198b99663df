"""A new version of Spider on one host: installed, confirmed or rolled back, across any interruption."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spider.selfcare import bundle_receiver, self_update
from spider.selfcare.bundle_receiver import Bundles, note_joined
from spider.selfcare.self_update import main, update
from spider.wire.job_messages import MAX_BUNDLE_PART_BYTES, Bundle
from tests.support.null_console import NullConsole
from tests.support.update_host import Host, bundle_of


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    yield Host(tmp_path)
    subprocess.run(["rm", "-rf", tmp_path / "state"], check=True)  # pytest cannot remove a folder this deep


def test_a_version_that_opens_a_session_stays_and_the_previous_one_is_kept(host: Host) -> None:
    assert host.order(bundle_of("0.1.1")) == "succeeded"
    assert (host.current, host.versions, host.is_quiet()) == ("0.1.1", ["0.1.0", "0.1.1"], True)
    newest = bundle_of("0.1.2")
    assert host.order(newest) == "succeeded"
    assert (host.current, host.versions) == ("0.1.2", ["0.1.1", "0.1.2"])
    assert host.order(newest) == "succeeded"  # the very same: nothing is touched
    assert host.current == "0.1.2"


def test_an_error_in_the_clean_up_does_not_deny_the_update(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(self_update, "_disarm", broken)
        assert host.order(bundle_of("0.1.1")) == "succeeded"
    assert (host.current, host.is_quiet()) == ("0.1.1", False)
    assert host.order(bundle_of("0.1.2")) == "succeeded"
    assert (host.current, host.versions, host.is_quiet()) == ("0.1.2", ["0.1.1", "0.1.2"], True)


def test_another_build_of_the_same_version_gets_its_own_folder(host: Host) -> None:
    other = bundle_of("0.1.0") + b" "
    assert host.order(other) == "succeeded"
    assert host.current == "0.1.0-" + hashlib.sha256(other).hexdigest()[:8]
    assert "0.1.0" in host.versions


def test_without_timers_a_waiting_service_is_used(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.places = host.places._replace(timers=False)
    with monkeypatch.context() as patched:

        def cut(*_: object) -> str:
            service = host.folder / "units/stardust-rollback"
            assert (service.stat().st_mode & 0o777, list((host.folder / "units").iterdir())) == (0o755, [service])
            assert f'command_args="-I -S -B {host.folder}/opt/0.1.0/spider.pyz rollback 120"\n' in service.read_text()
            done = subprocess.run(["sh", "-n", service], check=False)
            assert done.returncode == 0
            return ""

        patched.setattr(self_update, "_proven", cut)
        assert host.order(bundle_of("0.1.1")) == "succeeded"
    assert (host.current, host.is_quiet()) == ("0.1.1", True)
    host.joins = False
    assert host.order(bundle_of("0.1.2")) == "job.update_taken_back"
    assert (host.current, host.is_quiet()) == ("0.1.1", True)


@pytest.mark.holds("SAFETY-59", "S-36")
@pytest.mark.parametrize("at", [0, 40, -30])
def test_a_flipped_byte_is_refused_before_anything_is_touched(host: Host, at: int) -> None:
    bundle = bundle_of("0.1.1")
    came = bytearray(bundle)
    came[at] ^= 1
    assert host.order(bundle, came=bytes(came)) == "job.bundle_damaged"
    assert (host.current, host.versions, host.asked) == ("0.1.0", ["0.1.0"], [])


def test_a_link_or_nothing_in_the_place_of_the_bundle_is_refused(host: Host) -> None:
    bundle = bundle_of("0.1.1")
    (host.folder / "elsewhere").write_bytes(bundle)
    os.symlink(host.folder / "elsewhere", host.folder / "state/bundle")
    wanted = {"plan": hashlib.sha256(bundle).hexdigest()}
    assert update(wanted, NullConsole(), host.places, host.systemd).error_code == "job.bundle_missing"
    assert not os.path.lexists(host.folder / "state/bundle")
    os.mkfifo(host.folder / "state/bundle")
    assert update(wanted, NullConsole(), host.places, host.systemd).error_code == "job.bundle_missing"
    assert (host.current, host.asked) == ("0.1.0", [])


def _deep(path: Path) -> None:
    """A folder that no path leads to the end of."""
    path.mkdir()
    start = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path)
        for _ in range(1100):
            os.mkdir("down")
            os.chdir("down")
        Path("end").touch()
    finally:
        os.fchdir(start)
        os.close(start)


def _full(path: Path) -> None:
    (path / "below").mkdir(parents=True)
    (path / "below" / "file").write_text("x")
    (path / "below" / "out").symlink_to(path.parent.parent / "opt")
    os.mkfifo(path / "pipe")
    (path / "below").chmod(0)


def _file(path: Path) -> None:
    path.write_text("not what is expected")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


LEFT: dict[str, Callable[[Path], None]] = {
    "file": _file,
    "unreadable file": lambda path: path.touch(0),
    "link": lambda path: path.symlink_to(path.parent.parent / "opt/0.1.0/spider.pyz"),
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "link to a folder": lambda path: path.symlink_to(path.parent.parent / "opt"),
    "pipe": os.mkfifo,
    "socket": _socket,
    "folder": Path.mkdir,
    "full folder": _full,
}


@pytest.mark.holds("S-36", "S-49")
@pytest.mark.parametrize(
    ("name", "left"),
    [
        *((name, left) for name in ("bundle", "joined") for left in LEFT),
        *((name, left) for name in ("bundle.new", "joined.new") for left in ("link", "full folder")),
        ("joined", "deep folder"),
    ],
)
def test_leftovers_of_spiders_user_do_not_block_the_next_update(host: Host, name: str, left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Spider that was taken over may leave anything at the paths that root uses in its folder."""
    (_deep if left == "deep folder" else LEFT[left])(host.folder / "state" / name)
    elsewhere = host.folder / "opt/0.1.0/spider.pyz"
    before = elsewhere.read_bytes()
    bundle = bundle_of("0.1.1")
    digest = hashlib.sha256(bundle).digest()
    if os.geteuid() == 0 or left != "full folder":  # only root can read that one
        Bundles(str(host.folder / "state")).receive_part(Bundle(digest, 0, len(bundle), bundle))
    monkeypatch.setattr(bundle_receiver, "own_path", lambda: f"{host.folder}/opt/{host.current}/spider.pyz")
    host.announces = lambda: note_joined(str(host.folder / "state"))
    became = host.carry_out({"plan": digest.hex()})
    if became == "job.bundle_missing" and name.startswith("bundle"):  # the way is clear by now
        Bundles(str(host.folder / "state")).receive_part(Bundle(digest, 0, len(bundle), bundle))
        became = host.carry_out({"plan": digest.hex()})
    assert became == "succeeded"
    assert (host.current, host.versions, host.is_quiet()) == ("0.1.1", ["0.1.0", "0.1.1"], True)
    assert elsewhere.read_bytes() == before  # what a link leads to is left alone
    assert sorted(path.name for path in (host.folder / "state").iterdir()) == ["bundle", "joined"]


@pytest.mark.parametrize("left", ["link", "pipe", "folder"])
def test_an_invalid_session_note_rolls_the_version_back(host: Host, left: str) -> None:
    def put() -> None:
        LEFT[left](host.folder / "state/joined")

    host.announces = put
    assert host.order(bundle_of("0.1.1")) == "job.update_taken_back"
    assert (host.current, host.versions, host.is_quiet()) == ("0.1.0", ["0.1.0"], True)


@pytest.mark.parametrize("bundle", [bundle_of("0.1.1", starts=False), bundle_of("../0.1"), b"no zip at all"])
def test_a_version_that_does_not_start_is_never_activated(host: Host, bundle: bytes) -> None:
    assert host.order(bundle) == "job.bundle_broken"
    assert (host.current, host.versions, host.asked) == ("0.1.0", ["0.1.0"], [])


@pytest.mark.parametrize("crashes", [0, 3], ids=["silent", "crashing"])
def test_a_version_that_opens_no_session_is_rolled_back(host: Host, crashes: int) -> None:
    host.joins, host.crashes = False, crashes
    assert host.order(bundle_of("0.1.1")) == "job.update_taken_back"
    assert (host.current, host.versions, host.is_quiet()) == ("0.1.0", ["0.1.0"], True)


def test_without_a_timer_that_brings_the_old_version_back_nothing_is_switched(host: Host) -> None:
    host.timer = "inactive"
    assert host.order(bundle_of("0.1.1")) == "job.update_failed"
    assert (host.current, host.versions, host.is_quiet()) == ("0.1.0", ["0.1.0"], True)
    assert "restart stardust-spider.service" not in host.asked


class Cut(BaseException):
    """The process that carried out the update is gone."""


@pytest.mark.holds("S-36")
@pytest.mark.parametrize("proven", [False, True])
def test_the_timer_completes_or_rolls_back_an_interrupted_update(host: Host, proven: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    host.joins = proven

    def cut(*_: object) -> str:
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(self_update, "_proven", cut)
        with pytest.raises(Cut):
            host.order(bundle_of("0.1.1"))
    assert host.current == "0.1.1"
    assert json.loads(Path(host.places.note).read_text()) == {"old": "0.1.0", "new": "0.1.1"}
    service = (host.folder / "units/stardust-rollback.service").read_text()
    assert f"{host.folder}/opt/0.1.0/spider.pyz rollback" in service
    assert "enable --now stardust-rollback.timer" in host.asked
    assert main(None, host.places, host.systemd) == 0
    assert (host.current, host.is_quiet()) == ("0.1.1" if proven else "0.1.0", True)
    assert main(None, host.places, host.systemd) == 0  # again: there is nothing to do


def test_a_bundle_comes_in_parts_and_a_wrong_one_never_counts(tmp_path: Path) -> None:
    whole = os.urandom(2 * MAX_BUNDLE_PART_BYTES + 17)
    digest = hashlib.sha256(whole).digest()

    def parts(content: bytes) -> list[Bundle]:
        steps = range(0, len(content), MAX_BUNDLE_PART_BYTES)
        return [Bundle(digest, at, len(content), content[at : at + MAX_BUNDLE_PART_BYTES]) for at in steps]

    taker, kept = Bundles(str(tmp_path)), tmp_path / "bundle"
    for part in parts(whole[:-1] + bytes([whole[-1] ^ 1])):
        taker.receive_part(part)
    assert not kept.exists()
    first, second, third = parts(whole)
    for part in (first, third, second, Bundle(digest, 0, 1 << 30, b"much too large"), first, second, third):
        taker.receive_part(part)
    assert kept.read_bytes() == whole
