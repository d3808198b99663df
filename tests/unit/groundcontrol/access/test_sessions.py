"""Sessions: tokens, refreshes, proofs and their end, on a real store."""

from __future__ import annotations

import asyncio

import pytest

from groundcontrol.access.sessions import STEP_UP_S, STRICT_STEP_UP_S
from groundcontrol.core.bus import Revoked, Topic
from groundcontrol.core.errors import BadCredentials, NotFound, StepUpRequired, TooManyAttempts, Unauthenticated, WeakPassword
from groundcontrol.core.scope import SYSTEM
from tests.support.auth_door import NEW, PASSWORD, PUBLIC, Door


async def test_a_token_is_valid_until_its_session_ends(ready: Door) -> None:
    issued = await ready.login()
    caller = await ready.caller(issued)
    await ready.service.logout(caller)

    with pytest.raises(Unauthenticated):
        await ready.caller(issued)
    with pytest.raises(Unauthenticated):
        await ready.service.refresh(issued.refresh)


async def test_a_changed_password_ends_every_other_session_immediately(ready: Door) -> None:
    here, there = await ready.login(), await ready.login()

    async with ready.bus.subscribe(Topic("revoked"), limit=10, policy="ordered") as told:
        changed = await ready.service.change_password(await ready.caller(here), PASSWORD, NEW)
        event = await anext(told)

    assert event == Revoked("", here.user.id)
    with pytest.raises(Unauthenticated):
        await ready.caller(there)
    with pytest.raises(Unauthenticated):
        await ready.caller(here)  # its token names the old password; its session goes on with the new one
    assert (await ready.caller(changed)).session is not None
    with pytest.raises(BadCredentials):
        await ready.login(PASSWORD)


@pytest.mark.parametrize("new", ["short", PASSWORD, "orion1234567"])
async def test_a_bad_new_password_changes_nothing(ready: Door, new: str) -> None:
    issued = await ready.login()

    with pytest.raises(WeakPassword):
        await ready.service.change_password(await ready.caller(issued), PASSWORD, new)
    assert (await ready.caller(issued)).session is not None


async def test_guessing_the_password_within_a_session_is_limited(ready: Door) -> None:
    caller = await ready.caller(await ready.login())
    for _ in range(5):
        with pytest.raises(BadCredentials):
            await ready.service.step_up(caller, "wrong password")
    with pytest.raises(TooManyAttempts):
        await ready.service.step_up(caller, PASSWORD)
    with pytest.raises(TooManyAttempts):
        await ready.service.change_password(caller, PASSWORD, NEW)


@pytest.mark.holds("S-15")
async def test_a_password_proof_is_valid_for_15_minutes_and_for_strict_actions_for_five(ready: Door) -> None:
    """A log-in is such a proof, and a step-up is the next one."""
    issued = await ready.login()
    for _ in range(2):
        ready.clock.shift += STRICT_STEP_UP_S - 1
        ready.service.require_step_up(await ready.caller(issued), strict=True)
        ready.clock.shift += 2
        caller = await ready.caller(issued)
        ready.service.require_step_up(caller)
        with pytest.raises(StepUpRequired):
            ready.service.require_step_up(caller, strict=True)
        ready.clock.shift += STEP_UP_S - STRICT_STEP_UP_S
        issued = await ready.service.refresh(issued.refresh)
        caller = await ready.caller(issued)
        with pytest.raises(StepUpRequired):
            ready.service.require_step_up(caller)
        await ready.service.step_up(caller, PASSWORD)


async def test_a_refresh_is_not_a_password_proof(ready: Door) -> None:
    issued = await ready.login()
    ready.clock.shift += STEP_UP_S + 1
    fresh = await ready.service.refresh(issued.refresh)

    with pytest.raises(StepUpRequired):
        ready.service.require_step_up(await ready.caller(fresh))


async def test_two_tabs_may_refresh_concurrently(ready: Door) -> None:
    issued = await ready.login()

    first, second = await asyncio.gather(ready.service.refresh(issued.refresh), ready.service.refresh(issued.refresh))
    ready.clock.shift += 9
    third = await ready.service.refresh(issued.refresh)

    assert first.refresh == second.refresh == third.refresh != issued.refresh


@pytest.mark.holds("SAFETY-20", "S-09")
async def test_a_reused_refresh_token_ends_the_session(ready: Door) -> None:
    issued = await ready.login()
    fresh = await ready.service.refresh(issued.refresh)
    ready.clock.shift += 11

    with pytest.raises(Unauthenticated):
        await ready.service.refresh(issued.refresh)
    with pytest.raises(Unauthenticated):
        await ready.service.refresh(fresh.refresh)
    with pytest.raises(Unauthenticated):
        await ready.caller(fresh)


async def test_an_unknown_refresh_token_is_refused(ready: Door) -> None:
    for token in ["", "x", "." * 50, "0" * 26 + ".", "0" * 26 + "." + "A" * 43, "0" * 26 + "." + "é" * 43]:
        with pytest.raises(Unauthenticated):
            await ready.service.refresh(token)


async def test_a_session_ends_after_a_day_without_refresh_and_after_a_week_in_any_case(ready: Door) -> None:
    issued = await ready.login()
    ready.clock.shift += 24 * 3600 + 1
    with pytest.raises(Unauthenticated):
        await ready.service.refresh(issued.refresh)

    issued = await ready.login()
    refresh = issued.refresh
    for _ in range(7):
        ready.clock.shift += 23.9 * 3600
        refresh = (await ready.service.refresh(refresh)).refresh
    ready.clock.shift += 3600
    with pytest.raises(Unauthenticated):
        await ready.service.refresh(refresh)


async def test_remembered_refreshes_are_bounded(ready: Door) -> None:
    issued = await ready.login()
    refresh = issued.refresh
    for _ in range(20):
        ready.clock.shift += 20
        refresh = (await ready.service.refresh(refresh)).refresh

    assert len(ready.service._refreshes) <= 2


async def test_a_password_is_reset_from_the_hubs_machine(ready: Door) -> None:
    issued = await ready.login()
    for _ in range(5):
        with pytest.raises(BadCredentials):
            await ready.login("wrong password", address=PUBLIC)

    await ready.service.reset_password(SYSTEM, "admin", NEW)

    with pytest.raises(Unauthenticated):
        await ready.caller(issued)
    assert await ready.login(NEW)
    with pytest.raises(NotFound):
        await ready.service.reset_password(SYSTEM, "nobody", NEW)
