"""The first start and log-ins, on a real store."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable
from pathlib import Path

import pytest

from groundcontrol.access import rate_limits, totp
from groundcontrol.access.trusted_browsers import BrowserCookies
from groundcontrol.core.errors import (
    BadCredentials,
    ConfigError,
    Conflict,
    Forbidden,
    PasswordChangeRequired,
    SetupCodeRequired,
    TooManyAttempts,
    Unauthenticated,
)
from groundcontrol.core.ids import UserId
from groundcontrol.core.scope import SYSTEM
from tests.support.auth_door import LOCAL, NEW, PASSWORD, PUBLIC, Door
from tests.support.clock import RunningClock
from tests.support.some import some
from tests.support.store_files import open_new

# -- first start -----------------------------------------------------------------------------


async def test_the_default_password_only_allows_choosing_a_new_one(door: Door) -> None:
    assert await door.service.first_log_in.create_admin("admin", None) is not None

    issued = await door.login("admin")

    assert issued.user.must_change_password
    with pytest.raises(PasswordChangeRequired):
        await door.service.refresh(issued.refresh)
    with pytest.raises(PasswordChangeRequired):
        await door.service.reload_caller(await door.caller(issued))
    changed = await door.service.change_password(await door.caller(issued), "admin", NEW)
    assert not changed.user.must_change_password
    assert not (await door.login(NEW)).user.must_change_password


async def test_the_default_password_from_outside_needs_the_console_code(door: Door) -> None:
    code = some(await door.service.first_log_in.create_admin("admin", None))
    assert len(code) == 20

    with pytest.raises(SetupCodeRequired):
        await door.login("admin", address=PUBLIC)
    with pytest.raises(SetupCodeRequired):
        await door.login("admin", address=PUBLIC, code="A" * 20)
    with pytest.raises(BadCredentials):
        await door.login("wrong", address=PUBLIC, code=code)
    assert (await door.login("admin", address=PUBLIC, code=f" {code.lower()} ")).user.must_change_password


async def test_a_changed_password_needs_no_setup_code(ready: Door) -> None:
    assert (await ready.login(address=PUBLIC)).user.username == "admin"


@pytest.mark.holds("SAFETY-11", "S-06")
async def test_the_default_password_expires_after_a_day(door: Door) -> None:
    code = await door.service.first_log_in.create_admin("admin", None)
    door.clock.shift = 24 * 3600 + 1

    with pytest.raises(Forbidden, match="24 hours"):
        await door.login("admin", code=code)


async def test_a_given_password_that_is_weak_is_refused_unless_it_is_the_default(door: Door) -> None:
    for weak in ("x", "changeme", "stardust-spider-7781"):
        with pytest.raises(ConfigError, match="STARDUST_ADMIN_PASS: the password") as refused:
            await door.service.first_log_in.create_admin("boss", weak)
        assert weak == "x" or weak not in str(refused.value)
    assert await door.service.first_log_in.create_admin("boss", "admin") is not None
    assert (await door.login("admin", "boss")).user.must_change_password


async def test_the_first_start_happens_once(ready: Door) -> None:
    assert await ready.service.first_log_in.create_admin("mallory", "another good password") is None
    with pytest.raises(BadCredentials):
        await ready.login("another good password", "mallory")


@pytest.mark.holds("SAFETY-12")
async def test_an_empty_user_table_is_not_a_first_start(tmp_path: Path) -> None:
    clock = RunningClock()
    database = await open_new(tmp_path / "data", clock=clock)
    door = Door(await database.store(audit_key=b"a" * 32, chain="hub"), clock)
    await door.service.first_log_in.create_admin("admin", PASSWORD)
    await database._control.writer.run(lambda tx: tx.execute("DELETE FROM account"))

    with pytest.raises(ConfigError, match="set up before"):
        await door.service.first_log_in.create_admin("admin", None)
    door.service.close()
    await database.close()


# -- log-in ----------------------------------------------------------------------------------


@pytest.mark.holds("SAFETY-16", "S-04")
async def test_an_unknown_user_and_a_wrong_password_get_equal_answers(ready: Door) -> None:
    with pytest.raises(BadCredentials) as known:
        await ready.login("wrong password")
    with pytest.raises(BadCredentials) as unknown:
        await ready.login("wrong password", "nobody")

    assert (known.value.message, known.value.detail) == (unknown.value.message, unknown.value.detail)
    assert ready.service.passwords.hashed == 1 + 2  # one for the first admin


@pytest.mark.holds("SAFETY-72")
async def test_a_refused_log_in_is_audited_without_the_typed_text(ready: Door) -> None:
    with pytest.raises(BadCredentials):
        await ready.login("typed-canary", "hunter2-canary")

    rows = (await ready.store.log.audit(SYSTEM, 10)).items
    assert (rows[0].action, rows[0].result) == ("auth.login", "refused")
    assert not any("canary" in str(row) for row in rows)


async def test_the_sixth_attempt_within_a_minute_waits(ready: Door) -> None:
    for _ in range(5):
        with pytest.raises(BadCredentials):
            await ready.login("wrong password")
    with pytest.raises(TooManyAttempts) as refused:
        await ready.login()
    assert 1 <= int(str(refused.value.detail["retry_after_s"])) <= 60

    ready.clock.shift += 61
    await ready.login()


@pytest.mark.holds("S-01")
async def test_the_wait_grows_with_the_failures(ready: Door) -> None:
    waits = []
    for _ in range(40):
        try:
            await ready.login("wrong password")
        except BadCredentials:
            continue
        except TooManyAttempts as exc:
            waits.append(int(str(exc.detail["retry_after_s"])))
            ready.clock.shift += waits[-1]

    assert waits[0] <= 61
    assert max(waits) > 1800
    assert ready.service.passwords.hashed <= 1 + 40


@pytest.mark.holds("S-02")
async def test_a_burst_does_not_exceed_the_limit(ready: Door) -> None:
    before = ready.service.passwords.hashed

    outcomes = await asyncio.gather(*(ready.login("wrong password") for _ in range(500)), return_exceptions=True)

    assert ready.service.passwords.hashed - before <= 5
    assert sum(isinstance(outcome, TooManyAttempts) for outcome in outcomes) >= 495


async def test_one_address_may_not_try_many_accounts(ready: Door) -> None:
    outcomes = await asyncio.gather(
        *(ready.login("wrong password", f"user{number}", PUBLIC) for number in range(20)), return_exceptions=True
    )

    assert sum(isinstance(outcome, BadCredentials) for outcome in outcomes) == 5


async def test_many_addresses_may_not_try_one_account(ready: Door) -> None:
    outcomes = await asyncio.gather(
        *(ready.login("wrong password", address=f"198.51.100.{number}") for number in range(20)), return_exceptions=True
    )

    assert sum(isinstance(outcome, BadCredentials) for outcome in outcomes) == 5


async def test_guesses_from_elsewhere_do_not_lock_out_the_owner(ready: Door) -> None:
    await ready.login(address="192.0.2.77")
    for number in range(8):
        with pytest.raises((BadCredentials, TooManyAttempts)):
            await ready.login("wrong password", address=f"198.51.100.{number}")

    assert (await ready.login(address="192.0.2.77")).user.username == "admin"


async def guesses(ready: Door, days: int, address: str = "", username: str = "admin", device: str = "") -> int:
    """Guess as often as the hub lets, from ever new addresses or always the same one, until it says no at the end; how many were looked at."""
    before, ends, number = ready.service.passwords.hashed, ready.clock.shift + days * 86_400, 0
    while True:
        number += 1
        try:
            await ready.login("wrong password", username, address or f"198.51.{number // 250 % 250}.{number % 250}", device=device)
        except BadCredentials:
            continue
        except TooManyAttempts as exc:
            if ready.clock.shift + int(str(exc.detail["retry_after_s"])) > ends:
                break
            ready.clock.shift += int(str(exc.detail["retry_after_s"]))
    return ready.service.passwords.hashed - before


def most(row: rate_limits.AttemptRow, days: int) -> int:
    """So many failures in a row are borne at most."""
    return rate_limits.IN_A_ROW[row] + min(days, int(rate_limits.ROW_S / rate_limits.DAY_S))


def no_hash(ready: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every password is wrong, immediately."""

    async def wrong(*_: object, **__: object) -> bool:
        return False

    monkeypatch.setattr(ready.service.passwords, "verify", wrong)


@pytest.mark.holds("S-01")
async def test_repeated_failures_slow_every_origin_but_the_owners(ready: Door) -> None:
    """SAFETY: counted over days and restarts; a known address still gets in, and unlocks it for other addresses too."""
    await ready.login(address="192.0.2.77")
    assert rate_limits.IN_A_ROW["elsewhere"] < await guesses(ready, 8) <= most("elsewhere", 8)
    with pytest.raises(TooManyAttempts):
        await ready.login("wrong password", address="192.0.2.78")

    again = Door(ready.store, ready.clock)
    with pytest.raises(TooManyAttempts):
        await again.login(address="192.0.2.78")
    assert (await again.login(address="192.0.2.77")).user.username == "admin"
    ready.clock.shift += 86_400
    assert (await again.login(address="192.0.2.78")).user.username == "admin"
    again.service.close()


@pytest.mark.holds("SAFETY-15", "S-01")
async def test_an_account_takes_a_hundred_failures_in_a_row_over_all_origins(ready: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """From elsewhere, from two known places and the hub's machine, with a browser's cookie, within a session: in any two weeks, for ever."""
    first = await ready.login(address="192.0.2.77")
    await ready.login(address="192.0.2.78")
    caller = await ready.caller(first)
    no_hash(ready, monkeypatch)
    looked_at: list[float] = []

    async def tried(attempt: Awaitable[object]) -> None:
        try:
            await attempt
        except BadCredentials:
            looked_at.append(ready.clock.shift)
        except TooManyAttempts:
            pass

    for step in range(100):
        for _ in range(2):
            for address in (f"198.51.100.{step}", "192.0.2.77", "192.0.2.78", LOCAL):
                await tried(ready.login("wrong password", address=address))
            await tried(ready.login("wrong password", address="192.0.2.77", device=first.device))
            await tried(ready.service.step_up(caller, "wrong password"))
        ready.clock.shift += 900 if step < 40 else 6 * 3600
    for at in looked_at:
        assert sum(at - rate_limits.ROW_S < other <= at for other in looked_at) <= 100
    assert len(looked_at) >= 90
    assert sum(rate_limits.IN_A_ROW.values()) + len(rate_limits.IN_A_ROW) * rate_limits.ROW_S / rate_limits.DAY_S == 100
    assert looked_at[-1] > ready.clock.shift - 2 * rate_limits.DAY_S


async def told(ready: Door, username: str) -> list[str]:
    """The answers to a stranger who retries whenever allowed, over months."""
    began, answers = ready.clock.shift, []
    for number in range(200):
        try:
            await ready.login("wrong password", username, f"198.51.{number // 250}.{number % 250}")
        except BadCredentials:
            answers.append("no")
        except TooManyAttempts as exc:
            answers.append(str(exc.detail["retry_after_s"]))
            ready.clock.shift += int(answers[-1])
    assert ready.clock.shift - began > 60 * 86_400
    return answers


@pytest.mark.holds("S-04")
async def test_a_known_and_an_unknown_name_get_equal_answers_over_time(ready: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready.clock, "now", lambda: 1.8e9 + ready.clock.shift)
    no_hash(ready, monkeypatch)
    assert await told(ready, "admin") == await told(ready, "nobody")


async def test_spellings_of_an_unknown_name_share_one_limit(ready: Door) -> None:
    for name in ("no\u0301body", "n\u00f3body", "N\u00d3BODY", "NO\u0301BODY", "n\u00f3Body"):
        with pytest.raises(BadCredentials):
            await ready.login("wrong password", name, f"198.51.100.{len(name) + ord(name[-1])}")
    with pytest.raises(TooManyAttempts):
        await ready.login("wrong password", "n\u00f3bodY", "203.0.113.1")


@pytest.mark.holds("SAFETY-15", "S-01")
async def test_strangers_lock_an_account_for_a_day_at_most(ready: Door) -> None:
    """A user who has never logged in: after the strangers stop, a day at most."""
    await guesses(ready, 3)
    ready.clock.shift += 86_400
    assert (await ready.login(address="192.0.2.1")).user.username == "admin"


@pytest.mark.holds("SAFETY-15", "S-01")
@pytest.mark.parametrize("hours", [0, 12])
async def test_strangers_do_not_block_the_first_log_in(door: Door, hours: int) -> None:
    """From the hub's own machine, and from anywhere with the code that it printed."""
    code = await door.service.first_log_in.create_admin("admin", None)
    for number in range(200):
        with pytest.raises((BadCredentials, TooManyAttempts)):
            await door.login("wrong password", address=f"198.51.100.{number}")
        door.clock.shift += 60
    door.clock.shift += hours * 3600
    with pytest.raises((BadCredentials, TooManyAttempts)):
        await door.login("wrong password", address="198.51.101.1")
    with pytest.raises(TooManyAttempts):
        await door.login("admin", address=PUBLIC, code="A" * 20)
    assert (await door.login("admin")).user.must_change_password
    assert (await door.login("admin", address=PUBLIC, code=code)).user.must_change_password


@pytest.mark.holds("S-01")
async def test_guesses_with_one_browsers_cookie_do_not_block_another_browser(ready: Door) -> None:
    old = (await ready.login(address="192.0.2.77")).device
    own = (await ready.login(address="192.0.2.77")).device
    assert await guesses(ready, 3, device=old) <= most("device", 3)
    assert (await ready.login(address="192.0.2.78", device=own)).user.username == "admin"


@pytest.mark.holds("S-01")
@pytest.mark.parametrize("how", ["changed", "reset"])
async def test_a_new_password_invalidates_browser_cookies(ready: Door, how: str) -> None:
    """But the browser that changed it gets another one."""
    issued = await ready.login(address="192.0.2.77")
    own = ""
    if how == "changed":
        own = (await ready.service.change_password(await ready.caller(await ready.login(address="192.0.2.77")), PASSWORD, NEW)).device
    else:
        await ready.service.reset_password(SYSTEM, "admin", NEW)
    await guesses(ready, 2)
    with pytest.raises(TooManyAttempts):
        await ready.login(NEW, address="192.0.2.79", device=issued.device)
    if own:
        assert (await ready.login(NEW, address="192.0.2.79", device=own)).user.username == "admin"


@pytest.mark.parametrize("end", ["log-out", "disabled", "reset"])
async def test_a_used_refresh_token_is_refused_after_the_session_ended(ready: Door, end: str) -> None:
    issued = await ready.login()
    fresh = await ready.service.refresh(issued.refresh)
    assert (await ready.service.refresh(issued.refresh)).refresh == fresh.refresh
    if end == "log-out":
        await ready.service.logout(await ready.caller(fresh))
    elif end == "reset":
        await ready.service.reset_password(SYSTEM, "admin", NEW)
    else:
        await ready.service.user_admin.create(SYSTEM, "second", "admin", None)
        await ready.service.user_admin.edit(SYSTEM, "admin", role=None, disabled=True, grants=None, all_nodes=False)
    with pytest.raises(Unauthenticated):
        await ready.service.refresh(issued.refresh)


@pytest.mark.holds("S-01")
async def test_guesses_from_a_shared_address_do_not_block_the_owners_browser(ready: Door) -> None:
    """Behind an unconfigured proxy all clients have one address."""
    device = (await ready.login(address="192.0.2.77")).device
    assert await guesses(ready, 3, "192.0.2.77") <= most("place", 3)
    assert await guesses(ready, 8) <= most("elsewhere", 8)
    for _ in range(8):
        with pytest.raises((BadCredentials, TooManyAttempts)):
            await ready.login("wrong password", "somebody else", address="192.0.2.77")
    with pytest.raises(TooManyAttempts):
        await ready.login(address="192.0.2.77")
    assert (await ready.login(address="192.0.2.77", device=device)).user.username == "admin"
    ready.clock.shift += 61
    await ready.login(address="192.0.2.77")  # the log-in has given everything back


@pytest.mark.holds("S-01")
@pytest.mark.parametrize("harm", ["nothing", "another password", "another user", "another key", "cut", "too old", "a word"])
async def test_the_browser_cookie_of_another_user_is_ignored(ready: Door, harm: str) -> None:
    good = (await ready.login(address="192.0.2.77")).device
    now = ready.clock.now()
    device = {
        "nothing": "",
        "another password": ready.service._devices.make(UserId(good.partition(".")[0]), 2, now),
        "another user": good.replace(good.partition(".")[0], "0" * 26),
        "another key": BrowserCookies(b"q" * 32).make(UserId(good.partition(".")[0]), 1, now),
        "cut": good[:-1],
        "too old": ready.service._devices.make(UserId(good.partition(".")[0]), 1, now - 401 * 86_400),
        "a word": "admin",
    }[harm]
    assert await guesses(ready, 2) <= most("elsewhere", 2)
    with pytest.raises(TooManyAttempts):
        await ready.login(address="192.0.2.78", device=device)
    assert (await ready.login(address="192.0.2.78", device=good)).device != good


async def test_a_password_reset_clears_the_count_of_failures(ready: Door) -> None:
    await guesses(ready, 2)
    with pytest.raises(TooManyAttempts):
        await ready.login(address="192.0.2.1")
    await ready.service.reset_password(SYSTEM, "admin", NEW)

    assert (await ready.login(NEW, address="192.0.2.1")).user.username == "admin"


async def test_an_address_stays_known_after_its_session_ended(ready: Door) -> None:
    """Also months later, since it was the newest."""
    await ready.service.logout(await ready.caller(await ready.login(address="192.0.2.77")))
    ready.clock.shift += 90 * 86_400
    for number in range(8):
        with pytest.raises((BadCredentials, TooManyAttempts)):
            await ready.login("wrong password", address=f"198.51.100.{number}")

    assert (await ready.login(address="192.0.2.77")).user.username == "admin"


async def test_known_addresses_are_stored_as_keyed_hashes(ready: Door) -> None:
    here = "192.0.2.77"
    issued = await ready.login(address=here)

    assert here.encode() not in ready.service._addresses.address_hash(here)
    assert ready.service._addresses.address_hash(here) != Door(ready.store, ready.clock).service._addresses.address_hash("192.0.2.78")
    assert (await ready.store.users.lookup_login(issued.user.username, ready.service._addresses.address_hash(here))).known


async def test_successful_log_ins_are_not_limited_to_five(ready: Door) -> None:
    for _ in range(8):
        await ready.login()


@pytest.mark.holds("S-03")
async def test_the_counts_survive_a_restart(ready: Door) -> None:
    for _ in range(5):
        with pytest.raises(BadCredentials):
            await ready.login("wrong password")
    again = Door(ready.store, ready.clock)

    with pytest.raises(TooManyAttempts):
        await again.login()
    again.service.close()


async def test_another_spelling_of_the_name_shares_its_limit(ready: Door) -> None:
    for name in ("admin", "ADMIN", "Admin", "aDMIN", "admiN"):
        with pytest.raises(BadCredentials):
            await ready.login("wrong password", name, f"198.51.100.{len(name) + ord(name[0])}")
    with pytest.raises(TooManyAttempts):
        await ready.login("wrong password", "aDmIn", "203.0.113.1")


async def test_a_step_up_in_a_session_that_ends_during_it_asks_for_a_log_in(ready: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = await ready.caller(await ready.login())
    session, verify = some(caller.session).id, ready.service.passwords.verify

    async def end_session(stored: str | None, password: str, *, known: bool = False) -> bool:
        await ready.store.users.revoke_session(SYSTEM, session)
        return await verify(stored, password, known=known)

    monkeypatch.setattr(ready.service.passwords, "verify", end_session)
    with pytest.raises(Unauthenticated):
        await ready.service.step_up(caller, PASSWORD)


async def test_a_token_of_a_session_whose_password_is_reset_meanwhile_is_refused(ready: Door) -> None:
    owner = (await ready.login()).user
    await ready.service.reset_password(SYSTEM, "admin", NEW)
    with pytest.raises(Conflict, match="the password has changed meanwhile"):
        await ready.service.api_tokens.create(SYSTEM, owner, name="late", role="viewer", days=1, grants=None, sensitive=False)


async def test_a_log_in_while_the_second_factor_is_switched_off_asks_to_try_again(ready: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = await ready.caller(await ready.login())
    owner = some(caller.user)
    secret = (await ready.service.factors.begin(SYSTEM, owner)).secret
    code = totp.code_of(base64.b32decode(secret), int(ready.clock.now() // totp.STEP_S))
    user = some(await ready.store.users.user(owner.id))
    await ready.service.factors.confirm(caller, user, some(caller.session), code)
    verify = ready.service.passwords.verify

    async def switch_off(stored: str | None, password: str, *, known: bool = False) -> bool:
        await ready.store.factors.stop_totp(SYSTEM, user.id, None)
        return await verify(stored, password, known=known)

    monkeypatch.setattr(ready.service.passwords, "verify", switch_off)
    with pytest.raises(Conflict, match="the second factor has changed meanwhile"):
        await ready.service.login("admin", PASSWORD, totp="123456", setup_code=None, address=LOCAL, user_agent="test")
