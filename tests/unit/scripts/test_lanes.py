"""Failed tests of a lane run again alone: one that passes then is reported as flaky, one that fails again fails the lane."""

from pathlib import Path

import pytest

from scripts.dev.lanes import Lane, run, run_failed_again

FLAKY = """
from pathlib import Path
def test_good(): pass
def test_first():
    before = Path(__file__).with_name("before")
    seen = before.exists()
    before.touch()
    assert seen
"""
BROKEN = FLAKY + "def test_broken(): assert False\n"


@pytest.mark.parametrize(
    ("text", "status", "flaky"),
    [(FLAKY, 0, 1), (BROKEN, 1, 0)],
    ids=["flaky", "broken"],
)
def test_only_a_lane_whose_failed_tests_all_pass_alone_has_passed(tmp_path: Path, text: str, status: int, flaky: int) -> None:
    (tmp_path / "test_lane.py").write_text(text)
    arguments = ["--rootdir", str(tmp_path)]
    lane = Lane("trial", 1, 0, (str(tmp_path),))
    run(lane, arguments)
    assert (lane.status, lane.counts["failed"]) == (1, 1 if text == FLAKY else 2)
    run_failed_again(lane, arguments)
    assert (lane.status, len(lane.flaky)) == (status, flaky)
    assert lane.counts["failed"] == (0 if status == 0 else 1 if text == FLAKY else 2)
