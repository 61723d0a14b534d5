"""Checks the API's responses in all tests against the OpenAPI document."""

import copy
import json
from functools import cache

import jsonschema_rs

from wallgent import openapi, urls  # noqa: F401 - urls imports the operations
from wallgent.api.views import ApiView

undescribed: list[str] = []  # what this test's responses hold and the document does not


def install() -> None:
    """Check every response of an API view from now on."""
    dispatch = ApiView.dispatch

    def checked(view, request, **path):
        response = dispatch(view, request, **path)
        operation = view.operations.get(request.method)
        if operation and operation in known():
            undescribed.extend(problems(operation, response))
        return response

    ApiView.dispatch = checked


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
