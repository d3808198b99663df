"""Bad input to organisations, members, single sign-on and passkeys: each refusal is a problem+json with a stable code, and changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import pytest

from groundcontrol.access.oidc.api import OIDC_ROUTES
from groundcontrol.access.slice import ROUTES as ACCESS_ROUTES
from groundcontrol.core.errors import HubError
from groundcontrol.instance.slice import ROUTES as INSTANCE_ROUTES
from tests.support.inprocess_hub import Answer, Client, TestHub
from tests.support.oidc_issuer import CLIENT, SECRET, Issuer, an_issuer
from tests.support.web_users import somebody, with_second_factor

HEADER: Final = "Stardust-Organisation"
PROVIDERS: Final = "auth/oidc/providers"
GLASS: Final = "organisations/second/break-glass"
ABSENT: Final = "0" * 26


class World(NamedTuple):
    """A hub with two organisations and a provider whose group `ops` gives a right in the first one."""

    hub: TestHub
    issuer: Issuer
    boss: Client
    """Admin of the hub and of the first organisation."""
    other: Client
    """Admin of the second organisation, and no more."""
    both: Client
    """Viewer of both."""

    async def via(self, purpose: str = "login", client: Client | None = None, changed: Mapping[str, str] | None = None) -> Answer:
        """To the provider and back."""
        browser = client or self.hub.anonymous()
        begun = await browser.post("auth/oidc/company/start", {"purpose": purpose})
        assert begun.status == 200, begun.body
        return await browser.post("auth/oidc/finish", {**self.issuer.authorise(begun.json["location"]), **(changed or {})})


@pytest.fixture
async def world(hub: TestHub) -> AsyncIterator[World]:
    async with an_issuer() as issuer:
        issuer.now = hub.clock.now
        boss, other, both = await hub.logged_in("admin"), await hub.logged_in("admin"), await hub.logged_in("viewer")
        await hub.move(other.user)
        await hub.join(both.user, 2, "viewer")
        provider = {
            "name": "company", "title": "Company", "issuer": issuer.url, "client_id": CLIENT, "client_secret": SECRET, "create_accounts": True,
            "groups": [{"claim": "groups", "value": "ops", "organisation": "default", "role": "viewer"}],
        }  # fmt: skip
        assert (await boss.post(PROVIDERS, provider)).status == 201
        yield World(hub, issuer, boss, other, both)


Case = Callable[[World], Awaitable[Answer]]


def ask(who: str, method: str, path: str, body: object = None, **more: Any) -> Case:
    async def case(world: World) -> Answer:
        answer: Answer = await getattr(world, who).request(method, filled(path, world), filled(body, world), **more)
        return answer

    return case


def log_in(purpose: str = "login", claims: dict[str, Any] | None = None, **changed: str) -> Case:
    async def case(world: World) -> Answer:
        world.issuer.claims = claims or {}
        return await world.via(purpose, changed=changed)

    return case


async def suspended(world: World) -> Answer:
    await world.hub.sql("UPDATE organisation SET state = 'suspended' WHERE no = 2")
    return await world.other.get("nodes")


async def with_nodes(world: World) -> Answer:
    node = await world.hub.node()
    await world.hub.sql("UPDATE node SET org = 2 WHERE id = ?", node.id)
    return await world.boss.request("DELETE", "organisations/second", {"typed": "second"})


async def away(world: World) -> Answer:
    world.issuer.away = True
    return await world.hub.anonymous().post("auth/oidc/company/start", {})


async def another_name(world: World) -> Answer:
    world.issuer.description = {"issuer": world.issuer.url + "/"}
    return await world.boss.post(f"{PROVIDERS}/company/check")


async def twice(world: World) -> Answer:
    world.issuer.claims = {"groups": ["ops"]}
    assert (await world.via()).status == 200
    return await world.via("link", world.boss)


async def stranger(world: World) -> Answer:
    assert (await world.boss.request("PATCH", f"{PROVIDERS}/company", {"version": 1, "create_accounts": False})).status == 200
    world.issuer.claims = {"groups": ["ops"]}
    return await world.via()


async def without_code(world: World) -> Answer:
    _, ada = await with_second_factor(world.hub, "viewer")
    world.issuer.claims = {"groups": ["ops"]}
    assert (await world.via("link", ada)).status == 200
    return await world.via()


async def old_proof(world: World) -> Answer:
    world.hub.clock.shift += 400
    return await world.boss.post("organisations", {"slug": "third", "name": "Third"})


async def with_a_password(world: World) -> Answer:
    ada = await somebody(world.hub, "viewer", "ada")
    assert (await world.boss.request("PATCH", "auth/oidc/rule", {"sso_only": True})).status == 200
    return await ada.try_to_log_in()


def log_out(**headers: str) -> Case:
    sent = {"Origin": None, "Sec-Fetch-Site": None, "X-CSRF-Token": None, "Content-Type": "application/x-www-form-urlencoded", **headers}
    path = "auth/oidc/company/backchannel"
    return lambda world: world.hub.anonymous().request("POST", path, data=b"logout_token=a.b.c", headers=sent)


def of_provider(**changed: Any) -> Case:
    return lambda world: world.boss.request("PATCH", f"{PROVIDERS}/company", {"version": 1, **changed})


def from_elsewhere(path: str) -> Case:
    return ask("boss", "POST", path, {}, headers={"Origin": "https://evil.example"})


ROW: Final = {"claim": "groups", "value": "ops", "organisation": "default", "role": "viewer"}
REFUSALS: Final[dict[str, tuple[int, str, Case]]] = {
    "no organisation named": (400, "organisation.required", ask("both", "GET", "nodes")),
    "a live link without its organisation": (400, "organisation.required", ask("both", "GET", "live")),
    "a foreign organisation": (403, "organisation.unknown", ask("boss", "GET", "nodes", headers={HEADER: "second"})),
    "an absent organisation": (403, "organisation.unknown", ask("boss", "GET", "nodes", headers={HEADER: "third"})),
    "all organisations": (403, "organisation.unknown", ask("boss", "GET", "nodes", headers={HEADER: "*"})),
    "an empty organisation": (403, "organisation.unknown", ask("both", "GET", "nodes", headers={HEADER: ""})),
    "a live link to a foreign organisation": (403, "organisation.unknown", ask("boss", "GET", "live?organisation=second")),
    "the last admin leaves": (409, "organisation.last_admin", ask("other", "DELETE", "members/{other}")),
    "the last admin steps down": (409, "organisation.last_admin", ask("other", "PATCH", "members/{other}", {"role": "viewer"})),
    "the last admin of the hub": (409, "organisation.last_admin", ask("boss", "POST", "instance-admins", {"username": "{boss}", "admin": False})),
    "a deletion of the first": (409, "conflict", ask("boss", "DELETE", "organisations/default", {"typed": "default"})),
    "a deletion with another name": (400, "request.invalid", ask("boss", "DELETE", "organisations/second", {"typed": "Second"})),
    "a taken short name": (409, "conflict", ask("boss", "POST", "organisations", {"slug": "second", "name": "Again"})),
    "a short name that is a path": (400, "request.invalid", ask("boss", "POST", "organisations", {"slug": "../etc", "name": "x"})),
    "a name that cannot be seen": (400, "request.invalid", ask("boss", "POST", "organisations", {"slug": "ok", "name": "\u202e"})),
    "a negative quota": (400, "request.invalid", ask("boss", "POST", "organisations", {"slug": "ok", "name": "x", "node_quota": -1})),
    "a stale version": (409, "conflict", ask("boss", "PATCH", "organisations/second", {"version": 7, "name": "x"})),
    "an absent one is changed": (404, "not_found", ask("boss", "PATCH", "organisations/third", {"version": 0, "name": "x"})),
    "an absent one is suspended": (404, "not_found", ask("boss", "POST", "organisations/third/suspend")),
    "organisations for others": (403, "auth.forbidden", ask("other", "GET", "organisations")),
    "a look without a reason": (400, "request.invalid", ask("boss", "POST", GLASS, {"reason": " "})),
    "a look of a day": (400, "request.invalid", ask("boss", "POST", GLASS, {"reason": "x", "hours": 24})),
    "a look at one's own": (409, "conflict", ask("boss", "POST", "organisations/default/break-glass", {"reason": "x"})),
    "an admin of the hub by others": (403, "auth.forbidden", ask("other", "POST", "instance-admins", {"username": "{other}", "admin": True})),
    "an unknown admin of the hub": (404, "not_found", ask("boss", "POST", "instance-admins", {"username": "nobody", "admin": True})),
    "an offer to no name": (400, "request.invalid", ask("other", "POST", "members", {"username": "no name"})),
    "an admin with limits": (400, "request.invalid", ask("other", "POST", "members", {"username": "x", "role": "admin", "grants": {"tags": ["a"]}})),
    "an offer at an unknown provider": (400, "request.invalid", ask("other", "POST", "members", {"username": "a@b.c", "provider": "none"})),
    "an offer to a member": (409, "conflict", ask("other", "POST", "members", {"username": "{both}"})),
    "a foreign member": (404, "not_found", ask("other", "PATCH", "members/{boss}", {"role": "viewer"})),
    "an absent member": (404, "not_found", ask("other", "PATCH", "members/nobody", {"role": "viewer"})),
    "an account of several": (409, "conflict", ask("other", "POST", "users/{both}/password")),
    "an account by others": (403, "auth.forbidden", ask("other", "POST", "users", {"username": "new", "role": "viewer"})),
    "no such offer": (404, "not_found", ask("both", "POST", "auth/offers", {"organisation": "default-2", "accept": True}, headers={HEADER: "second"})),
    "members for others": (403, "auth.forbidden", ask("both", "GET", "members", headers={HEADER: "second"})),
    "providers for an admin of an organisation": (403, "auth.forbidden", ask("other", "GET", PROVIDERS)),
    "rows by an admin of an organisation": (403, "auth.forbidden", ask("other", "PATCH", f"{PROVIDERS}/company", {"version": 1, "groups": [ROW]})),
    "a provider by an admin of an organisation": (
        403, "auth.forbidden", ask("other", "POST", PROVIDERS, {"name": "x", "title": "x", "issuer": "https://a.example", "client_id": "x"}),
    ),
    "attempts for an admin of an organisation": (403, "auth.forbidden", ask("other", "GET", f"{PROVIDERS}/company/attempts")),
    "an absent provider": (404, "not_found", ask("boss", "GET", f"{PROVIDERS}/none")),
    "a log-in at an absent provider": (404, "not_found", lambda world: world.hub.anonymous().post("auth/oidc/none/start", {})),
    "plain http": (400, "request.invalid", of_provider(issuer="http://sso.example")),
    "a CA that is none": (400, "request.invalid", of_provider(ca_pem="skip")),
    "a row without an organisation": (400, "request.invalid", of_provider(groups=[{**ROW, "organisation": "third"}])),
    "a row of every organisation": (400, "request.invalid", of_provider(groups=[{**ROW, "organisation": "*"}])),
    "scopes without openid": (400, "request.invalid", of_provider(scopes=["profile"])),
    "a stale provider": (409, "conflict", of_provider(version=9, title="x")),
    "an answer of another issuer": (502, "oidc.issuer_mismatch", log_in(iss="https://evil.example")),
    "an unknown state": (403, "oidc.flow_over", ask("boss", "POST", "auth/oidc/finish", {"state": "guessed", "code": "x"})),
    "a refusal there": (403, "oidc.refused", log_in(error="access_denied", code="")),
    "a token for another client": (403, "oidc.refused", log_in(claims={"aud": "another"})),
    "no groups": (403, "oidc.groups_missing", log_in()),
    "groups of another kind": (403, "oidc.groups_missing", log_in(claims={"groups": {"ops": True}})),
    "more groups than a token holds": (403, "oidc.groups_missing", log_in(claims={"groups": ["ops"], "_claim_names": {"groups": "x"}})),
    "no group that fits": (403, "oidc.no_organisation", log_in(claims={"groups": ["Ops", "ops "]})),
    "a code that is too long": (400, "request.invalid", log_in(code="x" * 5000)),
    "a link without a session": (401, "auth.required", lambda world: world.hub.anonymous().post("auth/oidc/company/start", {"purpose": "link"})),
    "an absent link": (404, "not_found", ask("boss", "DELETE", f"auth/oidc/links/{ABSENT}")),
    "a log-out without a form": (415, "request.unsupported_type", log_out(**{"Content-Type": "application/json"})),
    "a log-out that is forged": (400, "request.invalid", log_out()),
    "a local admin who is none": (409, "conflict", ask("boss", "PATCH", "auth/oidc/rule", {"sso_only": True, "local_admin": "{both}"})),
    "a local admin of elsewhere": (404, "not_found", ask("boss", "PATCH", "auth/oidc/rule", {"sso_only": True, "local_admin": "{other}"})),
    "another site": (403, "auth.cross_site", from_elsewhere("auth/oidc/company/start")),
    "an absent passkey": (404, "not_found", ask("boss", "DELETE", f"auth/passkeys/{ABSENT}")),
    "a passkey of nothing": (
        400, "request.invalid", ask("boss", "POST", "auth/passkeys", {"name": "x", "credential": "AA", "client_data": "e30", "attestation_object": "AA"}),
    ),
    "a passkey in the place of a password": (
        401, "auth.bad_credentials",
        ask("boss", "POST", "auth/step-up", {"password": "", "passkey": {"credential": "", "client_data": "", "authenticator_data": "", "signature": ""}}),
    ),
}  # fmt: skip
"""Name -> status, code, and the request. They leave the hub as it was."""
OF_A_STATE: Final[dict[str, tuple[int, str, Case]]] = {
    "a suspended organisation": (403, "organisation.suspended", suspended),
    "a deletion with nodes": (409, "organisation.has_nodes", with_nodes),
    "a provider that is away": (503, "oidc.unavailable", away),
    "another issuer": (502, "oidc.issuer_mismatch", another_name),
    "an account that nobody has": (403, "oidc.unknown_account", stranger),
    "an account of somebody else": (409, "oidc.linked_elsewhere", twice),
    "no second factor": (401, "auth.totp_required", without_code),
    "a password where only providers count": (403, "auth.sso_required", with_a_password),
    "a proof that is old": (403, "auth.step_up_required", old_proof),
}


def filled(value: Any, world: World) -> Any:
    """The value with the names of the users of this hub."""
    if isinstance(value, str):
        for who in ("boss", "other", "both"):
            value = value.replace(f"{{{who}}}", getattr(world, who).user.username)
        return value
    return {name: filled(one, world) for name, one in value.items()} if isinstance(value, dict) else value


def check(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json
    assert set(problem) == {"type", "title", "status", "detail", "code", "instance", "facts"}
    assert problem["type"] == f"urn:stardust:error:{code}"
    assert len(problem["detail"]) > 10, "a sentence that says what to do"


async def stored(world: World) -> list[Any]:
    """What the refused requests were about."""
    second = {"headers": {HEADER: "second"}}
    asked = [
        await world.boss.get("organisations"), await world.boss.get("instance-admins"), await world.boss.get("members"), await world.boss.get(PROVIDERS),
        await world.other.get("members", **second), await world.boss.get("auth/oidc/rule"), await world.boss.get("auth/passkeys"),
        await world.both.get("auth/offers", **second),
    ]  # fmt: skip
    assert all(answer.status == 200 for answer in asked), [answer.body for answer in asked]
    found: list[Any] = [answer.json for answer in asked]
    for one in found[0]["organisations"]:
        one["events"] = 0  # refusals are told
    return found


async def test_each_refusal_is_a_problem_with_a_stable_code_and_changes_nothing(world: World) -> None:
    before = await stored(world)
    for name, (status, code, case) in REFUSALS.items():
        try:
            check(await case(world), status, code)
        except AssertionError as exc:
            raise AssertionError(f"{name}: {exc}") from exc
    world.issuer.claims = {}
    assert await stored(world) == before


@pytest.mark.parametrize("name", OF_A_STATE)
async def test_a_refusal_that_depends_on_the_state_is_one_too(world: World, name: str) -> None:
    status, code, case = OF_A_STATE[name]
    check(await case(world), status, code)


async def test_a_body_of_another_form_is_refused_by_every_call(world: World) -> None:
    tried = 0
    for route in (*INSTANCE_ROUTES, *OIDC_ROUTES, *(one for one in ACCESS_ROUTES if "passkeys" in one.path)):
        if route.body is None:
            continue
        path = route.path.removeprefix("/").format(slug="second", username="nobody", provider="company", id=ABSENT)
        for body in (b"", b"no json", b"[]", b"null", b'{"no_such_field": 1}', b'{"a": NaN}', b"\xff"):
            answer = await world.boss.request(route.method, path, data=body, headers={"Content-Type": "application/json"})
            check(answer, 400, "request.invalid")
        check(
            await world.boss.request(route.method, path, data=b"{}", headers={"Content-Type": "text/plain"}),
            415,
            "request.unsupported_type",
        )
        tried += 1
    assert tried >= 14


async def test_a_foreign_name_and_an_absent_one_are_the_same_bytes(world: World) -> None:
    """For those who are no admin of the hub."""
    foreign = world.boss.user.username
    for method, path, body in (
        ("PATCH", "members/{}", {"role": "viewer"}), ("DELETE", "members/{}", None), ("PATCH", "users/{}", {"role": "viewer"}),
        ("POST", "users/{}/password", None), ("GET", "tokens?user={}", None), ("GET", "auth/sessions?user={}", None),
        ("POST", "members", {"username": "{}", "role": "viewer"}), ("POST", "users", {"username": "{}", "role": "viewer"}),
        ("PATCH", "auth/oidc/rule", {"sso_only": True, "local_admin": "{}"}),
        ("POST", "auth/offers", {"organisation": "default", "accept": True}),
    ):  # fmt: skip
        answers = []
        for name in (foreign, "nobody-here"):
            sent = None if body is None else {key: value.format(name) if isinstance(value, str) else value for key, value in body.items()}
            answer = await world.other.request(method, path.format(name), sent)
            answers.append((answer.status, answer.json | {"instance": ""} if answer.body else b""))
        assert answers[0] == answers[1], path
    for headers in ({HEADER: "default"}, {HEADER: "no-such"}):
        check(await world.other.get("nodes", headers=headers), 403, "organisation.unknown")


def test_every_code_of_single_sign_on_and_of_organisations_is_reached() -> None:
    """Of `organisation.quota` tests/e2e/test_org_command.py has the case: a node joins over the wire or the local socket."""
    reached = {code for _, code, _ in (*REFUSALS.values(), *OF_A_STATE.values())}
    known = {one.code for one in _errors(HubError) if one.code.startswith(("organisation.", "oidc."))}
    assert known - reached == {"organisation.quota"}


def _errors(kind: type[HubError]) -> set[type[HubError]]:
    return {one for each in kind.__subclasses__() for one in (each, *_errors(each))}
