"""Requests from another site in the same browser have no effect."""

from __future__ import annotations

import pytest

from groundcontrol.slices import ROUTES
from groundcontrol.web.routes import ROOT
from tests.support.inprocess_hub import ORIGIN, TestHub
from tests.support.route_matrix import address, name

UNSAFE = [route for route in ROUTES if route.method != "GET" and route.action is not None]
FOREIGN: dict[str, dict[str, str | None]] = {
    "a foreign origin": {"Origin": "https://evil.example", "Sec-Fetch-Site": None},
    "a foreign origin that claims to be the same": {"Origin": "https://evil.example"},
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "a sibling": {"Origin": "https://other.example", "Sec-Fetch-Site": "same-site"},
    "typed by hand": {"Sec-Fetch-Site": "none"},
    "no origin at all": {"Origin": None, "Sec-Fetch-Site": None},
    "a hidden origin": {"Origin": "null", "Sec-Fetch-Site": None},
    "plain http": {"Origin": "http://hub.example", "Sec-Fetch-Site": None},
    "no token": {"X-CSRF-Token": None},
    "a wrong token": {"X-CSRF-Token": "x" * 43},
    "an empty token": {"X-CSRF-Token": ""},
}


@pytest.mark.holds("SAFETY-24", "S-12")
async def test_no_unsafe_request_is_accepted_from_another_site(hub: TestHub) -> None:
    """Every route with one kind of foreign request, and every kind on some routes."""
    admin = await hub.logged_in()
    kinds = list(FOREIGN.items())
    for number, route in enumerate(UNSAFE):
        for kind, headers in kinds if number % 20 == 0 else [kinds[number % len(kinds)]]:
            answer = await admin.request(route.method, address(route), {}, headers=headers)
            assert (answer.status, answer.code) == (403, "auth.cross_site"), (name(route), kind)
    assert (await admin.get("auth/me")).status == 200


@pytest.mark.holds("SAFETY-24")
async def test_a_csrf_token_of_another_session_is_refused(hub: TestHub) -> None:
    admin, other = await hub.logged_in(), await hub.logged_in()

    answer = await admin.post("auth/logout", headers={"X-CSRF-Token": other.csrf})

    assert (answer.status, answer.code) == (403, "auth.cross_site")


async def test_requests_of_the_page_itself_are_accepted(hub: TestHub) -> None:
    for headers in [{"Origin": ORIGIN, "Sec-Fetch-Site": None}, {"Origin": None, "Sec-Fetch-Site": "same-origin"}, {}]:
        assert (await (await hub.logged_in()).post("auth/logout", headers=headers)).status == 204, headers


async def test_an_api_token_needs_no_csrf_token(hub: TestHub) -> None:
    program = await hub.logged_in(cookie=False)

    assert (await program.post("auth/logout")).status == 204


async def test_a_cookie_does_not_replace_a_wrong_token(hub: TestHub) -> None:
    admin = await hub.logged_in()

    answer = await admin.get("auth/me", headers={"Authorization": "Bearer nonsense"})

    assert (answer.status, answer.code) == (401, "auth.required")


async def test_a_form_is_not_json(hub: TestHub) -> None:
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonx"]:
        admin = await hub.logged_in()

        answer = await admin.post("auth/step-up", data=b'{"password": "x"}', headers={"Content-Type": content_type})

        assert (answer.status, answer.code) == (415, "request.unsupported_type"), content_type


@pytest.mark.holds("SAFETY-26")
async def test_no_answer_allows_other_origins(hub: TestHub) -> None:
    admin = await hub.logged_in()
    for method in ("GET", "OPTIONS", "POST"):
        answer = await admin.request(
            method, f"{ROOT}/nodes", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE"}
        )
        assert not [header for header in answer.headers if header.lower().startswith("access-control")]


async def test_logging_in_from_another_site_is_refused(hub: TestHub) -> None:
    stranger = hub.anonymous()

    answer = await stranger.post("auth/login", {"username": "a", "password": "b"}, headers={"Origin": "https://evil.example"})

    assert (answer.status, answer.code) == (403, "auth.cross_site")
    assert hub.auth.passwords.hashed == 0
