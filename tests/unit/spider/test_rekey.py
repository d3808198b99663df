"""Key renewal: a kill at any point leaves one complete pair, the one that `spider.conf` names."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from pathlib import Path
from typing import NoReturn

import pytest

from spider.config import Config
from spider.root.job_lock import take_lock
from spider.root.trusted_files import read_trusted
from spider.selfcare.node_keys import key_file, node_of
from spider.selfcare.rekey import FORMER_LIFETIME_S, MAX_FORMER, RekeyPaths, forget_expired, main, rekey, restore
from spider.wire.ids import new_random_id, new_time_id
from spider.wire.proof import NodeKeys, node_keys, rekey_mask
from tests.support.null_console import NullConsole

FLEET = bytes(range(32))
NODE, FLEET_ID = new_random_id(), new_random_id()
STEPS = ("former", "keys", "conf.new", "conf", "session.key", "launch.key")
FILES = ["former.keys", "launch.key", "session.key", "spider.conf"]


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    keys = node_keys(FLEET, NODE, 1)
    for name, content, mode in (
        ("spider.conf", f"# ours\n[hub]\nurl = wss://h/ws\nfleet = {FLEET_ID}\n\n[node]\nid = {NODE}\ngeneration = 1\nname = generation = 7\n".encode(), 0o644),
        ("session.key", keys.session, 0o600),
        ("launch.key", keys.launch, 0o600),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(mode)
    return tmp_path


def held(etc: Path) -> tuple[int, NodeKeys]:
    """Generation and keys as Spider and the launcher find them."""
    flags = ["--config", str(etc / "spider.conf"), "--key", str(etc / "session.key")]
    config = Config.from_env({"STARDUST_BOOT": "c" * 32}, flags)
    node, generation = node_of((etc / "spider.conf").read_text())
    assert (node, generation) == (config.node, config.generation)
    launch = read_trusted(key_file(str(etc / "launch.key"), generation), os.geteuid(), private=True)
    return generation, NodeKeys(config.key, launch)


def order(etc: Path, generation: int, new: NodeKeys | None = None, at: float | None = None) -> tuple[str, dict[str, object]]:
    """What the hub asks of a node of the generation before. Args: new: keys that are not the fleet's."""
    job, new = new_time_id(at), new or node_keys(FLEET, NODE, generation)
    present = held(etc)[1].launch
    masked = bytes(left ^ right for left, right in zip(new.session + new.launch, rekey_mask(present, job), strict=True))
    return job, {"generation": generation, "keys": masked.hex(), "digest": hashlib.sha256(new.session + new.launch).hexdigest()}


def carry_out(etc: Path, generation: int, die_at: str = "") -> str:
    """In a separate process, which ends immediately at the given point."""
    job, args = order(etc, generation)
    assert node_keys(FLEET, NODE, generation).launch.hex() not in str(args)
    child = os.fork()
    if child == 0:
        os._exit(_child(job, args, etc, die_at))
    return {0: "done", 7: "killed"}.get(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "failed")


def _child(job: str, args: dict[str, object], etc: Path, die_at: str) -> int:
    def reached(step: str) -> None:
        if step == die_at:
            die()

    def die() -> NoReturn:
        os._exit(7)

    return 0 if rekey(job, args, NullConsole(), RekeyPaths(str(etc), os.geteuid()), reached).state == "succeeded" else 1


def test_new_keys_replace_the_old(etc: Path) -> None:
    assert carry_out(etc, 2) == "done"
    assert held(etc) == (2, node_keys(FLEET, NODE, 2))
    assert sorted(path.name for path in etc.iterdir()) == FILES
    assert {path.name: path.stat().st_mode & 0o777 for path in etc.iterdir()} == {
        "former.keys": 0o600,
        "launch.key": 0o600,
        "session.key": 0o600,
        "spider.conf": 0o644,
    }
    assert (etc / "spider.conf").read_text().endswith("generation = 2\nname = generation = 7\n")
    for other in (1, 2, 4, 100):  # it never goes back, stays or leaps
        assert carry_out(etc, other) == "failed"
    assert held(etc)[0] == 2


@pytest.mark.holds("SAFETY-50", "S-60", "F-26")
@pytest.mark.parametrize("step", STEPS)
def test_at_every_instant_one_pair_of_keys_is_complete(etc: Path, step: str) -> None:
    assert carry_out(etc, 2, step) == "killed"
    generation, keys = held(etc)
    assert generation == (1 if STEPS.index(step) < 3 else 2)
    assert keys == node_keys(FLEET, NODE, generation)
    assert carry_out(etc, generation + 1) == "done"  # and the next order goes through
    assert held(etc) == (generation + 1, node_keys(FLEET, NODE, generation + 1))
    assert sorted(path.name for path in etc.iterdir()) == FILES


def test_keys_that_do_not_open_are_never_put_in_place(etc: Path) -> None:
    _, args = order(etc, 2)
    assert rekey(new_time_id(), args, NullConsole(), places(etc)).error_code == "job.rekey_failed"  # masked for another order
    assert held(etc) == (1, node_keys(FLEET, NODE, 1))


def test_an_error_after_the_change_does_not_deny_the_change(
    etc: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    job, args = order(etc, 2)
    monkeypatch.setattr("spider.selfcare.rekey._overwrite", full)
    outcome = rekey(job, args, NullConsole(), places(etc))
    assert (outcome.error_code, held(etc)) == ("job.rekey_failed", (2, node_keys(FLEET, NODE, 2)))
    assert outcome.error_text.startswith("the keys of generation 2 are in place, but old ones may be left on the disk: ")
    assert main([], places(etc), str(etc / "jobs")) == 0
    assert "generation 2 is in use" in capsys.readouterr().out


def places(etc: Path) -> RekeyPaths:
    return RekeyPaths(str(etc), os.geteuid())


def take_over(etc: Path) -> None:
    """What an attacker with the hub can do to lock the hub out of the node."""
    generation = held(etc)[0] + 1
    job, args = order(etc, generation, NodeKeys(os.urandom(32), os.urandom(32)))
    assert rekey(job, args, NullConsole(), places(etc)).state == "succeeded"
    assert held(etc)[1] != node_keys(FLEET, NODE, generation)


@pytest.mark.holds("SAFETY-50", "S-60")
@pytest.mark.parametrize("times", [1, 3])
def test_root_takes_back_keys_that_a_hub_in_foreign_hands_has_sent(etc: Path, times: int, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(times):  # again and again, so that the right ones would be forgotten
        take_over(etc)
    bad = held(etc)
    for _ in range(times):
        assert main(["restore"], places(etc), str(etc / "jobs")) == 0
    assert held(etc) == (1, node_keys(FLEET, NODE, 1))
    assert f"keys restore {2}" in capsys.readouterr().out
    assert main([], places(etc)) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split(" until")[0] for line in told] == [
        "generation 1 is in use",
        *(f"generation {n} is kept" for n in range(2, times + 2)),
    ]
    assert main(["restore"], places(etc), str(etc / "jobs")) == 1  # there is nothing before it
    assert "stored generations: 2" in capsys.readouterr().err
    assert restore(places(etc), times + 1)  # if that was a mistake
    assert held(etc) == bad
    assert restore(places(etc), 1)
    assert carry_out(etc, 2) == "done"  # and the hub's own next ones go through
    assert held(etc) == (2, node_keys(FLEET, NODE, 2))


@pytest.mark.holds("SAFETY-50", "F-26")
@pytest.mark.parametrize("step", STEPS)
def test_a_restoration_that_is_cut_off_leaves_a_complete_pair_and_can_be_done_again(etc: Path, step: str) -> None:
    take_over(etc)
    bad, good = held(etc), (1, node_keys(FLEET, NODE, 1))

    def reached(at: str) -> None:
        if at == step:
            os._exit(7)

    child = os.fork()
    if child == 0:
        restore(places(etc), reached=reached)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert held(etc) == (bad if STEPS.index(step) < 3 else good)
    if held(etc) == bad:
        restore(places(etc))
    assert held(etc) == good
    restore(places(etc), 2)
    assert held(etc) == bad
    assert sorted(path.name for path in etc.iterdir()) == FILES


def test_repeated_rekeys_do_not_displace_former_keys(etc: Path) -> None:
    for _ in range(MAX_FORMER):
        take_over(etc)
    job, args = order(etc, held(etc)[0] + 1)
    refused = rekey(job, args, NullConsole(), places(etc))
    assert (refused.error_code, "within seven days" in refused.error_text) == ("job.rekey_failed", True)
    restore(places(etc), 1)
    assert held(etc) == (1, node_keys(FLEET, NODE, 1))


def test_former_keys_go_after_seven_days_by_both_clocks(etc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take_over(etc)
    old = (etc / "former.keys").read_bytes()
    os.link(etc / "former.keys", etc / "elsewhere")
    now = time.time()
    late = now + FORMER_LIFETIME_S + 60
    forget_expired(places(etc), new_time_id(late))  # the hub alone says so
    assert (etc / "former.keys").read_bytes() == old
    monkeypatch.setattr(time, "time", lambda: late)
    forget_expired(places(etc), new_time_id(now + 60))  # this node's clock alone
    assert (etc / "former.keys").read_bytes() == old
    forget_expired(places(etc), new_time_id(late))
    assert not (etc / "former.keys").exists()
    assert (etc / "elsewhere").stat().st_size == len(old)
    assert (etc / "elsewhere").read_bytes() != old  # its bytes are overwritten
    with pytest.raises(ValueError, match="this node has no such keys"):
        restore(places(etc))


WRONG_S = [pytest.param(-20 * 365 * 86_400.0, id="behind"), pytest.param(4 * 365 * 86_400.0, id="ahead")]
NOW = time.time()
DAY_S = 86_400.0


def kept(etc: Path) -> list[int]:
    path = etc / "former.keys"
    return sorted(row[0] for row in json.loads(path.read_bytes())) if path.exists() else []


@pytest.mark.holds("SAFETY-50", "S-60")
@pytest.mark.parametrize("wrong_s", WRONG_S)
def test_a_wrong_clock_during_key_renewal_does_not_change_the_lifetime_of_former_keys(
    etc: Path, monkeypatch: pytest.MonkeyPatch, wrong_s: float
) -> None:
    clock = [NOW + wrong_s]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    _renew(etc, 2, NOW)
    for day in (0, 1, 6):  # corrected
        clock[0] = NOW + day * DAY_S
        forget_expired(places(etc), new_time_id(clock[0]))
        assert kept(etc) == [1]
    clock[0] = NOW + 7 * DAY_S + 60
    forget_expired(places(etc), new_time_id(clock[0]))
    assert kept(etc) == []


@pytest.mark.holds("SAFETY-50", "S-60")
@pytest.mark.parametrize("wrong_s", WRONG_S)
def test_a_clock_that_was_wrong_at_a_restoration_leaves_seven_days_to_go_forward_again(
    etc: Path, monkeypatch: pytest.MonkeyPatch, wrong_s: float
) -> None:
    clock = [NOW]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    _renew(etc, 2, NOW)
    clock[0] = NOW + wrong_s
    assert restore(places(etc))
    clock[0] = NOW + 6 * DAY_S
    for at in (clock[0], clock[0] + 6 * DAY_S):
        clock[0] = at
        forget_expired(places(etc), new_time_id(at))
        assert 2 in kept(etc)
    assert restore(places(etc), 2)
    assert held(etc)[0] == 2
    assert restore(places(etc), 1)
    for days in (0, 8):
        clock[0] += days * DAY_S
        forget_expired(places(etc), new_time_id(clock[0]))
    assert kept(etc) == []


@pytest.mark.holds("SAFETY-50", "S-60")
@pytest.mark.parametrize("wrong_s", WRONG_S)
def test_the_hubs_time_alone_does_not_change_when_former_keys_expire(etc: Path, monkeypatch: pytest.MonkeyPatch, wrong_s: float) -> None:
    clock = [NOW]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    _renew(etc, 2, NOW + wrong_s)
    clock[0] = NOW + 6 * DAY_S
    forget_expired(places(etc), new_time_id(clock[0]))
    assert kept(etc) == [1]
    clock[0] += 7 * DAY_S + 60
    forget_expired(places(etc), new_time_id(clock[0]))
    assert kept(etc) == []


@pytest.mark.parametrize("wrong_s", WRONG_S)
def test_key_pairs_from_a_wrong_clock_do_not_block_new_keys(etc: Path, monkeypatch: pytest.MonkeyPatch, wrong_s: float) -> None:
    clock = [NOW + wrong_s]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    for generation in range(2, 2 + MAX_FORMER):
        _renew(etc, generation, NOW)
    for days, state in ((1, "failed"), (9, "succeeded")):
        clock[0] = NOW + days * DAY_S
        job, args = order(etc, 2 + MAX_FORMER, at=clock[0])
        forget_expired(places(etc), job)
        assert rekey(job, args, NullConsole(), places(etc)).state == state


def _renew(etc: Path, generation: int, at: float) -> None:
    """Args: at: when the hub made the order, as it says."""
    job, args = order(etc, generation, at=at)
    assert rekey(job, args, NullConsole(), places(etc)).state == "succeeded"


GOOD = [1, "11" * 32, "22" * 32, NOW, None]


@pytest.mark.parametrize(
    "rows",
    [
        "[[" * 20_000,
        [{}],
        [None],
        [GOOD[:4]],
        *([[*GOOD[:at], wrong, *GOOD[at + 1 :]]] for at, wrong in enumerate([1e400, "11", "zz" * 32, -1e300, "soon"])),
        [[*GOOD[:3], float("nan"), None]],
        [[*GOOD[:4], 1e400]],
    ],
)
def test_damaged_former_keys_change_nothing_and_are_named(etc: Path, capsys: pytest.CaptureFixture[str], rows: object) -> None:
    take_over(etc)
    bad, text = held(etc), rows if isinstance(rows, str) else json.dumps(rows)
    (etc / "former.keys").write_text(text)
    for words in ([], ["restore"]):
        assert main(words, places(etc), str(etc / "jobs")) == 1
        assert "former.keys is damaged" in capsys.readouterr().err
    with pytest.raises(ValueError, match="is damaged"):
        forget_expired(places(etc), new_time_id())
    job, args = order(etc, held(etc)[0] + 1)
    assert rekey(job, args, NullConsole(), places(etc)).error_code == "job.rekey_failed"
    assert (held(etc), (etc / "former.keys").read_text()) == (bad, text)


def test_the_command_is_root_s_and_waits_for_jobs(etc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take_over(etc)
    bad, jobs = held(etc), tmp_path / "jobs"
    jobs.mkdir()
    assert [main(words, places(etc), str(jobs)) for words in (["back"], ["restore", "x"], ["restore", "1", "2"])] == [64, 64, 64]
    assert [main(["restore", word], places(etc), str(jobs)) for word in ("²", "\u0661", "", "1" * 5000)] == [64] * 4
    (etc / "session.key.²").write_bytes(b"somebody's")
    assert main(["restore"], RekeyPaths(str(etc), os.geteuid() + 1), str(jobs)) == 77
    lock = take_lock(str(jobs))
    assert main(["restore"], places(etc), str(jobs), 0.0) == 75
    os.close(lock)
    (etc / "former.keys").chmod(0o644)
    assert main(["restore"], places(etc), str(jobs)) == 1
    assert held(etc) == bad
    (etc / "former.keys").chmod(0o600)
    assert main(["restore", "1"], places(etc), str(jobs)) == 0
    assert "lets others in" in capsys.readouterr().err
