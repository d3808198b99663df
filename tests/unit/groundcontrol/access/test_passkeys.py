"""Where passkeys can be used, and which stay usable. `tests/browser/test_passkeys.py` has the journey."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from groundcontrol.access.passkeys import LIFE_S, MOST_CHALLENGES, MOST_OF_USER, Assertion, Passkey, Passkeys, PasskeyStore, _text
from groundcontrol.core.ids import UserId
from tests.support.clock import ManualClock
from tests.support.factories import new_user
from tests.support.inprocess_hub import TestHub
from tests.support.some import some
from tests.support.web_users import with_second_factor


class Kept(PasskeyStore):
    """Two passkeys, made under two names of the hub."""

    async def passkeys(self, user: UserId) -> Sequence[Passkey]:
        return [Passkey(host, user, host, host, host.encode(), b"", 0, 0.0) for host in ("old.example", "hub.example")]


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        ("https://hub.example", ""),
        ("http://localhost:8933", ""),
        ("https://192.0.2.7", "host name"),
        ("https://[2001:db8::1]", "host name"),
        ("http://hub.example", "https"),
    ],
)
def test_browsers_need_a_host_name_and_the_page_says_why_not(origin: str, why: str) -> None:
    said = Passkeys(Kept(), ManualClock(), origin).unavailable  # type: ignore[abstract]  # only what is read
    assert (why in said) if why else said == ""


async def test_a_passkey_works_under_the_name_where_it_was_made_only() -> None:
    user = new_user("ada")
    passkeys = Passkeys(Kept(), ManualClock(), "https://hub.example")  # type: ignore[abstract]
    assert [one.host for one in await passkeys.usable(user.id)] == ["hub.example"]
    assert (await passkeys.request(user.id)).host == "hub.example"
    assert not await passkeys.proves(Assertion("b2xk", "e30", "", ""), user)
    assert not await passkeys.proves(Assertion("", "no JSON", "", ""), user)


async def test_too_many_open_challenges_are_refused_and_end_nobodys(hub: TestHub) -> None:
    """An own older challenge makes room for a new one of the same user, and for nobody else."""
    viewer, passkeys = await hub.logged_in("viewer"), hub.services[Passkeys]
    asked = [(await viewer.post("auth/passkeys/challenge")).json["challenge"] for _ in range(MOST_OF_USER + 1)]
    open_now = {_text(challenge) for challenge, (user, _) in passkeys._open.items() if user == viewer.user.id}
    assert open_now == set(asked[1:]), "the oldest went, and no other"

    until = hub.clock.monotonic() + LIFE_S
    passkeys._open |= {number.to_bytes(4): (UserId("others"), until) for number in range(MOST_CHALLENGES - len(open_now))}
    another = await hub.logged_in("viewer")
    refused = await another.post("auth/passkeys/challenge")
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, "request.too_many", str(int(LIFE_S)))
    assert open_now <= {_text(challenge) for challenge in passkeys._open}
    assert (await viewer.post("auth/passkeys/challenge")).status == 200, "who holds the most may always renew one"
    hub.clock.shift += LIFE_S + 1
    assert (await another.post("auth/passkeys/challenge")).status == 200
    assert len(passkeys._open) == 1


async def test_a_passkey_needs_the_codes_of_an_app_and_ends_with_them(hub: TestHub) -> None:
    viewer = await hub.logged_in("viewer")
    body = {"name": "x", "credential": "AA", "client_data": "e30", "attestation_object": "AA"}
    assert (await viewer.post("auth/passkeys", body)).code == "request.invalid"
    person, ada = await with_second_factor(hub, "viewer")
    user = some(await hub.store.users.user_by_name(person.username))
    asked = await ada.post("auth/passkeys/challenge")
    assert (asked.json["host"], asked.json["credentials"], asked.json["user"]) == ("hub.example", [], user.id)
    await hub.sql(
        "INSERT INTO passkey (org, id, account, name, host, credential, public_key, uses, created_at)"
        " SELECT 1, '00000000000000000000000009', no, 'x', 'hub.example', x'01', x'00', 0, 0.0 FROM account WHERE id = ?",
        user.id,
    )
    refused = await person.try_to_log_in()
    assert (refused.code, refused.json["facts"]["passkey"]["credentials"]) == ("auth.totp_required", ["AQ"])
    assert "facts" in refused.json
    assert (await person.try_to_log_in(password="a wrong password")).json["facts"] == {}
    assert (await ada.request("DELETE", "auth/totp")).status == 204
    assert (await ada.get("auth/passkeys")).json["passkeys"] == []
