"""A provider on loopback that answers as the test says, also what no certified provider would."""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import test_utils, web

from groundcontrol.access.oidc.flows import challenge_of
from groundcontrol.access.oidc.tokens import LOGOUT_EVENT
from tests.support.forged_id_tokens import KEY_SET, signed

CLIENT = "stardust"
SECRET = "a client secret that is sealed"
REDIRECT = "/oidc"


@dataclass
class Issuer:
    """Authorises everybody at once as `subject`."""

    server: test_utils.TestServer | None = None
    now: Callable[[], float] = time.time
    subject: str = "user-1"
    claims: dict[str, Any] = field(default_factory=dict)
    """Further claims of the ID token; None removes one."""
    userinfo: dict[str, Any] | None = None
    description: dict[str, Any] = field(default_factory=dict)
    """Changes of the description."""
    key_set: Any = field(default_factory=lambda: KEY_SET)
    token: str | None = None
    """Given instead of an ID token."""
    away: bool = False
    body: bytes | None = None
    """Given instead of any JSON."""
    redirect: bool = False
    checks_verifier: bool = True
    """Whether it checks PKCE, as a provider must."""
    spent_s: float = 0.0
    """How long its answers took together."""
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    forms: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"{self.server.scheme}://127.0.0.1:{self.server.port}"

    def authorise(self, location: str) -> dict[str, str]:
        """What the browser brings back after it was sent to `location`."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return {"state": asked["state"], "code": code, "iss": self.url}

    def id_token(self, nonce: str, **more: Any) -> str:
        now = int(self.now())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": self.subject,
            "nonce": nonce,
            "iat": now,
            "exp": now + 300,
            "sid": f"sid-{self.subject}",
        }
        return signed({name: value for name, value in {**claims, **self.claims, **more}.items() if value is not None})

    def logout_token(self, **more: Any) -> str:
        now = int(self.now())
        claims = {
            "iss": self.url, "aud": CLIENT, "sub": self.subject, "iat": now, "exp": now + 120, "jti": secrets.token_hex(8),
            "events": {LOGOUT_EVENT: {}},
        }  # fmt: skip
        return signed({name: value for name, value in {**claims, **more}.items() if value is not None})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        begun = time.perf_counter()
        try:
            return await self._answer(request)
        finally:
            self.spent_s += time.perf_counter() - begun

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.away:
            return web.Response(status=502, text="away")
        if self.redirect:
            return web.Response(status=302, headers={"Location": f"{self.url}/elsewhere"})
        if self.body is not None:
            return web.Response(body=self.body, content_type="application/json")
        match request.path:
            case "/.well-known/openid-configuration":
                found: dict[str, Any] = {
                    "issuer": self.url, "authorization_endpoint": f"{self.url}/auth", "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/keys", "end_session_endpoint": f"{self.url}/end",
                    "authorization_response_iss_parameter_supported": True,
                    **({"userinfo_endpoint": f"{self.url}/userinfo"} if self.userinfo is not None else {}),
                }  # fmt: skip
                return web.json_response({name: value for name, value in {**found, **self.description}.items() if value is not None})
            case "/keys":
                return web.json_response(self.key_set)
            case "/userinfo":
                return web.json_response(self.userinfo)
            case "/token":
                form = {name: str(value) for name, value in (await request.post()).items()}
                self.forms.append({**form, "authorization": request.headers.get("Authorization", "")})
                asked = self.codes.pop(form.get("code", ""), None)
                if asked is None:
                    return web.json_response({"error": "invalid_grant", "error_description": "no such code"}, status=400)
                if self.checks_verifier and challenge_of(form.get("code_verifier", "")) != asked["code_challenge"]:
                    return web.json_response({"error": "invalid_grant", "error_description": "code_verifier"}, status=400)
                token = self.token or self.id_token(asked["nonce"])
                return web.json_response({"id_token": token, "access_token": "an-access-token", "token_type": "Bearer"})
        return web.Response(status=404)


@asynccontextmanager
async def an_issuer(tls: ssl.SSLContext | None = None) -> AsyncIterator[Issuer]:
    issuer = Issuer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", issuer.handle)
    issuer.server = test_utils.TestServer(app, scheme="https" if tls else "http")
    await issuer.server.start_server(ssl=tls)
    try:
        yield issuer
    finally:
        await issuer.server.close()
