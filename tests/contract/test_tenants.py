"""What an organisation sees does not depend on another: its transcript over the routes is the same beside an empty one and beside a busy one."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from groundcontrol.adapters.sqlite import stores
from groundcontrol.adapters.sqlite.rollouts import SqliteRollouts
from groundcontrol.core.errors import Forbidden, NotFound
from groundcontrol.core.ids import UserId
from groundcontrol.core.scope import Actor, Scope
from groundcontrol.slices import ROUTES
from groundcontrol.web.admission import Admission
from groundcontrol.web.costs import ChangeLimiter
from groundcontrol.web.cursors import Cursors
from tests.support.tenants import Pair, act, calls_of, pair

FIRST_SEED, SEEDS, SLOW_SEEDS = 20261127, 8, 200
SEEDS_OF_A_HUB: Final = 12
"""So many that no user is limited for what they change."""
CALLS = 60
"""Calls of one seed."""

_NAME: Final = re.compile(rb"AAAAC3[0-9A-Za-z+/]{60,}|SHA256:[0-9A-Za-z+/]{43}|[0-9A-Za-z_-]{26,}")
_TIME: Final = re.compile(rb"\b1[789]\d{8}(?:\.\d+|\d{3})?\b")


class Transcript:
    """Answers with names by the order in which they first appear, and without times."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._names: dict[bytes, bytes] = {}

    def add(self, call: str, answer: bytes) -> None:
        def name(found: re.Match[bytes]) -> bytes:
            return self._names.setdefault(found.group(), b"<%d>" % len(self._names))

        self.lines.append(call.encode() + b" -> " + _TIME.sub(b"<time>", _NAME.sub(name, answer)))


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
    assert sum(b" -> 2" in line for line in found.lines) > CALLS / 3, "most calls were refused: the script tries nothing"
    return found


async def interference(folder: Path, seeds: range) -> str:
    """The first answer that depends on the other organisation, alone and beside it; empty: none does."""
    async with pair(folder / "quiet") as quiet, pair(folder / "busy") as busy:
        for seed in seeds:
            one, two = await transcript(quiet, seed, busy=False), await transcript(busy, seed, busy=True)
            for alone, beside in zip(one.lines, two.lines, strict=True):
                if alone != beside:
                    return f"seed {seed}:\n{alone.decode()}\n{beside.decode()}"
    return ""


def _unsealed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Cursors, "seal", lambda _self, cursor: cursor)
    patch.setattr(Cursors, "open", lambda _self, text: text)


def _all_heads(patch: pytest.MonkeyPatch) -> None:
    """The verification of the audit log tells an admin of one organisation where the chains of all end."""
    patch.setattr(Actor, "instance_admin", True)


def _everybody_in_the_first(patch: pytest.MonkeyPatch) -> None:
    admit = Admission.admit

    async def admitted(self: Admission, *args: Any, **named: Any) -> Any:
        call = await admit(self, *args, **named)
        caller = call.caller_if_any
        return call if caller is None else replace(call, caller_if_any=caller._replace(scope=caller.scope._replace(org=1)))

    patch.setattr(Admission, "admit", admitted)


def _one_limit(patch: pytest.MonkeyPatch) -> None:
    take = ChangeLimiter.take
    patch.setattr(ChangeLimiter.__init__, "__defaults__", (float(CALLS), 1e-6))
    patch.setattr(ChangeLimiter, "take", lambda self, _user: take(self, UserId("everybody")))


def _foreign_is_named(patch: pytest.MonkeyPatch) -> None:
    """An error tells that the object exists, in another organisation."""
    find = SqliteRollouts.rollout

    async def found(self: SqliteRollouts, scope: Scope, rollout: Any) -> Any:
        try:
            return await find(self, scope, rollout)
        except NotFound:
            known = await self._reader.run(lambda rows: rows.fetch_one("SELECT 1 FROM rollout WHERE id = ?", rollout))
            raise Forbidden("it belongs to others") if known else NotFound(f"there is no roll-out {rollout}") from None

    patch.setattr(SqliteRollouts, "rollout", found)
    patch.setattr(stores, "act_for_owners", lambda _store: None)


FAULTS: Final = {
    "cursors that hold numbers of rows": _unsealed,
    "a verification that tells all heads": _all_heads,
    "an absent organisation that is the first": _everybody_in_the_first,
    "a limit that all users share": _one_limit,
    "an error that tells foreign from absent": _foreign_is_named,
}


@pytest.mark.parametrize("seed_fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.timeout(300)
async def test_each_seeded_fault_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed_fault: Callable[[pytest.MonkeyPatch], None]
) -> None:
    seed_fault(monkeypatch)
    assert await interference(tmp_path, range(FIRST_SEED, FIRST_SEED + SEEDS_OF_A_HUB))


@pytest.mark.holds("SAFETY-108")
@pytest.mark.timeout(600)
async def test_tenants_do_not_interfere(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    seeds = SLOW_SEEDS if request.config.getoption("--slow") else SEEDS
    for start in range(0, seeds, SEEDS_OF_A_HUB):
        found = await interference(tmp_path / str(start), range(FIRST_SEED + start, FIRST_SEED + min(seeds, start + SEEDS_OF_A_HUB)))
        assert found == "", found
