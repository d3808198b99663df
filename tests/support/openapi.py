"""Validates a response against the hub's OpenAPI description. Knows the part of JSON Schema that msgspec writes, and refuses the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]

_TYPES: dict[str, Callable[[object], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_KNOWN = {
    "$ref", "anyOf", "type", "enum", "const", "properties", "required", "items", "additionalProperties", "pattern",
    "title", "description", "default", "minimum", "maximum", "minLength", "maxLength",
}  # fmt: skip


class Description:
    """A parsed `openapi.json`."""

    def __init__(self, document: Schema) -> None:
        self.document = document
        self._paths = [(re.compile(re.sub(r"{\w+}", "[^/]+", path) + r"\Z"), path) for path in document["paths"]]

    def template(self, path: str) -> str | None:
        """The described path that an address belongs to."""
        exact = [template for pattern, template in self._paths if pattern.match(path)]
        return min(exact, key=lambda template: template.count("{")) if exact else None

    def check(self, method: str, path: str, status: int, content_type: str, body: bytes) -> None:
        """Fail unless the description allows this response."""
        template = self.template(path)
        operation = self.document["paths"][template].get(method.lower()) if template else None
        if operation is None:
            problem = self.document["components"]["schemas"]["Problem"]
            assert status in (400, 401, 403, 404, 405), f"{method} {path}: {status} from a call that is not described"
            self.validate(json.loads(body), problem, f"{method} {path}")
            return
        answer = operation["responses"].get(str(status))
        if answer is None:
            assert status >= 400, f"{method} {template}: status {status} is not described"
            answer = operation["responses"]["default"]
        content = answer.get("content")
        if content is None:
            assert body == b"", f"{method} {template}: {status} has a body"
            return
        assert content_type in content, f"{method} {template}: {content_type} is not described for {status}"
        if content_type.endswith(("/json", "+json")):
            self.validate(json.loads(body), content[content_type]["schema"], f"{method} {template} {status}")

    def validate(self, value: object, schema: Schema, where: str) -> None:
        """Fail with the place of the first thing that does not fit."""
        assert set(schema) <= _KNOWN, f"{where}: the validator does not know {set(schema) - _KNOWN}"
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            self.validate(value, self.document["components"]["schemas"][name], where)
        if "anyOf" in schema:
            self._any(value, schema["anyOf"], where)
        if "type" in schema:
            assert _TYPES[schema["type"]](value), f"{where}: {value!r} is not of type {schema['type']}"
        if "enum" in schema:
            assert value in schema["enum"], f"{where}: {value!r} is not one of {schema['enum']}"
        if isinstance(value, dict):
            self._object(value, schema, where)
        if isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                self.validate(item, schema["items"], f"{where}[{index}]")
        if isinstance(value, str) and "pattern" in schema:
            assert re.search(schema["pattern"], value), f"{where}: {value!r} does not match {schema['pattern']}"

    def _any(self, value: object, choices: list[Schema], where: str) -> None:
        failures: list[str] = []
        for choice in choices:
            try:
                self.validate(value, choice, where)
            except AssertionError as exc:
                failures.append(str(exc))
            else:
                return
        raise AssertionError("; ".join(failures))

    def _object(self, value: dict[str, object], schema: Schema, where: str) -> None:
        missing = set(schema.get("required", ())) - set(value)
        assert not missing, f"{where}: {missing} missing"
        properties = schema.get("properties", {})
        for name, inner in value.items():
            if name in properties:
                self.validate(inner, properties[name], f"{where}.{name}")
            elif isinstance(schema.get("additionalProperties"), dict):
                self.validate(inner, schema["additionalProperties"], f"{where}.{name}")
            else:
                assert "properties" not in schema, f"{where}: {name} is not described"
