"""`/api/v1/auth/totp`, `auth/recovery-codes`, and log-in with a second factor."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from groundcontrol.access.model import TotpRule
from tests.support.inprocess_hub import ADMIN, PASSWORD, TestHub, a_config, running
from tests.support.web_users import somebody, user_of, with_second_factor


async def test_a_second_factor_is_shown_once_and_active_after_its_first_code(hub: TestHub) -> None:
    person = await somebody(hub)
    client = await person.log_in()

    begun = await client.post("auth/totp")
    assert begun.status == 201
    asked = parse_qs(urlsplit(begun.json["uri"]).query)
    assert asked["secret"] == [begun.json["secret"]]
    await person.log_in()  # not confirmed yet: the password alone is enough
    await person.enrol(client)

    assert user_of(await client.get("auth/me"))["totp_enabled"] is True
    refused = await person.try_to_log_in()
    assert (refused.status, refused.code) == (401, "auth.totp_required")
    assert (await client.post("auth/totp")).code == "conflict"
    assert (await person.log_in(person.next_code())).csrf


@pytest.mark.holds("SAFETY-7")
async def test_the_seed_is_nowhere_in_the_database(hub: TestHub, tmp_path: Path) -> None:
    person, _ = await with_second_factor(hub)

    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    assert person.seed not in kept
    assert not any(code.encode() in kept or code.replace("-", "").encode() in kept for code in person.codes)


@pytest.mark.holds("SAFETY-18")
async def test_enabling_or_disabling_a_second_factor_ends_other_sessions(hub: TestHub) -> None:
    person = await somebody(hub)
    other, client = await person.log_in(), await person.log_in()
    await person.enrol(client)
    assert (await other.get("auth/me")).status == 401

    other = await person.log_in(person.next_code())
    assert (await client.request("DELETE", "auth/totp")).status == 204

    assert (await other.get("auth/me")).status == 401
    assert user_of(await client.get("auth/me"))["totp_enabled"] is False
    assert (await person.try_to_log_in()).status == 200
    assert (await client.request("DELETE", "auth/totp")).status == 404


async def test_a_wrong_first_code_does_not_enable_the_second_factor(hub: TestHub) -> None:
    person = await somebody(hub)
    client = await person.log_in()
    assert (await client.post("auth/totp/confirm", {"code": "123456"})).code == "conflict"
    await client.post("auth/totp")

    answer = await client.post("auth/totp/confirm", {"code": "000000x"})

    assert (answer.status, answer.code) == (401, "auth.totp_wrong")
    assert (await person.try_to_log_in()).status == 200


async def test_a_malformed_confirmation_is_refused(hub: TestHub) -> None:
    client = await (await somebody(hub)).log_in()
    for body in [{}, {"code": 123456}, {"code": None}, {"code": "1", "more": 1}, []]:
        assert (await client.post("auth/totp/confirm", body)).code == "request.invalid", body


@pytest.mark.holds("S-14")
async def test_a_code_works_once(hub: TestHub) -> None:
    person, _ = await with_second_factor(hub)
    code = person.next_code()

    assert (await person.try_to_log_in(code)).status == 200
    again = await person.try_to_log_in(code)

    assert (again.status, again.code) == (401, "auth.totp_wrong")
    hub.clock.shift += 30
    assert (await person.try_to_log_in(person.code(-1))).code == "auth.totp_wrong"  # as old as the used one


@pytest.mark.holds("S-14")
async def test_of_fifty_concurrent_equal_codes_one_opens_a_session(hub: TestHub) -> None:
    person, _ = await with_second_factor(hub)
    before = len((await hub.store.user_admin.listed_sessions(ADMIN, 100)).items)
    code = person.next_code()

    answers = await asyncio.gather(*(person.try_to_log_in(code) for _ in range(50)))

    assert sum(answer.status == 200 for answer in answers) == 1
    assert {answer.code for answer in answers if answer.status != 200} <= {"auth.totp_wrong", "auth.rate_limited", "unavailable"}
    assert len((await hub.store.user_admin.listed_sessions(ADMIN, 100)).items) == before + 1


@pytest.mark.holds("SAFETY-21", "S-14")
async def test_codes_have_their_own_rate_limit(hub: TestHub) -> None:
    """Five in a quarter of an hour, whatever else succeeds meanwhile; a right code does not help any more."""
    person, client = await with_second_factor(hub)
    wrong = 0
    for _ in range(5):
        hub.clock.shift += 61  # past the limit of the password, not of the codes
        answer = await person.try_to_log_in("000000")
        wrong += answer.code == "auth.totp_wrong"
        await client.post("auth/refresh")
    hub.clock.shift += 61
    refused = await person.try_to_log_in(person.code())

    assert wrong == 5
    assert (refused.status, refused.code) == (429, "auth.rate_limited")
    hub.clock.shift += 900
    assert (await person.try_to_log_in(person.code())).status == 200


async def test_a_wrong_password_is_reported_before_the_second_factor_is_checked(hub: TestHub) -> None:
    person, _ = await with_second_factor(hub)

    answers = [await person.try_to_log_in(totp, "wrong") for totp in (None, person.next_code())]

    assert {answer.code for answer in answers} == {"auth.bad_credentials"}
    assert (await person.try_to_log_in(person.code())).status == 200  # the code was not spent


@pytest.mark.holds("S-14")
async def test_a_recovery_code_opens_one_session(hub: TestHub) -> None:
    person, client = await with_second_factor(hub)
    code = person.codes[0]

    answers = await asyncio.gather(*(person.try_to_log_in(code) for _ in range(3)))

    assert sorted(answer.status for answer in answers) == [200, 401, 401]
    assert (await person.try_to_log_in(person.codes[1].lower().replace("-", " "))).status == 200
    hub.clock.shift += 61
    assert (await client.post("auth/step-up", {"password": PASSWORD, "totp": person.codes[2]})).status == 204
    fresh = (await client.post("auth/recovery-codes")).json["codes"]
    assert (await person.try_to_log_in(person.codes[3])).code == "auth.totp_wrong"
    assert (await person.try_to_log_in(fresh[0])).status == 200


async def test_without_a_second_factor_there_are_no_recovery_codes(hub: TestHub) -> None:
    client = await (await somebody(hub)).log_in()

    assert (await client.post("auth/recovery-codes")).code == "conflict"


@pytest.mark.holds("S-15")
async def test_a_step_up_needs_the_code_too(hub: TestHub) -> None:
    """The session and the password are not enough to remove the second factor."""
    person, client = await with_second_factor(hub)
    hub.clock.shift += 301
    for method, path in (("DELETE", "auth/totp"), ("POST", "auth/recovery-codes")):
        assert (await client.request(method, path)).code == "auth.step_up_required"
    assert (await client.post("auth/password", {"current": PASSWORD, "new": "four yellow herons"})).code == "auth.step_up_required"

    assert (await client.post("auth/step-up", {"password": PASSWORD})).code == "auth.totp_required"
    assert (await client.post("auth/step-up", {"password": PASSWORD, "totp": "000000"})).code == "auth.totp_wrong"
    assert (await client.request("DELETE", "auth/totp")).code == "auth.step_up_required"
    assert (await client.post("auth/step-up", {"password": PASSWORD, "totp": person.next_code()})).status == 204
    assert (await client.request("DELETE", "auth/totp")).status == 204


async def test_a_session_with_a_second_factor_lives_shorter(hub: TestHub) -> None:
    person, enrolled = await with_second_factor(hub)
    client = await person.log_in(person.next_code())
    for session in (enrolled, client):
        assert (await session.get("auth/me")).json["expires_at"] <= hub.clock.now() + 1800
    for _ in range(24):
        hub.clock.shift += 1790
        assert (await client.post("auth/refresh")).status == 200
    hub.clock.shift += 1790
    assert (await client.post("auth/refresh")).status == 401


@pytest.mark.parametrize(("rule", "role", "held"), [("admins", "admin", True), ("admins", "operator", False), ("all", "viewer", True)])
async def test_a_user_without_a_required_second_factor_can_only_enrol(hub: TestHub, rule: TotpRule, role: str, held: bool) -> None:
    person = await somebody(hub, role)  # type: ignore[arg-type]  # one of the three
    client = await person.log_in()
    assert (await client.get("nodes")).status == 200
    await hub.store.user_admin.save_totp_rule(ADMIN, rule)

    answer = await client.get("nodes")
    assert answer.status == (403 if held else 200)
    if not held:
        return
    assert answer.code == "auth.totp_enrolment_required"
    assert user_of(await person.try_to_log_in())["must_enrol_totp"] is True
    assert (await client.get("live", headers={"Origin": "https://hub.example"})).code == "auth.totp_enrolment_required"
    assert user_of(await client.get("auth/me"))["must_enrol_totp"] is True
    await person.enrol(client)
    assert (await client.get("nodes")).status == 200
    assert user_of(await client.get("auth/me"))["must_enrol_totp"] is False


async def test_requiring_a_second_factor_closes_open_connections(hub: TestHub) -> None:
    admin = await hub.logged_in()
    enrolled, client = await with_second_factor(hub)
    async with admin.live() as live:
        await live.follow("fleet")
        assert (await client.request("PATCH", "settings", {"require_totp": "all"})).status == 200
        assert await live.closed(1.0) == 4401
    assert enrolled.codes


async def test_settings_cannot_relax_the_environments_requirement(tmp_path: Path) -> None:
    async with running(tmp_path, config=replace(a_config(tmp_path), require_totp="admins")) as hub:
        person = await somebody(hub)
        client = await person.log_in()
        assert (await client.get("nodes")).code == "auth.totp_enrolment_required"
        await person.enrol(client)

        assert (await client.get("settings")).json.items() >= {"require_totp": "admins", "require_totp_least": "admins"}.items()
        kept = (await client.get("settings")).json["retention"]
        half = await client.request("PATCH", "settings", {"require_totp": "none", "retention": {"seconds_s": 7200}})
        assert half.status == 409
        assert (await client.get("settings")).json["retention"] == kept, "refused as a whole"
        refused = await client.request("PATCH", "settings", {"require_totp": "none"})
        assert (refused.status, refused.code) == (409, "conflict")
        assert (await client.request("PATCH", "settings", {"require_totp": "all"})).json["require_totp"] == "all"


async def test_every_use_is_audited_and_no_code_is(hub: TestHub) -> None:
    person, client = await with_second_factor(hub)
    await person.try_to_log_in("999999")
    await person.try_to_log_in(person.codes[0])
    await client.request("DELETE", "auth/totp")

    rows = (await hub.store.log.audit(ADMIN, 100)).items

    actions = {(row.action, row.result) for row in rows}
    assert {
        ("auth.second_factor_begin", "done"),
        ("auth.second_factor_on", "done"),
        ("auth.second_factor", "refused"),
        ("auth.recovery_code", "done"),
        ("auth.second_factor_off", "done"),
    } <= actions
    assert not any(secret in str(row) for row in rows for secret in ("999999", *person.codes))
