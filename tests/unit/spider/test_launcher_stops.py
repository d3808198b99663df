"""The launcher and orders to stop a job: before it starts, while it runs, after it ended."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from spider.root.launcher import LauncherPaths
from spider.wire.ids import new_random_id, new_time_id
from spider.wire.orders import seal_order
from tests.support.launcher import KEY, Systemd, order, submit


def test_a_stop_request_may_be_repeated_and_made_forceful(paths: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade")
    assert submit(paths, wish, systemd) == ("accepted", "")
    folder = Path(paths.jobs, wish.job)
    stop = seal_order(KEY, wish._replace(verb="stop"))
    Path(paths.policy).write_text("[policy]\nversion = 1\nmode = monitor\n")  # what ran may be stopped
    for _ in range(3):
        assert submit(paths, stop, systemd) == ("accepted", "")
    assert (folder / "stop").exists()
    assert not (folder / "force").exists()
    assert submit(paths, wish._replace(verb="stop", args={"force": True}), systemd) == ("accepted", "")
    assert (folder / "force").exists()
    assert len(systemd.started) == 1
    assert sorted(os.listdir(paths.started)) == [".latest", wish.job]
    (folder / "result").touch()
    assert submit(paths, stop, systemd) == ("refused", "ended")


def test_a_job_stopped_before_its_start_never_starts(paths: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade")
    stop = wish._replace(verb="stop")
    for _ in range(2):
        assert submit(paths, stop, systemd) == ("refused", "no-such-job")
    assert submit(paths, wish, systemd) == ("refused", "replay")
    assert systemd.started == []
    assert not Path(paths.jobs, wish.job).exists()


def test_a_job_with_files_but_no_record_can_be_stopped_permanently(paths: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade")
    folder = Path(paths.jobs, wish.job)
    folder.mkdir()
    (folder / "plan").touch()  # of a launcher that died here, or is about to write the record
    assert submit(paths, wish._replace(verb="stop"), systemd) == ("refused", "no-such-job")
    assert not folder.exists()
    folder.mkdir()
    (folder / "plan").touch()
    assert submit(paths, wish, systemd) == ("refused", "replay")
    assert systemd.started == []


def test_a_stop_of_a_deleted_job_is_refused_as_ended(paths: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade")
    submit(paths, wish, systemd)
    shutil.rmtree(Path(paths.jobs, wish.job))
    assert submit(paths, wish._replace(verb="stop"), systemd) == ("refused", "ended")


def test_a_stop_is_validated_like_every_order(paths: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade")
    submit(paths, wish, systemd)
    stop = wish._replace(verb="stop")
    for frame, why in [
        (seal_order(bytes(32), stop), "bad-mac"),
        (seal_order(KEY, stop._replace(node=new_random_id())), "wrong-node"),
        (seal_order(KEY, stop._replace(gen=2)), "wrong-generation"),
        (seal_order(KEY, stop._replace(iat=5, exp=10)), "expired"),
        (seal_order(KEY, stop._replace(job=new_time_id())), "no-such-job"),
        (seal_order(KEY, stop._replace(args={"packages": []})), "bad-args"),
    ]:
        assert submit(paths, frame, systemd) == ("refused", why)
    assert not Path(paths.jobs, wish.job, "stop").exists()
