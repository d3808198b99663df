"""The benchmark of expensive calls covers all of them, also new ones."""

from __future__ import annotations

from scripts.benches.access.costs import DEAR, MADE, Fleet, requests_of


def test_every_costly_request_is_measured() -> None:
    """A call with an id in its path needs an object: one that the benchmark fills in, or that the tests of rights can make."""
    kinds = ("node", "batch", "job", "alert", "incident", "organisation", *MADE)
    requests = requests_of(Fleet(["node"] * 50, ["alert"], dict.fromkeys(kinds, "id")))
    assert {*requests} == {*DEAR}
    assert [path for path, _ in requests.values() if "{" in path] == []
