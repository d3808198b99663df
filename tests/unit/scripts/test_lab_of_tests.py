"""Where the labs of tests live."""

from __future__ import annotations

import pytest

from tests.support import lab as labs


@pytest.mark.parametrize("named", [{}, {"LAB_DIR": "/tmp/lab-mine", "LAB_NET": "127.0.15"}], ids=["its own", "the caller's"])
def test_processes_side_by_side_have_a_lab_each_over_the_same_trees(monkeypatch: pytest.MonkeyPatch, named: dict[str, str]) -> None:
    for name in ("LAB_DIR", "LAB_NET", "LAB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    found = []
    for worker in ("gw0", "gw1", "gw2"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        found.append(labs.environment())
    assert len({env["LAB_DIR"] for env in found}) == len({env["LAB_NET"] for env in found}) == 3
    assert {env["LAB_CACHE"] for env in found} == {found[0]["LAB_DIR"]}
    assert named.items() <= found[0].items()
