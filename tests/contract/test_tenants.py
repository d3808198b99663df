"""What an organisation sees does not depend on another: its transcript over the routes is the same beside an empty one and beside a busy one."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import pytest

from groundcontrol.slices import ROUTES
from tests.support.tenants import Pair, Transcript, act, calls_of, difference, pair

FIRST_SEED, SEEDS, SLOW_SEEDS = 20261127, 4, 200
SEEDS_OF_A_HUB: Final = 12
"""So many that no user is limited for what they change."""
CALLS = 60
"""Calls of one seed."""


async def transcript(pair: Pair, seed: int, *, busy: bool) -> Transcript:
    """What the first organisation sees. `busy`: the second acts between any two of its calls."""
    found, mine, other = Transcript(), random.Random(seed), random.Random(~seed)
    routes = calls_of(list(ROUTES))
    lists = [route for route in routes if route.method == "GET" and "{" not in route.path] if seed % 4 == 0 else []
    calls = [*[None] * CALLS, *lists]
    for number, route in enumerate(calls, seed % 1000 * 2 * CALLS):
        if busy:
            await act(pair.other, pair.mine, other, routes, number)
        call, answer = await act(pair.mine, pair.other, mine, routes, number, route)
        found.add(call, answer)
    assert sum(b" -> 2" in line for line in found.lines) > CALLS / 4, "most calls were refused: the script tries nothing"
    return found


async def interference(folder: Path, seeds: range) -> str:
    """The first answer that depends on the other organisation, alone and beside it; empty: none does."""
    async with pair(folder / "quiet") as quiet, pair(folder / "busy") as busy:
        for seed in seeds:
            one, two = await transcript(quiet, seed, busy=False), await transcript(busy, seed, busy=True)
            if found := difference(one, two):
                return f"seed {seed}:\n{found}"
    return ""


@pytest.mark.holds("SAFETY-108")
@pytest.mark.timeout(600)
async def test_t1_tenants_do_not_interfere(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    seeds = SLOW_SEEDS if request.config.getoption("--slow") else SEEDS
    for start in range(0, seeds, SEEDS_OF_A_HUB):
        found = await interference(tmp_path / str(start), range(FIRST_SEED + start, FIRST_SEED + min(seeds, start + SEEDS_OF_A_HUB)))
        assert found == "", found
