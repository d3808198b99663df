"""The package manager asked in a process of its own."""

from __future__ import annotations

import pytest

from spider.packages.apart import LIMIT_S, Apart
from spider.packages.base import PackagesUnreadable
from spider.packages.detect import telling_manager
from spider.packages.telling import answer


@pytest.mark.timeout(2 * LIMIT_S)  # the manager works out the whole of this machine twice
def test_what_a_process_of_its_own_tells_is_what_the_manager_says_here() -> None:
    here, apart = telling_manager(), Apart()
    if here is None:
        assert apart.available_updates() is None
        return
    assert apart.available_updates() == here.available_updates()
    assert list(apart.newer) == list(here.newer)
    assert list(apart.held()) == list(here.held())


def test_a_manager_that_does_not_answer_in_time_is_no_host_without_updates() -> None:
    with pytest.raises(PackagesUnreadable, match="within 0 s"):
        Apart(0.0).available_updates()


def test_a_host_without_a_manager_is_told_as_such() -> None:
    assert answer(None) is None
