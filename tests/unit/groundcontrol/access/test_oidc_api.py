"""Log-in, links and step-up through a provider, and log-outs from there. The provider answers what the test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from groundcontrol.access.oidc.flows import MOST_OF_ADDRESS, MOST_OF_USER, Flows
from groundcontrol.core.errors import TooManyRequests
from groundcontrol.core.ids import SessionId, UserId
from groundcontrol.core.scope import hub_scope
from tests.support.certificates import Certificate
from tests.support.forged_id_tokens import EC, KEY_SET, OTHER_EC, public_jwk, signed
from tests.support.inprocess_hub import ADMIN, ORIGIN, Answer, Client, TestHub
from tests.support.oidc_issuer import CLIENT, SECRET, Issuer, an_issuer
from tests.support.some import some
from tests.support.web_users import somebody, with_second_factor


@pytest.fixture
async def issuer(hub: TestHub) -> AsyncIterator[Issuer]:
    async with an_issuer() as made:
        made.now = hub.clock.now
        yield made


async def a_provider(hub: TestHub, issuer: Issuer, **more: Any) -> Client:
    """Returns: the admin who made it."""
    admin = await hub.logged_in("admin")
    body = {"name": "company", "title": "Company", "issuer": issuer.url, "client_id": CLIENT, "client_secret": SECRET, **more}
    made = await admin.post("auth/oidc/providers", body)
    assert made.status == 201, made.body
    return admin


async def start(client: Client, purpose: str = "login", return_to: str = "/fleet") -> str:
    answer = await client.post("auth/oidc/company/start", {"purpose": purpose, "return_to": return_to})
    assert answer.status == 200, answer.body
    return str(answer.json["location"])


async def come_back(client: Client, issuer: Issuer, purpose: str = "login", **more: str) -> Answer:
    """Go to the provider and back."""
    brought = issuer.authorise(await start(client, purpose))
    return await client.post("auth/oidc/finish", {**brought, **more})


async def linked(hub: TestHub, issuer: Issuer, client: Client) -> Client:
    answer = await come_back(client, issuer, "link")
    assert (answer.status, answer.json["login"]) == (200, None), answer.body
    return client


async def a_linked_user(hub: TestHub, issuer: Issuer, username: str = "ada") -> Client:
    return await linked(hub, issuer, await (await somebody(hub, "viewer", username)).log_in())


async def test_a_user_links_an_account_and_logs_in_with_it(hub: TestHub, issuer: Issuer) -> None:
    admin = await a_provider(hub, issuer)
    assert (await hub.anonymous().get("auth/oidc")).json == {"providers": [{"name": "company", "title": "Company", "away": False}]}
    ada = await a_linked_user(hub, issuer)
    [link] = (await ada.get("auth/oidc/links")).json["links"]
    assert (link["provider"], link["issuer"], link["subject"], link["used_at"]) == ("company", issuer.url, "user-1", None)

    issuer.claims = {"preferred_username": "ada@company"}
    browser = hub.anonymous()
    answer = await come_back(browser, issuer)

    assert answer.status == 200, answer.body
    assert (answer.json["purpose"], answer.json["return_to"]) == ("login", "/fleet")
    assert answer.json["login"]["user"]["username"] == "ada"
    browser.csrf = answer.json["login"]["csrf_token"]
    me = (await browser.get("auth/me")).json
    assert (me["user"]["username"], me["provider"]) == ("ada", "company")
    assert me["expires_at"] <= hub.clock.now() + 12 * 3600
    [link] = (await ada.get("auth/oidc/links")).json["links"]
    assert (link["shown"], link["used_at"] is not None) == ("ada@company", True)
    form = issuer.forms[-1]
    assert form["authorization"].startswith("Basic ")
    assert SECRET not in str(form)
    assert form["redirect_uri"] == f"{ORIGIN}/oidc"
    attempts = (await admin.get("auth/oidc/providers/company/attempts")).json["attempts"]
    assert [(one["result"], one["username"]) for one in attempts] == [("done", "ada"), ("done", "ada")]
    assert issuer.asked.count("/.well-known/openid-configuration") == issuer.asked.count("/keys") == 1


@pytest.mark.holds("SAFETY-109", "S-64")
async def test_t34_an_account_is_issuer_and_subject_and_never_a_name_or_an_address(hub: TestHub, issuer: Issuer) -> None:
    admin = await a_provider(hub, issuer)
    await a_linked_user(hub, issuer)
    issuer.subject = "user-2"
    issuer.claims = {"email": "ada", "email_verified": True, "preferred_username": "ada"}

    answer = await come_back(hub.anonymous(), issuer)

    assert (answer.status, answer.code) == (403, "oidc.unknown_account")
    assert not answer.headers.getall("Set-Cookie", [])
    attempt = (await admin.get("auth/oidc/providers/company/attempts")).json["attempts"][0]
    assert (attempt["result"], attempt["subject"], attempt["shown"]) == ("oidc.unknown_account", "user-2", "ada")
    assert "not linked" in attempt["reason"]

    async with an_issuer() as other:  # the same subject at another provider is another account
        other.now = hub.clock.now
        body = {"name": "other", "title": "Other", "issuer": other.url, "client_id": CLIENT}
        assert (await admin.post("auth/oidc/providers", body)).status == 201
        browser = hub.anonymous()
        begun = await browser.post("auth/oidc/other/start", {})
        answer = await browser.post("auth/oidc/finish", other.authorise(begun.json["location"]))
        assert (answer.status, answer.code) == (403, "oidc.unknown_account")


@pytest.mark.holds("SAFETY-109", "S-64")
async def test_t34_a_link_needs_a_recent_proof_and_belongs_to_one_user(hub: TestHub, issuer: Issuer) -> None:
    await a_provider(hub, issuer)
    ada = await a_linked_user(hub, issuer)
    eve = await (await somebody(hub, "viewer", "eve")).log_in()

    answer = await come_back(eve, issuer, "link")
    assert (answer.status, answer.code) == (409, "oidc.linked_elsewhere")
    assert (await eve.get("auth/oidc/links")).json == {"links": []}

    issuer.subject = "user-3"
    begun = issuer.authorise(await start(eve, "link"))
    hub.clock.shift += 301
    assert (await eve.post("auth/oidc/company/start", {"purpose": "link"})).code == "auth.step_up_required"
    assert (await eve.post("auth/oidc/finish", begun)).code == "auth.step_up_required"
    assert (await hub.anonymous().post("auth/oidc/company/start", {"purpose": "link"})).status == 401
    [link] = (await ada.get("auth/oidc/links")).json["links"]
    assert (await eve.request("DELETE", f"auth/oidc/links/{link['id']}")).code == "auth.step_up_required"
    await eve.post("auth/step-up", {"password": "three green sparrows"})
    assert (await eve.request("DELETE", f"auth/oidc/links/{link['id']}")).status == 404
    await ada.post("auth/step-up", {"password": "three green sparrows"})
    assert (await ada.request("DELETE", f"auth/oidc/links/{link['id']}")).status == 204
    issuer.subject = "user-1"
    assert (await come_back(hub.anonymous(), issuer)).code == "oidc.unknown_account"


@pytest.mark.holds("SAFETY-109", "S-63")
async def test_t33_attacks_on_a_flow_are_refused(hub: TestHub, issuer: Issuer) -> None:
    await a_provider(hub, issuer)
    await a_linked_user(hub, issuer)
    browser, other = hub.anonymous(), hub.anonymous()

    brought = issuer.authorise(await start(browser))
    assert (await other.post("auth/oidc/finish", brought)).code == "oidc.flow_over"  # another browser
    assert (await hub.anonymous().post("auth/oidc/finish", brought, headers={"Origin": "https://evil.example"})).code == "auth.cross_site"
    assert (await browser.post("auth/oidc/finish", {**brought, "iss": "https://evil.example"})).code == "oidc.issuer_mismatch"
    assert (await browser.post("auth/oidc/finish", brought)).code == "oidc.flow_over"  # once

    async def refused(expected: str = "oidc.refused", **changes: str) -> str:
        answer = await come_back(browser, issuer, **changes)
        assert answer.code == expected, answer.body
        return str(answer.json["detail"])

    assert "issuer" in await refused(iss="")
    assert "access_denied" in await refused(error="access_denied", code="")
    assert "no such code" in await refused(code="guessed")
    stolen = issuer.authorise(await start(other))  # the code of another flow: its challenge differs, and its nonce
    assert "code_verifier" in await refused(code=stolen["code"])
    issuer.checks_verifier = False
    stolen = issuer.authorise(await start(other))
    assert "nonce" in await refused(code=stolen["code"])
    issuer.checks_verifier = True
    issuer.token = "no.token.at-all"
    assert "not valid" in await refused()
    issuer.token = None
    for claims, reason in (
        ({"nonce": "n"}, "nonce"),
        ({"aud": "other"}, "client"),
        ({"iss": "https://evil.example"}, "is of"),
        ({"exp": True}, "exp"),
    ):
        issuer.claims = claims
        assert reason in await refused()
    issuer.claims = {}
    brought = issuer.authorise(await start(browser))
    hub.clock.shift += 601
    assert (await browser.post("auth/oidc/finish", brought)).code == "oidc.flow_over"  # too late
    assert (await come_back(browser, issuer)).status == 200


async def test_a_flow_has_pkce_state_and_nonce_and_returns_to_the_hubs_own_address(hub: TestHub, issuer: Issuer) -> None:
    """Whatever headers say: a proxy or an attacker may set them."""
    await a_provider(hub, issuer)
    seen: list[dict[str, list[str]]] = []
    for headers in (
        {}, {"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}, {"Forwarded": "host=evil.example"},
    ):  # fmt: skip
        begun = await hub.anonymous().post("auth/oidc/company/start", {"return_to": "https://evil.example/"}, headers=headers)
        assert begun.status == 200, begun.body
        seen.append(parse_qs(urlsplit(begun.json["location"]).query))
    for query in seen:
        assert query["redirect_uri"] == [f"{ORIGIN}/oidc"]
        assert (query["response_type"], query["code_challenge_method"], query["scope"]) == (["code"], ["S256"], ["openid profile"])
    for name in ("state", "nonce", "code_challenge"):
        assert len({query[name][0] for query in seen}) == len(seen)
        assert all(len(query[name][0]) >= 43 for query in seen), "256 bits"
    elsewhere = await hub.anonymous().post("auth/oidc/company/start", {}, headers={"Origin": "http://localhost:8933"})
    assert (elsewhere.status, elsewhere.code) == (403, "auth.cross_site")


async def test_a_provider_has_authorities_of_its_own_and_the_check_is_never_left_out(hub: TestHub, tmp_path: Path) -> None:
    own, other = Certificate(tmp_path), Certificate(tmp_path)
    async with an_issuer(own.context) as issuer:
        issuer.now = hub.clock.now
        admin = await a_provider(hub, issuer)
        assert issuer.url.startswith("https://")

        async def check(ca_pem: str) -> Answer:
            version = (await admin.get("auth/oidc/providers/company")).json["version"]
            saved = await admin.request("PATCH", "auth/oidc/providers/company", {"version": version, "ca_pem": ca_pem})
            assert (saved.status, saved.json["ca_pem"]) == (200, ca_pem), saved.body
            return await admin.post("auth/oidc/providers/company/check")

        for ca_pem in ("", other.pem.decode()):
            refused = await check(ca_pem)
            assert (refused.code, "ca_pem" in refused.json["detail"]) == ("oidc.unavailable", True)
            assert issuer.asked == []
        assert (await check(own.pem.decode())).status == 200
        assert (await start(hub.anonymous())).startswith(f"{issuer.url}/auth?")


async def test_a_changed_provider_ends_its_open_log_ins_and_another_one_its_sessions(hub: TestHub, issuer: Issuer) -> None:
    admin = await a_provider(hub, issuer)
    await a_linked_user(hub, issuer)
    browser = hub.anonymous()
    assert (await come_back(browser, issuer)).status == 200
    waiting = hub.anonymous()
    brought = issuer.authorise(await start(waiting))

    before = (await admin.get("auth/oidc/providers/company")).json
    partial = await admin.request("PATCH", "auth/oidc/providers/company", {"version": before["version"], "title": "Our company"})
    assert (partial.status, partial.json["title"], partial.json["has_secret"]) == (200, "Our company", True)
    assert SECRET not in partial.body.decode()
    stale = await admin.request("PATCH", "auth/oidc/providers/company", {"version": before["version"], "title": "Theirs"})
    assert stale.code == "conflict"

    assert (await waiting.post("auth/oidc/finish", brought)).code == "oidc.flow_over"
    assert (await come_back(waiting, issuer)).status == 200  # with the sealed secret, which stayed
    assert issuer.forms[-1]["authorization"] == issuer.forms[0]["authorization"]
    assert (await browser.get("auth/me")).status == 200
    other = await admin.request("PATCH", "auth/oidc/providers/company", {"version": partial.json["version"], "client_id": "another"})
    assert other.status == 200, other.body
    assert (await browser.get("auth/me")).status == 401
    whole = {"title": "Whole", "issuer": issuer.url, "client_id": "another"}
    put = await admin.request("PUT", "auth/oidc/providers/company", whole)
    assert (put.status, put.json["title"], put.json["has_secret"], put.json["groups"]) == (200, "Whole", True, [])
    assert (await admin.request("PUT", "auth/oidc/providers/company", {**whole, "version": 1})).code == "conflict"
    made = await admin.request("PUT", "auth/oidc/providers/second", {**whole, "client_secret": SECRET})
    assert (made.status, made.json["name"], made.json["has_secret"]) == (200, "second", True)
    assert (await admin.request("DELETE", "auth/oidc/providers/second")).status == 204
    other = put
    public = await admin.request("PATCH", "auth/oidc/providers/company", {"version": other.json["version"], "client_secret": None})
    assert public.json["has_secret"] is False
    assert (await admin.request("DELETE", "auth/oidc/providers/company")).status == 204
    assert (await hub.anonymous().post("auth/oidc/company/start", {})).status == 404
    assert (await hub.anonymous().get("auth/oidc")).json == {"providers": []}


async def test_a_provider_that_is_away_costs_its_button_and_says_why_to_the_admin(hub: TestHub, issuer: Issuer) -> None:
    issuer.away = True
    admin = await a_provider(hub, issuer)
    assert (await hub.anonymous().get("auth/oidc")).json["providers"][0]["away"] is False  # nothing was asked yet
    answer = await hub.anonymous().post("auth/oidc/company/start", {})
    assert (answer.status, answer.code) == (503, "oidc.unavailable")
    assert (await hub.anonymous().get("auth/oidc")).json["providers"][0]["away"] is True
    assert "502" in (await admin.get("auth/oidc/providers/company")).json["failure"]
    asked = len(issuer.asked)
    assert (await hub.anonymous().post("auth/oidc/company/start", {})).status == 503
    assert len(issuer.asked) == asked  # a crowd at the button is no crowd at the provider
    issuer.away = False
    hub.clock.shift += 6
    assert (await hub.anonymous().post("auth/oidc/company/start", {})).status == 200
    assert (await hub.anonymous().get("auth/oidc")).json["providers"][0]["away"] is False


async def test_an_answer_that_the_hub_does_not_accept_is_named(hub: TestHub, issuer: Issuer) -> None:
    admin = await a_provider(hub, issuer)

    async def says(code: str = "oidc.unavailable") -> str:
        answer = await admin.post("auth/oidc/providers/company/check")
        assert answer.code == code, answer.body
        return str(answer.json["detail"])

    issuer.description = {"issuer": issuer.url + "/"}
    mismatch = await says("oidc.issuer_mismatch")
    assert f"'{issuer.url}/'" in mismatch
    assert f"'{issuer.url}'" in mismatch
    issuer.description = {"token_endpoint": "http://evil.example/token"}
    assert "token_endpoint" in await says()
    issuer.description = {"token_endpoint": None}
    assert "token_endpoint" in await says()
    issuer.description = {"code_challenge_methods_supported": ["plain"]}
    assert "S256" in await says()
    issuer.description = {}
    issuer.key_set = {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}
    assert "no key" in await says()
    issuer.key_set = KEY_SET
    issuer.redirect = True
    assert "302" in await says()
    issuer.redirect = False
    issuer.body = b"[" + b" " * (256 << 10) + b"]"
    assert "256 KiB" in await says()
    issuer.body = b"[]"
    assert "JSON object" in await says()
    issuer.body = None
    found = await admin.post("auth/oidc/providers/company/check")
    assert (found.json["keys"], found.json["logout"], found.json["userinfo"]) == (3, True, False)


async def test_a_new_key_of_the_provider_is_fetched_at_most_every_half_minute(hub: TestHub, issuer: Issuer) -> None:
    await a_provider(hub, issuer)
    await a_linked_user(hub, issuer)

    async def come_with_new_key() -> Answer:
        browser = hub.anonymous()
        brought = issuer.authorise(await start(browser))
        now = int(hub.clock.now())
        claims = {
            "iss": issuer.url,
            "aud": CLIENT,
            "sub": "user-1",
            "nonce": issuer.codes[brought["code"]]["nonce"],
            "iat": now,
            "exp": now + 60,
        }
        issuer.token = signed(claims, key=OTHER_EC, kid="new")
        return await browser.post("auth/oidc/finish", brought)

    issuer.key_set = {"keys": [public_jwk(EC, "ec"), public_jwk(OTHER_EC, "new")]}
    fetched = issuer.asked.count("/keys")
    assert (await come_with_new_key()).code == "oidc.refused"  # the keys are younger than half a minute
    assert issuer.asked.count("/keys") == fetched
    hub.clock.shift += 31
    assert (await come_with_new_key()).status == 200
    assert issuer.asked.count("/keys") == fetched + 1


async def test_the_providers_second_factor_counts_and_otherwise_ours_is_asked(hub: TestHub, issuer: Issuer) -> None:
    await a_provider(hub, issuer)
    person, ada = await with_second_factor(hub, "viewer")
    await linked(hub, issuer, ada)
    browser = hub.anonymous()

    asked = await come_back(browser, issuer)
    assert (asked.status, asked.code) == (401, "auth.totp_required")
    state = asked.json["facts"]["continue"]
    wrong = await browser.post("auth/oidc/finish", {"state": state, "totp": "000000"})
    assert wrong.code == "auth.totp_wrong"
    state = wrong.json["facts"]["continue"]
    assert (await hub.anonymous().post("auth/oidc/finish", {"state": state, "totp": person.next_code()})).code == "oidc.flow_over"
    done = await browser.post("auth/oidc/finish", {"state": state, "totp": person.next_code()})
    assert done.status == 200, done.body
    assert (await browser.post("auth/oidc/finish", {"state": state, "totp": person.next_code()})).code == "oidc.flow_over"

    issuer.claims = {"amr": ["pwd", "otp"]}
    assert (await come_back(hub.anonymous(), issuer)).status == 200


@pytest.mark.holds("SAFETY-109", "S-66")
async def test_a_step_up_by_the_provider_is_a_new_proof_of_the_same_account(hub: TestHub, issuer: Issuer) -> None:
    admin = await a_provider(hub, issuer)
    await linked(hub, issuer, admin)
    hub.clock.shift += 400
    assert (await admin.post("users", {"username": "eve", "role": "viewer"})).code == "auth.step_up_required"
    location = await start(admin, "step_up")
    assert "max_age=0" in location
    assert "prompt=login" in location

    assert (await come_back(admin, issuer, "step_up")).code == "oidc.refused"  # it does not say when
    issuer.claims = {"auth_time": int(hub.clock.now()) - 500}
    assert (await come_back(admin, issuer, "step_up")).code == "oidc.refused"  # an old proof
    issuer.claims = {"auth_time": int(hub.clock.now()) - 30}
    assert (await come_back(admin, issuer, "step_up")).code == "oidc.refused"  # of a log-in just before, by the provider's own clock
    issuer.claims = {"auth_time": int(hub.clock.now())}
    issuer.subject = "somebody else"
    assert (await come_back(admin, issuer, "step_up")).code == "oidc.refused"
    issuer.subject = "user-1"
    for skew_s in (-50, 50, 0):
        issuer.now = lambda skew_s=skew_s: hub.clock.now() + skew_s  # type: ignore[misc]
        issuer.claims = {"auth_time": int(issuer.now())}
        assert (await come_back(admin, issuer, "step_up")).status == 200, f"the clocks differ by {skew_s} s"
    assert (await admin.post("users", {"username": "eve", "role": "viewer"})).status == 201


async def test_a_log_out_here_goes_on_at_the_provider(hub: TestHub, issuer: Issuer) -> None:
    await a_provider(hub, issuer)
    ada = await a_linked_user(hub, issuer)
    browser = hub.anonymous()
    browser.csrf = (await come_back(browser, issuer)).json["login"]["csrf_token"]

    answer = await browser.post("auth/oidc/logout")

    location = str(answer.json["location"])
    assert location.startswith(f"{issuer.url}/end?")
    assert "id_token_hint=ey" in location
    assert "post_logout_redirect_uri=https%3A%2F%2Fhub.example%2Fsigned-out" in location
    assert (await browser.get("auth/me")).status == 401
    assert (await ada.post("auth/oidc/logout")).json == {"location": None}  # it had logged in with a password


async def test_a_log_out_at_the_provider_ends_its_sessions_here_once(hub: TestHub, issuer: Issuer) -> None:
    await a_provider(hub, issuer)
    ada = await a_linked_user(hub, issuer)
    one, two = hub.anonymous(), hub.anonymous()
    for browser in (one, two):
        assert (await come_back(browser, issuer)).status == 200
        issuer.claims = {"sid": "the second"}

    async def logout(token: str, **headers: str) -> Answer:
        sent = {
            "Origin": None,
            "Sec-Fetch-Site": None,
            "X-CSRF-Token": None,
            "Content-Type": "application/x-www-form-urlencoded",
            **headers,
        }
        return await hub.anonymous().post("auth/oidc/company/backchannel", data=f"logout_token={token}".encode(), headers=sent)

    for token in (
        issuer.id_token("n"), issuer.logout_token(nonce="n"), issuer.logout_token(events={}), issuer.logout_token(iss="https://evil.example"),
        "", "a.b.c",
    ):  # fmt: skip
        refused = await logout(token)
        assert (refused.status, refused.code) == (400, "request.invalid"), refused.body
    assert (await logout(issuer.logout_token(), **{"Content-Type": "application/json"})).status == 415
    token = issuer.logout_token(sid="the second", sub=None)
    assert (await logout(token)).json == {"sessions": 1}
    assert [(await browser.get("auth/me")).status for browser in (one, two)] == [200, 401]
    assert "used before" in (await logout(token)).json["detail"]
    assert (await logout(issuer.logout_token())).json == {"sessions": 1}
    assert (await one.get("auth/me")).status == 401
    assert (await ada.get("auth/me")).status == 200  # a session with a password is not the provider's


async def test_a_providers_settings_are_checked(hub: TestHub, issuer: Issuer) -> None:
    admin = await hub.logged_in("admin")
    body = {"name": "company", "title": "Company", "issuer": issuer.url, "client_id": CLIENT}
    wrong: list[dict[str, Any]] = [
        {"name": "Company"}, {"name": "finish"}, {"title": ""}, {"issuer": "http://sso.example"}, {"issuer": "https://a@b.example"},
        {"issuer": "https://sso.example/?tenant=1"}, {"issuer": "ftp://sso.example"}, {"client_id": ""}, {"scopes": ["profile"]},
        {"ca_pem": "no certificate"}, {"client_secret": "a\nb"}, {"create_accounts": True},
        {"groups": [{"claim": "", "value": "x", "organisation": "default", "role": "viewer"}]},
        {"groups": [{"claim": "groups", "value": "x", "organisation": "default", "role": "viewer", "grants": {"nodes": [], "tags": []}}]},
        {"groups": [{"claim": "groups", "value": "x", "organisation": "default", "role": "admin", "grants": {"tags": ["web"]}}]},
    ]  # fmt: skip
    for changes in wrong:
        answer = await admin.post("auth/oidc/providers", {**body, **changes})
        assert (answer.status, answer.code) == (400, "request.invalid"), changes
    assert (await admin.post("auth/oidc/providers", body)).status == 201
    assert (await admin.post("auth/oidc/providers", body)).code == "conflict"
    viewer = await hub.logged_in("operator")
    for method, path in (
        ("GET", ""),
        ("POST", ""),
        ("GET", "/company"),
        ("PATCH", "/company"),
        ("DELETE", "/company"),
        ("POST", "/company/check"),
    ):
        assert (await viewer.request(method, f"auth/oidc/providers{path}", None if method in ("GET", "DELETE") else {})).status == 403


def a_row(value: str, role: str = "viewer", organisation: str = "default", claim: str = "groups") -> dict[str, Any]:
    return {"claim": claim, "value": value, "organisation": organisation, "role": role}


@pytest.mark.holds("SAFETY-109", "S-65")
async def test_t34_groups_become_memberships_at_each_log_in(hub: TestHub, issuer: Issuer) -> None:
    await hub.second()
    rows = [a_row("ops", "operator"), a_row("everybody", "viewer"), a_row("ops", "admin", "second")]
    admin = await a_provider(hub, issuer, create_accounts=True, groups=rows)

    async def log_in(code: str = "", **claims: Any) -> list[tuple[str, str]]:
        issuer.claims = {"preferred_username": "ada", **claims}
        browser = hub.anonymous()
        answer = await come_back(browser, issuer)
        if code:
            assert answer.code == code, answer.body
            return []
        assert answer.status == 200, answer.body
        found = (await browser.get("auth/me")).json["organisations"]
        return sorted((one["slug"], one["role"]) for one in found)

    assert await log_in("oidc.groups_missing") == []
    assert await log_in("oidc.no_organisation", groups=[]) == []
    assert await log_in("oidc.no_organisation", groups=["Ops"]) == []  # exactly
    assert (await admin.get("users")).json["users"][-1]["username"] != "ada"
    assert await log_in(groups=["everybody", "ops"]) == [("default", "operator"), ("second", "admin")]  # the first row counts
    user = (await admin.get("users")).json["users"][-1]
    assert (user["username"], user["role"]) == ("ada", "operator")

    assert await log_in("oidc.groups_missing", _claim_names={"groups": "elsewhere"}) == []
    browser = hub.anonymous()
    issuer.claims = {"groups": ["ops"]}
    assert (await come_back(browser, issuer)).status == 200
    assert await log_in(groups="everybody") == [("default", "viewer")]  # a text; the other membership ended
    assert [one["slug"] for one in (await browser.get("auth/me")).json["organisations"]] == ["default"]
    assert await log_in("oidc.no_organisation", groups=["nobody"]) == []
    assert (await browser.get("auth/me")).json["organisations"] == []
    attempt = (await admin.get("auth/oidc/providers/company/attempts")).json["attempts"][0]
    assert (attempt["claims"], attempt["result"]) == ({"groups": ["nobody"]}, "oidc.no_organisation")

    assert await log_in(groups=["everybody"]) == [("default", "viewer")]
    assert (await admin.request("DELETE", "auth/oidc/providers/company")).status == 204
    assert (await browser.get("auth/me")).status == 401


@pytest.mark.holds("SAFETY-109")
async def test_t34_a_provider_that_lost_its_last_row_keeps_no_membership(hub: TestHub, issuer: Issuer) -> None:
    admin = await a_provider(hub, issuer, create_accounts=True, groups=[a_row("ops", "operator")])
    issuer.claims = {"preferred_username": "ada", "groups": ["ops"]}
    assert (await come_back(hub.anonymous(), issuer)).status == 200
    version = (await admin.get("auth/oidc/providers/company")).json["version"]
    assert (
        await admin.request("PATCH", "auth/oidc/providers/company", {"version": version, "create_accounts": False, "groups": []})
    ).status == 200
    assert (await come_back(hub.anonymous(), issuer)).code == "oidc.no_organisation"


@pytest.mark.holds("SAFETY-108", "SAFETY-109", "S-67")
async def test_t34_rows_follow_a_renamed_organisation_and_go_with_a_deleted_one(hub: TestHub, issuer: Issuer) -> None:
    """Otherwise the next organisation with the short name would get the members of the one before."""
    admin = await hub.logged_in("admin")
    assert (await admin.post("organisations", {"slug": "blue", "name": "Blue"})).status == 201
    await a_provider(hub, issuer, create_accounts=True, groups=[a_row("ops", "operator", "blue")])
    assert (await admin.request("PATCH", "organisations/blue", {"version": 0, "slug": "azure"})).status == 200
    assert (await admin.post("organisations", {"slug": "blue", "name": "Another Blue"})).status == 201
    issuer.claims = {"preferred_username": "ada", "groups": ["ops"]}
    browser = hub.anonymous()
    assert (await come_back(browser, issuer)).status == 200
    assert [one["slug"] for one in (await browser.get("auth/me")).json["organisations"]] == ["azure"]
    assert (await admin.request("DELETE", "organisations/azure", {"typed": "azure"})).status == 204
    assert (await admin.post("organisations", {"slug": "azure", "name": "Another Azure"})).status == 201
    provider = (await admin.get("auth/oidc/providers/company")).json
    assert (provider["groups"], provider["create_accounts"]) == ([], False)
    assert (await come_back(hub.anonymous(), issuer)).code == "oidc.unknown_account"


@pytest.mark.holds("SAFETY-108", "SAFETY-109")
async def test_t34_a_provider_is_of_the_hub_in_whichever_organisation_its_admin_works(hub: TestHub, issuer: Issuer) -> None:
    """No organisation's log tells of it, none takes its secret along, and its end ends memberships in each."""
    admin = await hub.logged_in("admin")
    for slug, first in (("blue", admin.user.username), ("red", None)):
        assert (await admin.post("organisations", {"slug": slug, "name": slug, "first_admin": first})).status == 201
    blue, red = ({"Stardust-Organisation": slug} for slug in ("blue", "red"))
    body: dict[str, Any] = {"name": "company", "title": "Company", "issuer": issuer.url, "client_id": CLIENT, "client_secret": SECRET}
    body |= {"create_accounts": True, "groups": [a_row("ops", "operator", "red")]}
    assert (await admin.request("POST", "auth/oidc/providers", body, headers=blue)).status == 201
    changed = await admin.request("PATCH", "auth/oidc/providers/company", {"version": 1, "title": "Ours"}, headers=blue)
    assert changed.status == 200
    assert (await admin.get("auth/oidc/providers")).status == 200  # a member of two names none
    logs = [await admin.request("GET", "audit?limit=200", headers={"Stardust-Organisation": slug}) for slug in ("default", "blue")]
    assert not any(row["action"].startswith("oidc_provider.") for log in logs for row in log.json["audit"])

    assert (await admin.request("DELETE", "organisations/blue", {"typed": "blue"})).status == 204
    issuer.claims = {"preferred_username": "ada", "groups": ["ops"]}
    browser = hub.anonymous()
    assert (await come_back(browser, issuer)).status == 200
    assert (await browser.request("GET", "nodes", headers=red)).status == 200
    assert (await admin.request("DELETE", "auth/oidc/providers/company")).status == 204
    assert (await browser.request("GET", "nodes", headers=red)).status == 401
    assert [row["members"] for row in (await admin.get("organisations")).json["organisations"] if row["slug"] == "red"] == [0]
    told = {row["action"] for row in (await admin.get("instance-audit")).json["audit"]}
    assert {"oidc_provider.create", "oidc_provider.edit", "oidc_provider.delete"} <= told


@pytest.mark.holds("SAFETY-108")
async def test_a_change_of_the_hub_is_logged_where_its_admins_read_it(hub: TestHub, issuer: Issuer) -> None:
    """With one organisation, in the log of that one, since nothing shows the hub's own."""
    admin = await a_provider(hub, issuer)

    async def actions(path: str) -> list[str]:
        rows: list[dict[str, Any]] = (await admin.get(f"{path}?limit=200")).json["audit"]
        return [row["action"] for row in rows if row["action"] in ("oidc_provider.create", "settings.edit")]

    assert (await admin.request("PATCH", "settings", {"retention": {"minutes_s": 100_000}})).status == 200
    assert await actions("audit") == ["settings.edit", "oidc_provider.create"]
    await hub.second()
    assert (await admin.request("PATCH", "settings", {"retention": {"minutes_s": 100_001}})).status == 200
    assert (len(await actions("audit")), await actions("instance-audit")) == (2, ["settings.edit"])


@pytest.mark.holds("SAFETY-109")
async def test_a_member_of_two_organisations_links_an_account_and_names_none(hub: TestHub, issuer: Issuer) -> None:
    admin = await a_provider(hub, issuer)
    await hub.join(admin.user, await hub.second(), "viewer")
    await linked(hub, issuer, admin)
    assert len((await admin.get("auth/oidc/links")).json["links"]) == 1


@pytest.mark.holds("SAFETY-109", "S-64")
async def test_t34_a_name_at_the_provider_takes_no_offer_of_somebody_else(hub: TestHub, issuer: Issuer) -> None:
    await hub.second()
    admin = await a_provider(hub, issuer, create_accounts=True, groups=[a_row("ops", "viewer", "second")])
    assert (await admin.post("members", {"username": "eve", "role": "admin"})).status == 204
    issuer.claims = {"preferred_username": "Eve", "groups": ["ops"]}
    browser = hub.anonymous()
    assert (await come_back(browser, issuer)).status == 200
    assert (await browser.get("auth/me")).json["user"]["username"] == "Eve-2"
    assert (await browser.get("auth/offers")).json["offers"] == []


@pytest.mark.holds("SAFETY-109")
async def test_t34_a_provider_changes_no_membership_but_its_own(hub: TestHub, issuer: Issuer) -> None:
    """So it cannot lock the local admin out."""
    admin = await a_provider(hub, issuer, groups=[a_row("everybody", "viewer")])
    await linked(hub, issuer, admin)
    for groups in (["everybody"], []):
        issuer.claims = {"groups": groups}
        browser = hub.anonymous()
        assert (await come_back(browser, issuer)).status == 200
        assert [(one["slug"], one["role"]) for one in (await browser.get("auth/me")).json["organisations"]] == [("default", "admin")]


@pytest.mark.holds("SAFETY-109", "S-65")
async def test_t34_the_rights_of_a_group_count_only_in_sessions_through_the_provider(hub: TestHub, issuer: Issuer) -> None:
    """A log-in with a password reads no groups, so a user who left the group would keep its rights."""
    await hub.second()
    await a_provider(hub, issuer, groups=[a_row("ops", "operator", "second")])
    ada = await somebody(hub, "viewer", "ada")
    await linked(hub, issuer, await ada.log_in())
    issuer.claims = {"groups": ["ops"]}
    through = hub.anonymous()
    through.csrf = (await come_back(through, issuer)).json["login"]["csrf_token"]
    assert [one["slug"] for one in (await through.get("auth/me")).json["organisations"]] == ["default", "second"]
    with_password = await ada.log_in()
    assert [one["slug"] for one in (await with_password.get("auth/me")).json["organisations"]] == ["default"]
    there = {"Stardust-Organisation": "second"}
    assert (await with_password.request("GET", "nodes", headers=there)).code == "organisation.unknown"
    long = await through.request("POST", "tokens", {"name": "long", "days": 31}, headers=there)
    assert (long.status, long.json["facts"]) == (400, {"field": "days"})
    assert (await through.request("POST", "tokens", {"name": "short", "days": 30}, headers=there)).status == 201
    assert (
        await through.request("POST", "tokens", {"name": "own", "days": 365}, headers={**there, "Stardust-Organisation": "default"})
    ).status == 201


@pytest.mark.holds("SAFETY-109", "S-65")
async def test_t34_a_removed_link_takes_its_memberships_and_other_sessions_with_it(hub: TestHub, issuer: Issuer) -> None:
    await hub.second()
    await a_provider(hub, issuer, groups=[a_row("ops", "operator", "second")])
    ada = await somebody(hub, "viewer", "ada")
    own = await linked(hub, issuer, await ada.log_in())
    issuer.claims = {"groups": ["ops"]}
    through = hub.anonymous()
    assert (await come_back(through, issuer)).status == 200
    [link] = (await own.get("auth/oidc/links")).json["links"]
    assert (await own.request("DELETE", f"auth/oidc/links/{link['id']}")).status == 204
    assert (await through.get("auth/me")).status == 401
    assert (await own.get("auth/me")).status == 200
    assert [one.user.username for one in (await hub.store.user_admin.users(hub_scope(2), 100)).items if one.user.username == "ada"] == []


@pytest.mark.holds("SAFETY-109", "S-63")
async def test_t33_nobody_ends_the_open_log_in_of_somebody_else(hub: TestHub, issuer: Issuer) -> None:
    await a_provider(hub, issuer)
    flows = Flows(hub.clock)
    first, binder = flows.begin("p", 1, "login", "/", "here")
    for _ in range(MOST_OF_ADDRESS - 1):
        flows.begin("p", 1, "login", "/", "here")
    with pytest.raises(TooManyRequests):
        flows.begin("p", 1, "login", "/", "here")
    for number in range(MOST_OF_USER):
        flows.begin("p", 1, "link", "/", f"there-{number}", SessionId("s"), UserId("u"))
    with pytest.raises(TooManyRequests):
        flows.begin("p", 1, "link", "/", "elsewhere", SessionId("s"), UserId("u"))
    flows.begin("p", 1, "login", "/", "elsewhere")
    assert flows.take(first.state, binder) == first
    for _ in range(MOST_OF_ADDRESS):
        last = await hub.anonymous().post("auth/oidc/company/start", {"purpose": "login", "return_to": "/"})
        assert last.status == 200, last.body
    refused = await hub.anonymous().post("auth/oidc/company/start", {"purpose": "login", "return_to": "/"})
    assert (refused.status, refused.code) == (429, "request.too_many")


@pytest.mark.holds("SAFETY-109", "S-64")
async def test_t34_an_offer_to_a_verified_address_at_a_provider_lets_its_user_in_once(hub: TestHub, issuer: Issuer) -> None:
    issuer.userinfo = {"sub": "user-1"}
    admin = await a_provider(hub, issuer, scopes=["openid", "profile", "email"])
    body = {"username": "Ada@example.com", "provider": "company", "role": "operator"}
    for bad, field in (({"provider": "other"}, "provider"), ({"username": "ada"}, "username")):
        refused = await admin.post("members", {**body, **bad})
        assert (refused.status, refused.json["facts"]) == (400, {"field": field})
    assert (await admin.post("members", {**body, "username": "later@example.com"})).status == 204
    assert (await admin.post("members", body)).status == 204
    offer = (await admin.get("members")).json["offers"][0]
    assert (offer["username"], offer["issuer"]) == ("Ada@example.com", issuer.url)

    known = await somebody(hub, "viewer", "ada@example.com")  # a user name that looks like it is somebody else
    assert (await (await known.log_in()).get("auth/offers")).json["offers"] == []
    for claims in (
        {"email": "ada@example.com"}, {"email": "ada@example.com", "email_verified": "true"}, {"email": "eve@example.com", "email_verified": True},
    ):  # fmt: skip
        issuer.claims = claims
        assert (await come_back(hub.anonymous(), issuer)).code == "oidc.unknown_account"

    issuer.claims, issuer.userinfo = {"preferred_username": "ada"}, {"sub": "user-1", "email": "ada@example.com", "email_verified": True}
    browser = hub.anonymous()
    entered = await come_back(browser, issuer)
    assert entered.status == 200, entered.body
    browser.csrf = entered.json["login"]["csrf_token"]
    assert (await browser.get("auth/me")).json["organisations"] == []  # the user still accepts
    assert [one["slug"] for one in (await browser.get("auth/offers")).json["offers"]] == ["default"]
    assert (await browser.post("auth/offers", {"organisation": "default", "accept": True})).status == 204
    assert [(one["slug"], one["role"]) for one in (await browser.get("auth/me")).json["organisations"]] == [("default", "operator")]
    issuer.subject = issuer.userinfo["sub"] = "user-2"  # another account with the address, which was used up
    assert (await come_back(hub.anonymous(), issuer)).code == "oidc.unknown_account"
    [left] = (await admin.get("members")).json["offers"]
    path = f"members/{left['username']}"
    assert (await admin.request("DELETE", path)).status == 404
    assert (await admin.request("DELETE", path, params={"issuer": issuer.url})).status == 204
    assert (await admin.get("members")).json["offers"] == []


async def test_missing_claims_are_read_from_the_user_information_of_the_same_user(hub: TestHub, issuer: Issuer) -> None:
    await a_provider(hub, issuer, create_accounts=True, groups=[a_row("ops", claim="realm_access.roles")])
    issuer.userinfo = {"sub": "somebody else", "realm_access": {"roles": ["ops"]}}
    assert (await come_back(hub.anonymous(), issuer)).code == "oidc.refused"
    issuer.userinfo["sub"] = "user-1"
    assert (await come_back(hub.anonymous(), issuer)).status == 200
    issuer.claims = {"at_hash": "that of another token"}
    assert (await come_back(hub.anonymous(), issuer)).code == "oidc.refused"


@pytest.mark.holds("SAFETY-109")
async def test_an_organisation_may_allow_log_ins_through_providers_only_but_for_one_admin(hub: TestHub, issuer: Issuer) -> None:
    boss, ada = await somebody(hub, "admin", "boss"), await somebody(hub, "viewer", "ada")
    admin, viewer = await boss.log_in(), await ada.log_in()
    assert (await admin.request("PATCH", "auth/oidc/rule", {"sso_only": True})).code == "request.invalid"  # there is no provider
    await a_provider(hub, issuer)
    await linked(hub, issuer, viewer)
    assert (await admin.request("PATCH", "auth/oidc/rule", {"sso_only": True, "local_admin": "ada"})).code == "conflict"

    on = await admin.request("PATCH", "auth/oidc/rule", {"sso_only": True})

    assert on.json == {"sso_only": True, "local_admin": "boss"}
    assert (await viewer.get("auth/me")).status == 401
    assert (await ada.try_to_log_in()).code == "auth.sso_required"
    assert (await ada.try_to_log_in(password="a wrong password")).code == "auth.bad_credentials"
    assert (await come_back(hub.anonymous(), issuer)).status == 200
    assert (await boss.try_to_log_in()).status == 200
    refused = await admin.request("PATCH", "users/boss", {"disabled": True})
    assert refused.status == 409, refused.body

    second = await somebody(hub, "admin", "second")
    assert (await second.try_to_log_in()).code == "auth.sso_required"
    assert second.username == "second"
    user = some(await hub.store.users.user_by_name("second"))
    await hub.store.oidc.keep_local_admin(ADMIN, user.id)  # what `stardust user reset` does on the hub's machine
    assert (await second.try_to_log_in()).status == 200
    assert (await boss.try_to_log_in()).code == "auth.sso_required"
    await hub.second()  # another organisation that refuses passwords does not lock the kept admin out
    await hub.sql("UPDATE organisation SET sso_only = 1 WHERE slug = 'second'")
    await hub.join(user, 2, "viewer")
    assert (await second.try_to_log_in()).status == 200
    await hub.sql("DELETE FROM membership WHERE org = 2")
    back = await (await second.log_in()).request("PATCH", "auth/oidc/rule", {"sso_only": False})
    assert back.json == {"sso_only": False, "local_admin": ""}
    assert (await ada.try_to_log_in()).status == 200
