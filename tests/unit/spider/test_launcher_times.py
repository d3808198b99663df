"""The launcher and clocks that run ahead or are set back: no order runs after a later one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spider.root import launcher
from spider.root.launcher import LauncherPaths, orders
from tests.support.launcher import NOW, YEARS, issued, submit_at


@pytest.mark.holds("SAFETY-55", "S-42")
@pytest.mark.parametrize("said", [True, False], ids=["a hub that says its time", "an older hub"])
def test_a_delayed_order_never_runs_after_a_later_one(paths: LauncherPaths, said: bool) -> None:
    kept, later = issued(NOW, said=said), issued(NOW + 3600, said=said)
    assert submit_at(paths, NOW + 3600, later) == ("accepted", "")
    assert submit_at(paths, NOW + 5, kept) == ("refused", "outdated")  # the clock was set back
    assert not os.path.lexists(os.path.join(paths.started, kept.job))  # its id is not used up
    assert submit_at(paths, NOW + 3600, issued(NOW + 3600, said=said)) == ("accepted", "")  # an equal time is not earlier


@pytest.mark.holds("S-42")
def test_a_postdated_order_is_never_accepted_later(paths: LauncherPaths) -> None:
    """A Spider that was taken over may lie about the node's clock, and gets an order for the time that it names."""
    for said in (True, False):
        postdated = issued(NOW, node_clock=NOW + YEARS, said=said)
        assert submit_at(paths, NOW + 60, issued(NOW + 60)) == ("accepted", "")
        assert submit_at(paths, NOW + YEARS + 1, postdated) == ("refused", "outdated")


@pytest.mark.holds("SAFETY-84", "S-42")
@pytest.mark.parametrize("said", [True, False], ids=["a hub that says its time", "an older hub"])
def test_an_order_is_accepted_after_a_fast_clock_was_corrected(paths: LauncherPaths, said: bool) -> None:
    ahead = NOW + YEARS
    assert submit_at(paths, ahead, issued(NOW, node_clock=ahead, said=said)) == ("accepted", "")  # the node's
    assert submit_at(paths, NOW + 1, issued(NOW + 1, said=said)) == ("accepted", "")
    assert submit_at(paths, NOW + 2, issued(ahead, node_clock=NOW + 2, said=said)) == ("accepted", "")  # the hub's
    assert submit_at(paths, NOW + 70, issued(NOW + 70, said=said)) == ("accepted", "")
    assert submit_at(paths, 0, issued(NOW + 80, node_clock=0, said=said)) == ("accepted", "")  # the node's is at its beginning
    assert submit_at(paths, ahead, issued(ahead, said=said)) == ("accepted", "")  # both, and nothing here can tell
    assert submit_at(paths, NOW + 90, issued(NOW + 90, said=said)) == ("refused", "outdated")


def test_root_can_reset_the_latest_order_time_after_both_clocks_ran_ahead(paths: LauncherPaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit_at(paths, NOW + YEARS, issued(NOW + YEARS)) == ("accepted", "")
    assert submit_at(paths, NOW, issued(NOW)) == ("refused", "outdated")
    assert orders(["reset", "now"], paths) == orders(None, paths) == 64
    assert orders(["reset"], paths._replace(owner=os.geteuid() + 1)) == 77
    assert orders(["reset"], paths) == 0
    assert submit_at(paths, NOW, issued(NOW)) == ("accepted", "")
    assert orders(["reset"], paths) == orders(["reset"], paths) == 0
    assert "No time" in capsys.readouterr().out


def test_a_stop_is_accepted_with_any_issue_time(paths: LauncherPaths) -> None:
    first = issued(NOW)
    assert submit_at(paths, NOW, first) == ("accepted", "")
    assert submit_at(paths, NOW + 60, issued(NOW + 60)) == ("accepted", "")
    assert submit_at(paths, NOW, issued(NOW, verb="stop", job=first.job)) == ("accepted", "")


def test_the_latest_order_time_is_durable_before_the_id_is_used(paths: LauncherPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    wish = issued(NOW)
    with monkeypatch.context() as patched:
        patched.setattr(launcher, "_use_up", lambda *_: os.abort())
        child = os.fork()
        if child == 0:
            submit_at(paths, NOW, wish)
        assert os.waitpid(child, 0)[1]
    assert submit_at(paths, NOW, issued(NOW - 1)) == ("refused", "outdated")
    assert submit_at(paths, NOW, wish) == ("accepted", "")


@pytest.mark.parametrize(
    "content", ['{"at": "soon"}', '{"at": null}', '{"at": -5}', '{"at": true}', '{"at": 1.5}', "{}", "[]", '{"at": 1', "", "\0"]
)
def test_a_damaged_latest_order_time_refuses_orders_until_root_resets_it(paths: LauncherPaths, content: str) -> None:
    path = Path(paths.started, ".latest")
    path.write_text(content)
    assert submit_at(paths, NOW, issued(NOW)) == ("refused", "latest-damaged")
    assert path.read_text() == content
    assert orders(["reset"], paths) == 0
    assert submit_at(paths, NOW, issued(NOW)) == ("accepted", "")
