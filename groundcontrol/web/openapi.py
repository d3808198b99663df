"""The OpenAPI 3.1 description, made from the route table and the schema."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from groundcontrol.core.permissions import WITHOUT_ORGANISATION
from groundcontrol.web.answer import Problem
from groundcontrol.web.errors import PROBLEM_TYPE
from groundcontrol.web.routes import ROOT, Parameter, Route
from spider.version import VERSION

_REF: Final = "#/components/schemas/{name}"
_USERNAME: Final = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$"}
_PROVIDER: Final = {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,31}$"}
_SLUG: Final = {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,38}[a-z0-9]$"}
_ID: Final = {"type": "string", "pattern": "^[0-7][0-9a-hjkmnp-tv-z]{25}$"}


@functools.cache
def encode(routes: tuple[Route, ...]) -> bytes:
    """The description of these calls as JSON, made once for each process."""
    return msgspec.json.encode(document(routes))


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The description as a dictionary. Tests compare every answer with it."""
    kinds = {kind for route in routes for kind in (route.answer, route.body) if kind is not None} | {Problem}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    references, components = msgspec.json.schema_components(ordered, schema_hook=_any, ref_template=_REF)
    refs = dict(zip(ordered, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(ROOT + route.path, {})[route.method.lower()] = _operation(route, refs)
    paths[ROOT + "/openapi.json"] = {
        "get": {
            "operationId": "openapi",
            "summary": "This description.",
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": {"type": "object"}}}}},
            "security": [],
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stardust", "version": VERSION, "description": "Ground Control's REST interface. Times are Unix seconds."},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The token of a log-in, or an API token (`sdp_…`)."},
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-stardust",
                    "description": "Set by a log-in; unsafe methods also need the session's X-CSRF-Token. Without TLS: stardust-plain- and an id of the hub.",
                },
            },
        },
    }


def _any(kind: type) -> dict[str, Any]:
    """The schema of the type `object`, which stands for any JSON value."""
    if kind is not object:
        raise NotImplementedError
    return {"description": "any JSON value"}


def _operation(route: Route, refs: dict[type[msgspec.Struct], dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {kind: {"schema": {}} for kind in route.answers}
    if route.answer is not None:
        content["application/json"] = {"schema": refs[route.answer]}
    done: dict[str, Any] = {"description": "Done"}
    if content and route.status != 204:
        done["content"] = content
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": (inspect.getdoc(route.handler) or "").partition("\n")[0],
        "parameters": [*_path_parameters(route.path), *(_query_parameter(parameter) for parameter in route.query)],
        "responses": {
            str(route.status): done,
            "default": {"description": "Refused or failed", "content": {PROBLEM_TYPE: {"schema": refs[Problem]}}},
        },
        "security": [] if route.action is None else [{"bearer": []}, {"cookie": []}],
    }
    if route.action is not None and route.action not in WITHOUT_ORGANISATION:
        operation["parameters"].append(
            {
                "name": "Stardust-Organisation",
                "in": "header",
                "required": False,
                "description": "The short name of the organisation. It is needed by a caller who belongs to several.",
                "schema": _SLUG,
            }
        )
    if route.keyed:
        operation["parameters"].append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Makes a repeat harmless.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 128},
            }
        )
    if route.body is not None:
        operation["requestBody"] = {"required": not route.optional_body, "content": {"application/json": {"schema": refs[route.body]}}}
    if route.form:
        fields = {field.name: {"type": field.kind, "description": field.about} for field in route.form}
        form = {"type": "object", "properties": fields, "required": [field.name for field in route.form if field.required]}
        operation["requestBody"] = {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form}}}
    if route.action is not None:
        operation["x-stardust-action"] = route.action
    return operation


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"username": _USERNAME, "provider": _PROVIDER, "slug": _SLUG}.get(name, _ID),
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.kind}
    if parameter.many:
        schema = {"type": "array", "items": schema}
    return {"name": parameter.name, "in": "query", "required": parameter.required, "description": parameter.about, "schema": schema}
