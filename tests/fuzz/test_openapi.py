"""Requests generated from the hub's OpenAPI description, valid and nearly valid: no server error, and every response is described."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from groundcontrol.slices import ROUTES
from groundcontrol.web.openapi import document
from tests.support.hub import HubProcess
from tests.support.openapi import Description

DOCUMENT = document(ROUTES)
OPERATIONS = sorted((method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods)
NOT_HERE = {
    ("POST", "/api/v1/auth/logout"),
    ("POST", "/api/v1/auth/oidc/logout"),
    ("POST", "/api/v1/auth/password"),
    ("DELETE", "/api/v1/auth/sessions"),
    ("DELETE", "/api/v1/auth/sessions/{id}"),
    ("POST", "/api/v1/auth/totp/confirm"),
}
"""They end or change the log-in that asks."""
TEXTS = [
    "",
    "a",
    "web-1",
    "é\u202e\U0001f600",
    "\x00",
    "' OR 1=1 --",
    "../../etc/passwd",
    "x" * 5000,
    "null",
    "-1",
    "1e999",
    "{{7*7}}",
    "%00",
    "\ud7ff",
]
NUMBERS = [0, 1, -1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 0.5, -0.0, 1e308]
SEED = 20261120
ROUNDS = 4
SLOW_ROUNDS = 250


class Maker:
    """Values of a schema; sometimes an invalid one."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice

    def value(self, schema: dict[str, Any], name: str = "", depth: int = 0) -> Any:
        if name == "host":
            return self.dice.choice(["127.0.0.1", "127.0.0.1", "", "::1"])  # nothing else is ever called
        if self.dice.random() < 0.08:
            return self.dice.choice([None, True, [], {}, [[]], *TEXTS, *NUMBERS])
        if "$ref" in schema:
            return self.value(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], name, depth)
        if "anyOf" in schema:
            return self.value(self.dice.choice(schema["anyOf"]), name, depth)
        if "enum" in schema:
            return self.dice.choice(schema["enum"])
        if "const" in schema:
            return schema["const"]
        return self._typed(schema, depth)

    def _typed(self, schema: dict[str, Any], depth: int) -> Any:
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                count = self.dice.choice([0, 1, 1, 2, 5]) if depth < 4 else 0
                return [self.value(schema.get("items", {}), depth=depth + 1) for _ in range(count)]
            case "string":
                return self.dice.choice(TEXTS)
            case "integer":
                return self.dice.choice([number for number in NUMBERS if isinstance(number, int)])
            case "number":
                return self.dice.choice(NUMBERS)
            case "boolean":
                return self.dice.random() < 0.5
            case _:
                return None

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        made = {
            name: self.value(inner, name, depth + 1)
            for name, inner in properties.items()
            if self.dice.random() < (0.97 if name in required else 0.4)
        }
        if self.dice.random() < 0.05:
            made[self.dice.choice(TEXTS)] = self.dice.choice(TEXTS)
        return made


class Asker:
    """Sends requests to the hub as an admin who has just logged in."""

    def __init__(self, hub: HubProcess, dice: random.Random) -> None:
        self.hub = hub
        self.dice = dice
        self.maker = Maker(dice)
        self.description = Description(hub.request("GET", "/api/v1/openapi.json").json)
        self.token = hub.login().token
        self.ids = [hub.enrol("web-1", "web-2")[0].node_id, "0" * 26]
        job = hub.request("POST", f"/api/v1/nodes/{self.ids[0]}/jobs", {"action": "check"}, token=self.token)
        self.ids.append(job.json["id"])
        self.statuses: dict[int, int] = {}

    def ask(self, method: str, path: str) -> None:
        operation = DOCUMENT["paths"][path][method.lower()]
        address, query, headers = path, [], {}
        for parameter in operation.get("parameters", ()):
            value = self.maker.value(parameter["schema"])
            if parameter["in"] == "path":
                chosen = self.dice.choice(self.ids) if parameter["name"] == "id" and self.dice.random() < 0.8 else str(value) or "x"
                address = address.replace("{" + parameter["name"] + "}", quote(chosen[:500], safe=""))
            elif parameter["in"] == "query" and self.dice.random() < 0.6:
                query += [(parameter["name"], str(one)[:2000]) for one in (value if isinstance(value, list) else [value])]
            elif parameter["in"] == "header" and self.dice.random() < 0.5:
                headers[parameter["name"]] = "".join(char for char in str(value) if " " <= char <= "~")[:200]
        body = None
        if "requestBody" in operation:  # a call with a form gets JSON too, which it refuses
            [content] = operation["requestBody"]["content"].values()
            body = self.maker.value(content["schema"])
        full = address + ("?" + urlencode(query) if query else "")
        reply = self.hub.request(method, full, body, token=self.token, headers=headers)
        self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1
        told = f"{method} {full[:300]} {json.dumps(body)[:500]}"
        assert reply.status < 500 or reply.status == 503, f"{told}: {reply.status} {reply.body[:500]!r}"
        content_type = reply.headers.get("Content-Type", "").partition(";")[0]
        self.description.check(method, address, reply.status, content_type, reply.body)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with HubProcess(tmp_path / "hub") as process:
        yield process


def run(hub: HubProcess, rounds: int, seed: int) -> None:
    asker = Asker(hub, random.Random(seed))
    before = len(hub.events)
    for _ in range(rounds):
        for method, path in OPERATIONS:
            if (method, path) not in NOT_HERE:
                asker.ask(method, path)
    assert hub.request("GET", "/healthz").status == 200
    assert [event for event in hub.events[before:] if event["level"] in ("error", "critical")] == []
    assert {200, 400, 404} <= set(asker.statuses), f"the requests reach nothing: {asker.statuses}"


def test_answers_of_the_hub_match_the_openapi_description(hub: HubProcess) -> None:
    run(hub, ROUNDS, SEED)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_thousands_of_answers_match_the_openapi_description(hub: HubProcess) -> None:
    run(hub, SLOW_ROUNDS, random.randrange(1 << 32))


def test_the_list_of_omitted_operations_is_current() -> None:
    assert set(OPERATIONS) >= NOT_HERE
