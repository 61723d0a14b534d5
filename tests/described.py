"""Checks the API's responses and the recorded events in all tests against their schemas."""

import copy
import json
from functools import cache

import jsonschema_rs

from wallgent import openapi, urls  # noqa: F401 - urls imports the operations
from wallgent.api.views import ApiView
from wallgent.events import catalogue
from wallgent.events.catalogue import EventType
from wallgent.events.schemas import Payload

undescribed: list[str] = []  # what this test's responses and events hold and no schema describes


def install() -> None:
    """Check every response of an API view and every event from now on."""
    _check_responses()
    _check_events()


def _check_responses() -> None:
    dispatch = ApiView.dispatch

    def checked(view, request, **path):
        response = dispatch(view, request, **path)
        operation = view.operations.get(request.method)
        if operation and operation in known():
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


@cache
def known() -> tuple:
    """Return the operations in the document; a test may declare others."""
    return tuple(openapi.operations.declared())


def problems(operation, response) -> list[str]:
    validator = _validator(operation.path, operation.method.lower(), str(response.status_code))
    if validator is None:
        return [f"{operation}: {response.status_code} is not described: {response.content[:200]}"]
    found = validator.iter_errors(json.loads(response.content))
    return [f"{operation} {response.status_code}: {error}"[:2_000] for error in found]


@cache
def _validator(path: str, method: str, status: str):
    document = _strict()
    response = document["paths"][f"/{path}"][method]["responses"].get(status)
    if response is None:
        return None
    if name := response.get("$ref", "").rpartition("/")[2]:
        response = document["components"]["responses"][name]
    schema = response["content"]["application/json"]["schema"]
    return jsonschema_rs.validator_for({**schema, "components": document["components"]})


@cache
def _strict() -> dict:
    """The document, in which no object may have other fields than described."""
    document = copy.deepcopy(openapi.document())
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return document
