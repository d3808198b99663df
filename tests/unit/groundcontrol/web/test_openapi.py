"""The OpenAPI description that the hub serves, and the validator of the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundcontrol.slices import ROUTES
from groundcontrol.web.openapi import document
from groundcontrol.web.routes import ROOT
from tests.support.inprocess_hub import TestHub
from tests.support.openapi import Description

CHECKOUT = Path(__file__).resolve().parents[4]


async def test_the_description_is_served_to_everybody(hub: TestHub) -> None:
    answer = await hub.anonymous().get("openapi.json")

    assert (answer.status, answer.json) == (200, document(ROUTES))
    assert answer.json["openapi"] == "3.1.0"


def test_every_route_is_described_once() -> None:
    described = {(method.upper(), path) for path, operations in document(ROUTES)["paths"].items() for method in operations}

    assert described == {(route.method, ROOT + route.path) for route in ROUTES} | {("GET", ROOT + "/openapi.json")}
    names = [operation["operationId"] for operations in document(ROUTES)["paths"].values() for operation in operations.values()]
    assert len(set(names)) == len(names)
    assert all(
        operation["summary"]
        for operations in document(ROUTES)["paths"].values()
        for operation in operations.values()
        if operation["operationId"] != "openapi"
    )


def test_every_reference_of_the_description_resolves() -> None:
    whole = document(ROUTES)
    schemas = whole["components"]["schemas"]

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                assert value["$ref"].rpartition("/")[2] in schemas
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(whole)


def test_the_validator_detects_errors() -> None:
    description = Description(document(ROUTES))
    user = description.document["components"]["schemas"]["UserView"]
    good = {"username": "a", "role": "admin", "must_change_password": False}

    description.validate(good, user, "user")
    wrongs: list[object] = [{**good, "role": "god"}, {**good, "more": 1}, {"username": "a"}, {**good, "must_change_password": 0}, []]
    for wrong in wrongs:
        with pytest.raises(AssertionError):
            description.validate(wrong, user, "user")
