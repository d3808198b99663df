"""Where the labs of tests are."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.support import lab as labs


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has requested no lab yet, on a machine without any."""
    monkeypatch.setattr(labs, "claimed", lambda: ("127.0.9", -1))
    for name in ("LAB_DIR", "LAB_NET", "LAB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_addresses_of_another_lab_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, held = labs.claim("127.0.60", str(tmp_path))
    second, other = labs.claim("127.0.60", str(tmp_path))
    assert int(second.rpartition(".")[2]) > int(first.rpartition(".")[2]) >= 60
    os.close(held)
    again, last = labs.claim("127.0.60", str(tmp_path))
    assert again == first
    monkeypatch.setattr(labs, "_listens", lambda net: net == "127.0.250")
    free, unlisted = labs.claim("127.0.250", str(tmp_path))
    assert free == "127.0.251"
    for file in (other, last, unlisted):
        os.close(file)


def test_labs_are_as_separate_as_their_addresses_and_share_the_trees_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("PYTEST_DEBUG_TEMPROOT", raising=False)
    own = labs.environment()
    assert own["LAB_NET"] in own["LAB_DIR"]
    assert Path(own["LAB_DIR"]).is_relative_to(labs.ROOT)
    assert own["LAB_CACHE"] == "/home/somebody/.cache/stardust/lab"
    monkeypatch.setenv("XDG_CACHE_HOME", "/big/cache")
    assert labs.environment()["LAB_CACHE"] == "/big/cache/stardust/lab"


def test_a_lab_named_in_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_DIR", "/srv/lab-mine")
    monkeypatch.setenv("LAB_CACHE", "/srv/trees")
    found = []
    for worker in ("gw0", "gw1"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        env = labs.environment()
        assert env["LAB_CACHE"] == "/srv/trees"
        found.append(env["LAB_DIR"])
    assert found == ["/srv/lab-mine", "/srv/lab-mine-1"]


def test_unused_trees_are_removed_and_those_being_built_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAB_DIR", str(tmp_path / "lab"))
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    program = labs.program.__wrapped__()
    layers = tmp_path / "cache/layers"
    for name in ("used", "unused", "interrupted.tmp", "busy.tmp"):
        (layers / name / "etc").mkdir(parents=True)
        program.note_use([str(layers / name.removesuffix(".tmp"))])
    old = time.time() - program.UNUSED_S - 60
    os.utime(program.lock_of(str(layers / "unused")), (old, old))
    with program.built_here(str(layers / "busy")) as held:
        assert held
        program.collect_garbage()
    assert sorted(path.name for path in layers.iterdir()) == ["busy.tmp", "used"]
