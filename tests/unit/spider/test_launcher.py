"""The launcher's decision: a valid order starts one unit, any other starts nothing."""

from __future__ import annotations

import errno
import json
import os
import random
import socket
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spider.jobs.files import read_plan
from spider.root.launcher import LauncherPaths, OrderRefused, prune, prune_started, receive_frame, serve
from spider.wire.ids import new_time_id
from spider.wire.orders import MAGIC, OrderError, seal_order
from tests.support.launcher import BOOT, KEY, Systemd, order, submit


def test_a_good_order_is_recorded_planned_and_started_once(paths: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade", args={"packages": ["g++", "libc6:i386"]})
    assert submit(paths, wish, systemd) == ("accepted", "")
    assert systemd.started == [f"stardust-job@{wish.job}.service"]
    plan = read_plan(os.path.join(paths.jobs, wish.job))
    assert plan == (wish.job, "upgrade", {"packages": ["g++", "libc6:i386"]})
    record = json.loads(Path(paths.started, wish.job).read_text())
    assert (record["job"], record["verb"], record["boot"]) == (wish.job, "upgrade", BOOT)
    assert os.stat(os.path.join(paths.started, wish.job)).st_mode & 0o777 == 0o600
    assert submit(paths, wish, systemd) == ("refused", "replay")
    assert len(systemd.started) == 1


@pytest.mark.holds("S-43")
def test_an_uninstall_order_is_accepted_once_and_only_if_the_policy_allows_it(paths: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="uninstall")
    for lines, why in (
        ("mode = monitor", "policy-monitor"),
        ("mode = readonly", "policy-readonly"),
        ("mode = managed\nverbs = refresh, update", "policy-verb"),
        ("mode = manged", "policy-invalid"),
    ):
        Path(paths.policy).write_text(f"[policy]\nversion = 1\n{lines}\n")
        assert submit(paths, wish, systemd) == ("refused", why)
    for lines in ("mode = managed", "mode = managed\nverbs = uninstall"):
        Path(paths.policy).write_text(f"[policy]\nversion = 1\n{lines}\n")
        wish = order(verb="uninstall")
        forged = seal_order(bytes(32), wish)
        assert submit(paths, forged, systemd) == ("refused", "bad-mac")
        assert submit(paths, wish, systemd) == ("accepted", "")
        assert submit(paths, wish, systemd) == ("refused", "replay")
    assert len(systemd.started) == 2


@pytest.mark.holds("S-60", "S-50")
def test_new_keys_are_refused_by_a_policy_that_only_monitors(paths: LauncherPaths) -> None:
    keys = {"generation": 4, "keys": "0" * 128, "digest": "0" * 64}
    for lines, answer in (
        ("mode = monitor", ("refused", "policy-monitor")),
        ("mode = readonly", ("refused", "policy-readonly")),
        ("mode = manged", ("refused", "policy-invalid")),
        ("mode = managed\nrekey = no", ("refused", "policy-verb")),
        ("mode = managed\nverbs = check", ("accepted", "")),
        ("mode = readonly\nrekey = yes", ("accepted", "")),
    ):
        Path(paths.policy).write_text(f"[policy]\nversion = 1\n{lines}\n")
        assert submit(paths, order(verb="rekey", args=keys), Systemd()) == answer, lines


@pytest.mark.holds("F-04")
def test_the_record_of_a_job_outlives_its_files(paths: LauncherPaths) -> None:
    systemd, wish = Systemd(), order()
    Path(paths.started, wish.job).touch()  # of a job whose files were cleaned up
    assert submit(paths, wish, systemd) == ("refused", "replay")
    assert systemd.started == []
    assert os.listdir(paths.jobs) == []


def test_a_killed_launcher_never_leaves_a_record_without_files(paths: LauncherPaths) -> None:
    systemd, wish = Systemd(), order()
    folder = Path(paths.jobs, wish.job)
    folder.touch()  # so that its files cannot be made
    assert submit(paths, wish, systemd)[0] == "error"
    assert os.listdir(paths.started) == []
    folder.unlink()
    folder.mkdir()
    (folder / "plan").write_bytes(b'{"job": "')  # of a launcher that was killed while writing
    assert submit(paths, wish, systemd) == ("accepted", "")
    assert read_plan(str(folder)) == (wish.job, "check", {})
    assert submit(paths, wish, systemd) == ("refused", "replay")
    assert len(systemd.started) == 1


def test_concurrent_copies_of_an_order_start_one_unit(paths: LauncherPaths) -> None:
    systemd, frame = Systemd(), seal_order(KEY, order())
    said: list[tuple[str, str]] = []
    threads = [threading.Thread(target=lambda: said.append(submit(paths, frame, systemd))) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer for answer, _ in said].count("accepted") == 1
    assert {why for answer, why in said if answer == "refused"} <= {"replay", "busy"}
    assert len(systemd.started) == 1


@pytest.mark.holds("SAFETY-55", "S-41")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_an_altered_or_forged_frame_starts_nothing(paths: LauncherPaths, data: st.DataObject) -> None:
    systemd = Systemd()
    frame = bytearray(seal_order(KEY, order()))
    if data.draw(st.booleans()):
        frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        frame = bytearray(data.draw(st.binary(max_size=200)))
    answer, why = submit(paths, bytes(frame), systemd)
    assert answer == "refused"
    assert why in ("bad-mac", "bad-magic", "bad-length")
    assert systemd.started == []


@pytest.mark.holds("SAFETY-95", "F-12")
def test_a_stopping_or_full_host_refuses_without_using_the_id(paths: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade")
    systemd.down = True
    assert submit(paths, wish, systemd) == ("refused", "host-stopping")
    systemd.down = False
    full = paths._replace(roomy=("/proc",))
    assert submit(full, wish, systemd) == ("refused", "no-space")
    assert os.listdir(paths.started) == []
    assert submit(full, order(verb="clean", iat=wish.iat), systemd) == ("accepted", "")  # what makes room is let through
    assert submit(paths, wish, systemd) == ("accepted", "")


def test_a_unit_that_fails_to_start_is_reported_and_a_slow_one_is_accepted(paths: LauncherPaths) -> None:
    systemd = Systemd()
    systemd.answer = False
    assert submit(paths, order(), systemd) == ("failed", "not-started")
    systemd.answer = None
    assert submit(paths, order(), systemd) == ("accepted", "starting")


def test_a_launch_key_readable_by_others_refuses_every_order(paths: LauncherPaths) -> None:
    systemd = Systemd()
    os.chmod(paths.launch_key, 0o640)
    assert submit(paths, order(), systemd) == ("refused", "no-key")
    os.chmod(paths.launch_key, 0o600)
    Path(paths.launch_key).write_bytes(KEY[:31])
    assert submit(paths, order(), systemd) == ("refused", "no-key")


def test_the_answer_is_one_line_with_the_node_s_clock(paths: LauncherPaths) -> None:
    systemd, wish = Systemd(), order()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(seal_order(KEY, wish))
        serve(theirs, paths, systemd.unit, BOOT)
        line = json.loads(ours.recv(4096))
    assert set(line) == {"answer", "why", "clock"}
    assert line["answer"] == "accepted"
    assert abs(line["clock"] - time.time()) < 5


def test_a_slow_frame_has_one_deadline(paths: LauncherPaths) -> None:
    frame = seal_order(KEY, order())
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def trickle() -> None:
        for byte in frame:
            if stop.wait(0.02):
                return
            ours.send(bytes([byte]))

    thread = threading.Thread(target=trickle)
    with ours, theirs:
        thread.start()
        # Its bytes come well within the limit each, and all of them do come: only a deadline for the whole refuses it.
        with pytest.raises(OrderRefused, match="slow-frame"):
            receive_frame(theirs, limit_s=0.3)
        stop.set()
        thread.join()


def test_a_frame_is_read_in_any_pieces_and_a_false_length_is_refused() -> None:
    frame = seal_order(KEY, order())
    ours, theirs = socket.socketpair()
    with ours, theirs:
        thread = threading.Thread(target=lambda: [ours.send(frame[at : at + 9]) for at in range(0, len(frame), 9)])
        thread.start()
        assert receive_frame(theirs) == frame
        thread.join()
    for head in (MAGIC + b"\xff\xff\xff\xff", b"GET / HT"):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(head)
            with pytest.raises(OrderError):
                receive_frame(theirs)
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(frame[:20])
        ours.close()
        with pytest.raises(OrderRefused, match="short-frame"):
            receive_frame(theirs)


def test_old_ended_jobs_are_deleted_and_open_ones_stay(tmp_path: Path) -> None:
    jobs = [new_time_id(1000.0 + number) for number in range(8)]
    for job in jobs:
        (tmp_path / job).mkdir()
        (tmp_path / job / "plan").touch()
        (tmp_path / job / "log").touch()
    for job in jobs[1:]:
        (tmp_path / job / random.Random(job).choice(["result", "stopped"])).touch()
    (tmp_path / ".lock").touch()
    prune(str(tmp_path), most=3)
    assert sorted(os.listdir(tmp_path)) == sorted([".lock", jobs[0], *jobs[5:]])


@pytest.mark.parametrize("removed", range(4))
def test_an_interrupted_removal_shows_no_half_job_and_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: int) -> None:
    """Without `result`, a job that still has its order would be reported to the hub as killed."""
    folder = tmp_path / new_time_id()
    folder.mkdir()
    for name in ("log", "plan", "result", "run"):
        (folder / name).touch()
    unlink, left = os.unlink, iter(range(removed))

    def interrupted(path: str) -> None:
        if next(left, None) is None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        unlink(path)

    monkeypatch.setattr(os, "unlink", interrupted)
    with pytest.raises(OSError, match="Input/output"):
        prune(str(tmp_path), most=0)
    assert (folder / "result").exists()
    assert (folder / "plan").exists() == (removed == 0)
    monkeypatch.setattr(os, "unlink", unlink)
    prune(str(tmp_path), most=0)
    assert os.listdir(tmp_path) == []


def test_records_of_used_orders_go_a_year_after_the_latest_order(tmp_path: Path) -> None:
    paths = LauncherPaths()._replace(started=str(tmp_path), owner=os.geteuid())
    now = 1_800_000_000
    old, fresh, touched = (new_time_id(now - days * 86_400) for days in (400, 300, 400))
    for name, at in ((old, now - 400 * 86_400), (fresh, now - 300 * 86_400), (touched, now - 10 * 86_400)):
        (tmp_path / name).write_text("{}")
        os.utime(tmp_path / name, (at, at))
    prune_started(paths, now)
    assert len(os.listdir(tmp_path)) == 3, "no order was accepted since: without that time nothing refuses an old one"
    (tmp_path / ".latest").write_text(json.dumps({"at": now}))
    (tmp_path / ".latest").chmod(0o600)
    prune_started(paths, now)
    assert set(os.listdir(tmp_path)) == {".latest", fresh, touched}
