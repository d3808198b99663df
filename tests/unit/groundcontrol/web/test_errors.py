"""Errors as answers over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from groundcontrol.core import errors
from groundcontrol.core.errors import HubError
from groundcontrol.slices import SLICES
from groundcontrol.web.errors import from_http, live_error, problem_response

ROOT = Path(__file__).resolve().parents[4]


def every(kind: type[HubError] = HubError) -> Iterator[type[HubError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from every(below)


assert SLICES, "each slice is imported, with its errors"
OURS = sorted(
    {kind for kind in every() if kind.__module__.startswith("groundcontrol.") and ("code" in vars(kind) or HubError in kind.__bases__)},
    key=lambda kind: kind.__name__,
)
"""Without those that only the hub tells apart: they have the code of a kind below `HubError`, and callers see that kind."""


def test_every_code_is_unique_and_stable_in_form() -> None:
    codes = [kind.code for kind in OURS]

    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z_]+(\.[a-z_]+)?", code) for code in codes)


def test_the_page_knows_every_code() -> None:
    text = (ROOT / "capsule" / "src" / "wire" / "schema.gen.ts").read_text()

    assert all(f'"{kind.code}"' in text for kind in OURS)


@pytest.mark.holds("SAFETY-32")
@pytest.mark.parametrize("kind", OURS)
def test_the_answer_is_a_problem(kind: type[HubError]) -> None:
    response = problem_response(kind("web-3 is not connected", node="web-3"))
    body = json.loads(bytes(response.body))  # type: ignore[arg-type]  # it is bytes

    assert response.content_type == "application/problem+json"
    assert (body["status"], body["code"]) == (response.status, kind.code) == (kind.status, kind.code)
    assert body["type"] == f"urn:stardust:error:{kind.code}"
    if response.status == 500:
        assert "web-3" not in str(body)
    else:
        assert (body["detail"], body["facts"]) == ("web-3 is not connected", {"node": "web-3"})


def test_retry_after_is_sent_as_a_header() -> None:
    assert problem_response(errors.TooManyAttempts("wait", retry_after_s=42)).headers["Retry-After"] == "42"
    assert problem_response(errors.Unavailable("full")).headers["Retry-After"] == "2"
    assert "Retry-After" not in problem_response(errors.NotFound("gone")).headers


def test_the_live_socket_uses_the_same_error_codes() -> None:
    told = live_error(errors.NotFound("there is no node of this id"), "node:x")

    assert (told.code, told.message, told.topic) == ("not_found", "there is no node of this id", "node:x")
    assert "secret" not in live_error(HubError("secret")).message


@pytest.mark.parametrize("kind", [web.HTTPNotFound, web.HTTPBadRequest, web.HTTPExpectationFailed, web.HTTPGone])
def test_http_errors_of_the_library_become_errors_of_the_hub(kind: type[web.HTTPException]) -> None:
    assert type(from_http(kind())) in OURS


@pytest.mark.parametrize("kind", OURS)
def test_every_code_is_in_the_docs(kind: type[HubError]) -> None:
    meaning = (kind.__doc__ or "").strip().splitlines()[0]

    assert f"| `{kind.code}` | {kind.status} | {meaning} |" in (ROOT / "docs" / "errors.md").read_text()


def test_many_refused_requests_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    problem_response(errors.Unavailable("too many at once"))
    assert caplog.records == []
    problem_response(errors.StoreDown("the database does not answer"))
    assert [record.getMessage() for record in caplog.records] == ["request_failed"]
