"""The OpenAPI 3.1 document of the API, made from the declared operations and event types."""

import re
from functools import cache
from typing import Any

from django.http import HttpResponse
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from wallgent import errors
from wallgent.api import json, operations
from wallgent.api.operations import PUBLIC, Operation, operation
from wallgent.api.public import PublicView
from wallgent.api.schemas import ErrorBody
from wallgent.events import catalogue
from wallgent.events.catalogue import EventType
from wallgent.events.schemas import EventOutput

# What every request, and one that names an object, can be answered with.
_ALWAYS = (errors.RateLimitExceeded, errors.InternalError, errors.ServiceUnavailable)
_OBJECT = (errors.EnvironmentMismatch, errors.PermissionDenied)

_RATE_HEADERS = {
    "X-RateLimit-Limit": "Requests allowed in a minute.",
    "X-RateLimit-Remaining": "Requests left now.",
    "X-RateLimit-Reset": "When the current minute ends, in Unix seconds.",
}
# Statuses that are not stored under an idempotency key.
_NOT_REPLAYED = {401, 413, 429, 500, 501, 503}
_HEADERS = _RATE_HEADERS | {
    "X-Request-Id": "Identifies the request in the server's logs.",
    "Idempotent-Replayed": "`true` if this is the stored answer to an earlier request.",
    "Retry-After": "Seconds to wait before the next try.",
    "WWW-Authenticate": "How to authenticate.",
}
_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A repeated request with the same key is carried out once. Valid for 24 hours."
    " Can be sent as `idempotencyKey` in the body instead.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


class _Generator(GenerateJsonSchema):
    """Writes schemas without titles, which would only repeat the names."""

    def field_title_should_be_set(self, schema) -> bool:
        return False

    def generate_definitions(self, inputs):
        schemas, definitions = super().generate_definitions(inputs)
        for definition in definitions.values():
            definition.pop("title", None)
        return schemas, definitions


@cache
def document() -> dict[str, Any]:
    """Return the document. It does not depend on the server's settings."""
    declared = operations.declared()
    events = [type for type in catalogue.types() if type.is_public and type.is_available]
    schemas, components = _schemas(declared, events)
    paths: dict[str, dict] = {}
    for one in declared:
        paths.setdefault(f"/{one.path}", {})[one.method.lower()] = _operation(one, schemas)
    responses = _shared_responses(paths)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wallgent API",
            "version": "1",
            "description": "Wallets, payments and payment links for AI agents. Amounts are decimal"
            " strings; times are ISO 8601 in UTC.",
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "paths": paths,
        "webhooks": {one.name: {"post": _webhook(one, schemas)} for one in events},
        "components": {
            "schemas": components,
            "responses": responses,
            "headers": {
                name: {"description": text, "schema": {"type": _header_type(name)}}
                for name, text in _HEADERS.items()
            },
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(declared: list[Operation], events: list[EventType]) -> tuple[dict, dict]:
    """Return the schema of each body, answer and event, and the components.

    Keys are an operation and a status, or the name of an event type.
    """
    found = {("error", ""): ("serialization", ErrorBody)}
    found["event", ""] = ("serialization", EventOutput)
    found |= {(one.name, ""): ("serialization", one.payload) for one in events}
    for one in declared:
        found[str(one), "body"] = ("validation", one.body_schema or one.body)
        found |= {(str(one), status): ("serialization", a) for status, a in one.answers.items()}
    generated = TypeAdapter.json_schemas(
        [(key, mode, TypeAdapter(schema)) for key, (mode, schema) in found.items() if schema],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Generator,
    )
    schemas, components = _renamed(generated)
    return {key: schema for (key, _), schema in schemas.items()}, components["$defs"]


def _renamed(value: Any) -> Any:
    """Give components the names that generated clients show: Payment, PaymentList."""
    if isinstance(value, list | tuple):
        return type(value)(_renamed(item) for item in value)
    if not isinstance(value, dict):
        return value
    renamed = {}
    for key, item in value.items():
        if key == "$defs":
            item = {_component(name): schema for name, schema in item.items()}
            assert len(item) == len(value[key]), "two components have the same name"
        if key == "$ref":
            path, _, name = item.rpartition("/")
            item = f"{path}/{_component(name)}"
        renamed[key] = _renamed(item)
    return renamed


def _component(name: str) -> str:
    if page := re.fullmatch("Page_(.*)_", name):
        return f"{_component(page[1])}List"
    return "".join(part for part in name.split("__") if part[:1].isupper()).removesuffix("Output")


def _operation(one: Operation, schemas: dict) -> dict:
    described: dict[str, Any] = {
        "summary": one.summary,
        "operationId": _operation_id(one),
        "parameters": _parameters(one),
        "responses": _responses(one, schemas),
    }
    if one.is_public:
        described["security"] = []
    else:
        described["description"] = f"Requires the permission `{one.permission}`."
    if one.body:
        content = {"schema": schemas[str(one), "body"]}
        if one.example:
            content["example"] = _with_ids(one.example)
        is_required = any(field.is_required() for field in one.body.model_fields.values())
        described["requestBody"] = {
            "required": is_required,
            "content": {"application/json": content},
        }
    return described


def _webhook(one: EventType, schemas: dict) -> dict:
    name = {"const": one.name}
    event = {"properties": {"event": name, "type": name, "data": schemas[one.name, ""]}}
    schema = {"allOf": [schemas["event", ""], event]}
    return {
        "summary": one.title,
        "description": f"Requires the permission `{one.permission}`.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"2XX": {"description": "The event was received."}},
        "security": [],
    }


def _operation_id(one: Operation) -> str:
    words = re.findall("[a-z0-9]+", one.summary.lower().replace("'s", ""))
    first, *rest = (word for word in words if word not in ("a", "an", "the"))
    return first + "".join(word.capitalize() for word in rest)


def _parameters(one: Operation) -> list[dict]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall("{(.*?)}", one.path)
    ]
    if one.query:
        schema = one.query.model_json_schema(schema_generator=_Generator)
        definitions = schema.get("$defs", {})
        for name, described in schema["properties"].items():
            required = {"required": True} if name in schema.get("required", []) else {}
            inline = _inline(described, definitions)
            parameters.append({"name": name, "in": "query", **required, "schema": inline})
    if one.takes_key:
        parameters.append(_KEY_PARAMETER)
    return parameters


def _inline(schema: dict, definitions: dict) -> dict:
    """Return the schema of a query parameter, which is None or one type, in place."""
    if name := schema.get("$ref", "").rpartition("/")[2]:
        return _inline(definitions[name], definitions)
    if choices := [item for item in schema.get("anyOf", []) if item != {"type": "null"}]:
        return _inline(choices[0], definitions)  # a query has no null
    return {key: value for key, value in schema.items() if key != "title"}


def errors_of(one: Operation) -> set[type[errors.DomainError]]:
    """Return every error that an operation can be answered with."""
    found = {*_ALWAYS, *one.errors}
    if not one.is_public:
        found |= set(one.view.authentication_classes[0].errors)
    if one.is_write or one.query:
        found.add(errors.ValidationError)
    if one.is_write:
        found.add(errors.PayloadTooLarge)
    if one.takes_key:
        found.add(errors.IdempotencyKeyReuse)
    for loader in one.loaders:
        found |= {loader.missing, *_OBJECT}
    return found


def _responses(one: Operation, schemas: dict) -> dict[str, dict]:
    codes: dict[int, set[str]] = {}
    for error in errors_of(one):
        codes.setdefault(error.status, set()).add(error.code)
    return {
        str(status): {
            "description": ", ".join(
                [*(["Success"] if status in one.answers else []), *sorted(codes.get(status, []))]
            ),
            "headers": {
                name: {"$ref": f"#/components/headers/{name}"} for name in _headers(one, status)
            },
            "content": {"application/json": {"schema": _response(one, status, codes, schemas)}},
        }
        for status in sorted({*one.answers, *codes})
    }


def _response(one: Operation, status: int, codes: dict[int, set[str]], schemas: dict) -> dict:
    answer = schemas.get((str(one), status))
    if status not in codes:
        return answer
    code = {"properties": {"code": {"enum": sorted(codes[status])}}}
    refine = {"properties": {"error": code}}
    if answer and "error" in getattr(one.answers[status], "model_fields", {}):
        return {"allOf": [answer, refine]}
    error = {"allOf": [schemas["error", ""], refine]}
    return {"anyOf": [answer, error]} if answer else error


def _headers(one: Operation, status: int) -> list[str]:
    names = ["X-Request-Id", *_RATE_HEADERS]
    names += ["Idempotent-Replayed"] if one.takes_key and status not in _NOT_REPLAYED else []
    names += ["Retry-After"] if status in (429, 503) else []
    return names + (["WWW-Authenticate"] if status == 401 else [])


def _header_type(name: str) -> str:
    return "integer" if name.startswith(("X-RateLimit", "Retry")) else "string"


def _shared_responses(paths: dict[str, dict]) -> dict[str, dict]:
    """Move the responses that only hold an error into components, each by the name of its codes."""
    shared = {}
    for path in paths.values():
        for described in path.values():
            responses = described["responses"]
            for status, response in responses.items():
                codes = response["description"].split(", ")
                if "allOf" not in response["content"]["application/json"]["schema"]:
                    continue
                name = "Or".join(code.title().replace("_", "") for code in codes)
                name += "Replayable" if "Idempotent-Replayed" in response["headers"] else ""
                assert shared.setdefault(name, response) == response, name
                responses[status] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(shared.items()))


def _with_ids(example: Any) -> Any:
    """Return an example with ids in the place of names such as {wallet_id}."""
    if isinstance(example, dict):
        return {key: _with_ids(value) for key, value in example.items()}
    if isinstance(example, list):
        return [_with_ids(value) for value in example]
    is_id = isinstance(example, str) and example.startswith("{")
    return "wal_01JZ8Q4NVCKEK5SHDP75WRQ72S" if is_id else example


class OpenApiView(PublicView):
    path = "openapi.json"

    @operation(PUBLIC, answers=dict[str, Any])
    def get(self, request):
        """Get this document."""
        return {}

    def respond(self, operation, result) -> HttpResponse:
        return HttpResponse(_content(), content_type="application/json")


@cache
def _content() -> bytes:
    return json.write(document()).encode()
