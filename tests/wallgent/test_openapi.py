"""The OpenAPI document: valid, complete, and unchanged unless the copy in docs changes with it."""

import json

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.urls import get_resolver
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests import described
from tests.world import Client
from wallgent import openapi

HTTP = ("get", "post", "put", "patch", "delete")


@pytest.fixture
def document():
    return openapi.document()


class TestDocument:
    def test_is_valid(self, document):
        assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []

    def test_is_served_without_a_key(self, db, document):
        response = Client().get("/v1/openapi.json")

        assert response.status_code == 200
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.json() == json.loads(json.dumps(document))

    def test_describes_every_path_that_is_served(self, document):
        [api] = [part for part in get_resolver().url_patterns if str(part.pattern) == "v1/"]
        served = {
            ("/v1/" + str(part.pattern).replace("<str:", "{").replace(">", "}"), method)
            for part in api.url_patterns
            for method in HTTP
            if hasattr(part.callback.cls, method)
        }

        assert served == {
            (path, method) for path, one in document["paths"].items() for method in one
        }

    def test_names_each_operation_once(self, document):
        ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]

        assert len(set(ids)) == len(ids)

    def test_examples_are_as_described(self, document):
        described_examples = [
            content
            for path in document["paths"].values()
            for one in path.values()
            for content in one.get("requestBody", {}).get("content", {}).values()
            if "example" in content
        ]

        declared = [one for one in openapi.operations.declared() if one.example]
        assert len(described_examples) == len(declared) > 10
        for content in described_examples:
            validator = described.validator_of(content["schema"])
            assert list(validator.iter_errors(content["example"])) == []

    def test_change_is_noticed(self, document):
        """After a wanted change of the API, run `manage.py openapi` and commit the result."""
        committed = (settings.BASE_DIR / "docs" / "openapi.json").read_text()

        assert committed == json.dumps(document, indent=1, ensure_ascii=False) + "\n"


class TestCheckOfResponses:
    """Every response in the suite is checked; here, that the check finds something."""

    @pytest.fixture
    def operation(self):
        found = {str(one): one for one in openapi.operations.declared()}
        return found["GET /v1/wallets/{wallet_id}/balance"]

    BALANCE = {
        "walletId": "wal_1",
        "balance": "1.00",
        "available": "1.00",
        "pending": "0.00",
        "currency": "USD",
    }

    def test_accepts_what_is_described(self, operation):
        response = HttpResponse(json.dumps(self.BALANCE))

        assert described.problems(operation, response) == []

    @pytest.mark.parametrize(
        "change",
        [{"extra": 1}, {"balance": 1}, {"balance": "1"}, {"currency": "EUR"}, {"pending": None}],
        ids=str,
    )
    def test_finds_what_is_not(self, operation, change):
        response = HttpResponse(json.dumps(self.BALANCE | change))

        assert described.problems(operation, response)

    def test_finds_an_undeclared_status_and_error(self, operation):
        error = {"error": {"code": "REVERSAL_NOT_ALLOWED", "message": "No."}}
        response = HttpResponse(json.dumps(error), status=422)
        assert described.problems(operation, response)

        assert described.problems(operation, HttpResponse(json.dumps(error), status=403))
