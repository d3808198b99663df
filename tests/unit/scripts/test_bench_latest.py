"""The benchmark of latest values uses a fake session that has all that the registry needs."""

from __future__ import annotations

from scripts.benches.hub import latest as bench_latest


def test_the_summary_bench_compares_with_encoding_all_values() -> None:
    found = {str(line["name"]): line for line in bench_latest.latest_1000(count=3, rounds=2)}
    assert set(found) == {f"live.latest_1000.{name}" for name in ("arrival", "packed", "packed_again", "json", "json_again")}
    assert all(float(str(line["versus"])) > 0 for line in found.values())
