"""Checks the API's responses and the recorded events in all tests against their schemas."""

import copy
import json
from functools import cache

import jsonschema_rs

from wallgent import openapi, urls  # noqa: F401 - urls imports the operations
from wallgent.api import operations
from wallgent.api.views import ApiView
from wallgent.events import catalogue
from wallgent.events.catalogue import EventType
from wallgent.events.schemas import Payload

_KNOWN = {str(operation) for operation in operations.declared()}  # tests may declare others
_HEADERS = ("X-RateLimit-Limit", "Idempotent-Replayed", "Retry-After", "WWW-Authenticate")

undescribed: list[str] = []  # what this test's responses and events hold and no schema describes


def install() -> None:
    """Check every response of an API view and every event from now on."""
    _check_responses()
    _check_events()


def _check_responses() -> None:
    dispatch = ApiView.dispatch

    def checked(view, request, **path):
        response = dispatch(view, request, **path)
        operation = view.operations.get("GET" if request.method == "HEAD" else request.method)
        if operation and str(operation) in _KNOWN:
            undescribed.extend(problems(operation, response))
        return response

    ApiView.dispatch = checked


def _check_events() -> None:
    render, declared = EventType.render, set(catalogue.types())  # a test may declare others

    def checked(event_type, subject, organizations, **values):
        for organization, data in render(event_type, subject, organizations, **values):
            if event_type in declared:
                undescribed.extend(event_problems(event_type, data))
            yield organization, data

    EventType.render = checked


def event_problems(event_type: EventType, data: dict) -> list[str]:
    found = _payload_validator(event_type.payload).iter_errors(json.loads(json.dumps(data)))
    return [f"{event_type.name}: {error}"[:2_000] for error in found]


@cache
def _payload_validator(payload: type[Payload]):
    schema = payload.model_json_schema(mode="serialization")
    return jsonschema_rs.validator_for({**schema, "additionalProperties": False})


def problems(operation, response) -> list[str]:
    """Return what a response holds that its operation does not describe."""
    method, status = operation.method.lower(), str(response.status_code)
    described = _response(operation.path, method, status)
    if described is None:
        return [f"{operation}: {status} is not described: {response.content[:200]}"]
    undeclared = {name for name in _HEADERS if name in response.headers} - set(described["headers"])
    found = _validator(operation.path, method, status).iter_errors(json.loads(response.content))
    return [f"{operation} {status}: {one}"[:2_000] for one in [*undeclared, *found]]


def _response(path: str, method: str, status: str) -> dict | None:
    document = _strict()
    response = document["paths"][f"/{path}"][method]["responses"].get(status)
    if response and (name := response.get("$ref", "").rpartition("/")[2]):
        return document["components"]["responses"][name]
    return response


@cache
def _validator(path: str, method: str, status: str):
    schema = _response(path, method, status)["content"]["application/json"]["schema"]
    return validator_of(schema)


def validator_of(schema: dict):
    """Return a validator of a schema of the document."""
    whole = {**schema, "components": _strict()["components"]}
    return jsonschema_rs.validator_for(whole, validate_formats=True)


@cache
def _strict() -> dict:
    """The document, in which no object may have other fields than described."""
    document = copy.deepcopy(openapi.document())
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return document
