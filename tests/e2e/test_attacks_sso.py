"""Attacks on single sign-on and on the wall between organisations, against a running hub and a provider that answers what the attacker wants."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.certified_provider import SECRET as CERTIFIED_SECRET
from tests.support.certified_provider import CertifiedProvider, running_provider
from tests.support.eventually import ask_until
from tests.support.forged_id_tokens import OTHER_EC, signed
from tests.support.hub import PASSWORD, HubProcess, Login, Reply
from tests.support.oidc_issuer import CLIENT, SECRET, Issuer, an_issuer
from tests.support.ports import free_port

ROOT = "/api/v1"
ROWS = [
    {"claim": "groups", "value": "ops", "organisation": "blue", "role": "operator"},
    {"claim": "groups", "value": "all", "organisation": "default", "role": "viewer"},
]


class Browser:
    """A browser at the hub's own address."""

    def __init__(self, hub: HubProcess, login: Login | None = None) -> None:
        self.hub = hub
        self.origin = str(hub.local("GET", f"{ROOT}/local/page").json["address"])
        self.cookies = dict(one.split("=", 1) for one in login.cookie.split("; ")) if login else {}
        self.csrf = login.csrf_token if login else ""

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        sent: Mapping[str, str] = {
            "Origin": self.origin, "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": self.csrf,
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }  # fmt: skip
        answer = await asyncio.to_thread(self.hub.request, method, f"{ROOT}/{path}", body, headers=sent)
        for header in answer.headers.get_all("Set-Cookie", []):
            name, _, value = header.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    async def start(self, purpose: str = "login", provider: str = "company") -> str:
        """Returns: the address at the provider."""
        begun = await self.ask("POST", f"auth/oidc/{provider}/start", {"purpose": purpose, "return_to": "/"})
        assert begun.status == 200, begun.body
        return str(begun.json["location"])

    async def leave(self, issuer: Issuer | CertifiedProvider, purpose: str = "login") -> dict[str, str]:
        """To the provider. Returns: what it sends back."""
        return await asyncio.to_thread(issuer.authorise, await self.start(purpose))

    async def finish(self, brought: Mapping[str, str]) -> Reply:
        return await self.ask("POST", "auth/oidc/finish", brought)

    async def through(self, issuer: Issuer | CertifiedProvider, purpose: str = "login", **changed: str) -> Reply:
        answer = await self.ask("POST", "auth/oidc/finish", {**await self.leave(issuer, purpose), **changed})
        if answer.status == 200 and answer.json["login"]:
            self.csrf = answer.json["login"]["csrf_token"]
        return answer

    async def organisations(self) -> list[str]:
        return sorted(one["slug"] for one in (await self.ask("GET", "auth/me")).json["organisations"])


def code_of(answer: Reply) -> Any:
    return answer.json["code"] if answer.status >= 400 else answer.status


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with an_issuer() as made:
        yield made


@pytest.mark.holds("SAFETY-108", "SAFETY-109", "S-63", "S-64", "S-65", "S-66", "S-67", "S-68")
@pytest.mark.timeout(240)
async def test_t33_t34_attacks_on_single_sign_on_and_between_organisations(tmp_path: Path, issuer: Issuer) -> None:
    hub = HubProcess(tmp_path / "hub")
    await hub.start()
    try:
        boss = Browser(hub, await asyncio.to_thread(hub.login))
        assert (await boss.ask("POST", "organisations", {"slug": "blue", "name": "Blue", "first_admin": "eve"})).status == 201
        provider = {"name": "company", "title": "Company", "issuer": issuer.url, "client_id": CLIENT, "client_secret": SECRET}
        made = await boss.ask("POST", "auth/oidc/providers", {**provider, "create_accounts": True, "groups": ROWS})
        assert made.status == 201, made.body
        issuer.claims = {"preferred_username": "admin", "email": "admin@example.com", "email_verified": True, "groups": ["ops", "all"]}

        # the flow: another browser, twice, another issuer, a token of another key
        ada, thief = Browser(hub), Browser(hub)
        brought = await ada.leave(issuer)
        await thief.leave(issuer)
        assert code_of(await thief.ask("POST", "auth/oidc/finish", brought)) == "oidc.flow_over"
        assert (await ada.ask("POST", "auth/oidc/finish", brought)).status == 200
        assert code_of(await ada.ask("POST", "auth/oidc/finish", brought)) == "oidc.flow_over"
        assert code_of(await thief.through(issuer, iss="https://elsewhere.example")) == "oidc.issuer_mismatch"
        now = int(time.time())
        issuer.token = signed(
            {"iss": issuer.url, "aud": CLIENT, "sub": "user-1", "iat": now, "exp": now + 300, "nonce": "any", "groups": ["all"]},
            key=OTHER_EC,
        )
        assert code_of(await thief.through(issuer)) == "oidc.refused"
        issuer.token = None

        # the admin's name and address at the provider are another account
        assert (await ada.through(issuer)).status == 200
        assert (await ada.ask("GET", "auth/me")).json["user"]["username"] == "admin-2"
        assert await ada.organisations() == ["blue", "default"]

        # out of the group: gone at the next log-in, and never there after a log-in with a password
        assert (await boss.through(issuer, "link")).status == 409, "the account of the provider belongs to admin-2"
        issuer.subject = "user-2"
        assert (await boss.through(issuer, "link")).status == 200
        through = Browser(hub)
        assert (await through.through(issuer)).status == 200
        assert await through.organisations() == ["blue", "default"]
        assert await Browser(hub, await asyncio.to_thread(hub.login)).organisations() == ["default"]
        issuer.claims |= {"groups": ["all"]}
        assert (await through.through(issuer)).status == 200
        assert await through.organisations() == ["default"]

        # an old proof, and one of just before
        for age_s in (500, 30):
            issuer.claims |= {"auth_time": int(time.time()) - age_s}
            assert code_of(await through.through(issuer, "step_up")) == "oidc.refused"

        # break-glass is told, and gives no more than a look
        glass = await boss.ask("POST", "organisations/blue/break-glass", {"reason": "a call", "hours": 4.1})
        assert code_of(glass) == "request.invalid"
        assert (await boss.ask("POST", "organisations/blue/break-glass", {"reason": "a call", "hours": 1})).status == 200
        assert (
            code_of(await boss.ask("POST", "tokens", {"name": "stays", "role": "admin"}, stardust_organisation="blue")) == "auth.forbidden"
        )
        told = await asyncio.to_thread(hub.local, "GET", f"{ROOT}/events?type=break_glass", None, {"Stardust-Organisation": "blue"})
        assert [one["type"] for one in told.json["events"]] == ["break_glass"]

        # a new organisation with the name of a deleted one gets no member of it
        assert (await boss.ask("DELETE", "organisations/blue", {"typed": "blue"})).status == 204
        assert (await boss.ask("POST", "organisations", {"slug": "blue", "name": "Another Blue"})).status == 201
        issuer.subject = "user-1"
        issuer.claims = {"groups": ["ops", "all"]}
        assert (await thief.through(issuer)).status == 200
        assert await thief.organisations() == ["default"]
        assert PASSWORD not in hub.output
        assert SECRET not in hub.output
    finally:
        await asyncio.to_thread(hub.close)


@pytest.mark.holds("SAFETY-109", "S-63", "S-66")
@pytest.mark.timeout(240)
@pytest.mark.slow  # the test below attacks the same flow with a provider of its own
async def test_t33_attacks_on_a_flow_through_a_certified_provider(tmp_path: Path) -> None:
    """The provider starts after the hub, and signs with each algorithm."""
    hub = HubProcess(tmp_path / "hub")
    await hub.start()
    port = free_port()
    settings = {"title": "Company", "issuer": f"http://127.0.0.1:{port}", "client_secret": CERTIFIED_SECRET, "scopes": ["openid", "groups"]}
    row = {"claim": "groups", "value": "ops", "organisation": "default", "role": "viewer"}
    try:
        boss, ada, thief = Browser(hub, await asyncio.to_thread(hub.login)), Browser(hub), Browser(hub)

        async def add(name: str, client: str) -> None:
            body = {**settings, "name": name, "client_id": client, "create_accounts": True, "groups": [row]}
            made = await boss.ask("POST", "auth/oidc/providers", body)
            assert made.status == 201, made.body

        async def button() -> Any:
            return (await ada.ask("GET", "auth/oidc")).json["providers"][0]["away"]

        await add("company", CLIENT)
        assert not await button()
        assert code_of(await ada.ask("POST", "auth/oidc/company/start", {})) == "oidc.unavailable"
        assert await button()
        others = ("RS256", "PS256", "EdDSA")
        with running_provider(hub, tmp_path, port=port, algorithms=others) as provider:
            assert provider.issuer == settings["issuer"]

            async def starts() -> bool:
                return (await ada.ask("POST", "auth/oidc/company/start", {})).status == 200

            await ask_until(starts, what="the hub did not ask the provider again", poll_s=1.0)
            assert not await button()
            provider.set_user("ada-1", "ada", ["ops"])

            brought = await ada.leave(provider)
            await thief.leave(provider)
            assert code_of(await thief.finish(brought)) == "oidc.flow_over"  # another browser
            assert (await ada.finish(brought)).status == 200
            assert code_of(await ada.finish(brought)) == "oidc.flow_over"  # twice
            assert code_of(await ada.through(provider, iss="https://elsewhere.example")) == "oidc.issuer_mismatch"
            stolen = await ada.leave(provider)
            refused = await thief.finish({**await thief.leave(provider), "code": stolen["code"]})
            assert (refused.json["code"], "invalid_grant" in refused.json["detail"]) == (
                "oidc.refused",
                True,
            )  # the verifier of another flow
            for name, reason in (("nonce", "nonce"), ("code_challenge", "invalid_grant")):
                location = re.sub(rf"([?&]{name}=)[^&]+", rf"\g<1>{'x' * 43}", await ada.start())
                refused = await ada.finish(await asyncio.to_thread(provider.authorise, location))
                assert (refused.json["code"], reason in refused.json["detail"]) == ("oidc.refused", True), refused.body

            for name in others:
                await add(name.lower(), f"{CLIENT}-{name}")
                provider.set_user(name, name, ["ops"])
                location = await ada.start(provider=name.lower())
                done = await ada.finish(await asyncio.to_thread(provider.authorise, location, name))
                assert done.status == 200, (name, done.body)

            provider.set_user("ada-1", "ada", [])
            assert code_of(await ada.through(provider)) == "oidc.no_organisation"
            assert (await boss.through(provider, "link")).status == 409  # it belongs to ada
            for path in ("links", "providers/company/attempts"):
                assert (await boss.ask("GET", f"auth/oidc/{path}")).status == 200
            version = (await boss.ask("GET", "auth/oidc/providers/company")).json["version"]
            assert (await boss.ask("PATCH", "auth/oidc/providers/company", {"version": version, "client_secret": "wrong"})).status == 200
            refused = await ada.through(provider)
            assert (refused.json["code"], "invalid_client" in refused.json["detail"]) == ("oidc.refused", True)
        assert CERTIFIED_SECRET not in hub.output
    finally:
        await asyncio.to_thread(hub.close)
