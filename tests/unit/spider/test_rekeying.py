"""Keys of the next generation: whoever is killed on the way leaves one pair that is complete, and the one that `spider.conf` names."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NoReturn

import pytest

from spider.config import Config
from spider.keyfiles import key_file, node_of
from spider.rekeying import Places, rekey
from spider.trusted import read_trusted
from spider.wire.ids import new_random_id, new_time_id
from spider.wire.proof import NodeKeys, node_keys, rekey_mask
from tests.support.null_console import NullConsole

FLEET = bytes(range(32))
NODE, FLEET_ID = new_random_id(), new_random_id()
STEPS = ("keys", "conf.new", "conf", "session.key", "launch.key")


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


def order(etc: Path, generation: int) -> tuple[str, dict[str, object]]:
    """What the hub asks of a node of the generation before."""
    job, new = new_time_id(), node_keys(FLEET, NODE, generation)
    present = held(etc)[1].launch
    masked = bytes(left ^ right for left, right in zip(new.session + new.launch, rekey_mask(present, job), strict=True))
    return job, {"generation": generation, "keys": masked.hex(), "digest": hashlib.sha256(new.session + new.launch).hexdigest()}


def carry_out(etc: Path, generation: int, die_at: str = "") -> str:
    """In a process of its own, which ends at once where it is told to."""
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

    return 0 if rekey(job, args, NullConsole(), Places(str(etc), os.geteuid()), reached).state == "succeeded" else 1


def test_new_keys_take_the_place_of_the_old(etc: Path) -> None:
    assert carry_out(etc, 2) == "done"
    assert held(etc) == (2, node_keys(FLEET, NODE, 2))
    assert sorted(path.name for path in etc.iterdir()) == ["launch.key", "session.key", "spider.conf"]
    assert {path.name: path.stat().st_mode & 0o777 for path in etc.iterdir()} == {
        "launch.key": 0o600,
        "session.key": 0o600,
        "spider.conf": 0o644,
    }
    assert (etc / "spider.conf").read_text().endswith("generation = 2\nname = generation = 7\n")
    assert carry_out(etc, 2) == "failed"  # it never goes back, nor stays
    assert held(etc)[0] == 2


@pytest.mark.holds("SAFETY-50", "S-60", "F-26")
@pytest.mark.parametrize("step", STEPS)
def test_at_every_instant_one_pair_of_keys_is_complete(etc: Path, step: str) -> None:
    assert carry_out(etc, 2, step) == "killed"
    generation, keys = held(etc)
    assert generation == (1 if STEPS.index(step) < 2 else 2)
    assert keys == node_keys(FLEET, NODE, generation)
    assert carry_out(etc, generation + 1) == "done"  # and the next order goes through
    assert held(etc) == (generation + 1, node_keys(FLEET, NODE, generation + 1))
    assert sorted(path.name for path in etc.iterdir()) == ["launch.key", "session.key", "spider.conf"]


def test_keys_that_do_not_open_are_never_put_in_place(etc: Path) -> None:
    _, args = order(etc, 2)
    assert (
        rekey(new_time_id(), args, NullConsole(), Places(str(etc), os.geteuid())).error_code == "job.rekey_failed"
    )  # masked for another order
    assert held(etc) == (1, node_keys(FLEET, NODE, 1))
