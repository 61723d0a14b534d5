"""Every error has the same envelope, and every code of the contract has one class."""

import json

import pytest
from django.db import InterfaceError, OperationalError

from accounts.controls import errors as control_errors
from accounts.organizations import errors as organization_errors
from accounts.payments import errors as payment_errors
from accounts.transfers import errors as transfer_errors
from accounts.wallets import errors as wallet_errors
from accounts.wallets import services as wallets
from issuing import errors as card_errors
from links.payment_links import errors as link_errors
from tests.world import Client, error_of
from wallgent import errors
from wallgent.api.errors import body, translate
from wallgent.api.views import ApiView

# Every error code, with its HTTP status.
TABLE = """
INSUFFICIENT_FUNDS 402
POLICY_DENIED 403
WALLET_NOT_FOUND 404
INVALID_AMOUNT 400
ENVIRONMENT_MISMATCH 403
RATE_LIMIT_EXCEEDED 429
UNAUTHORIZED 401
VALIDATION_ERROR 400
MERCHANT_NOT_FOUND 404
MERCHANT_SUSPENDED 403
CLOSED_LOOP_UNAVAILABLE 400
WALLET_FROZEN 403
APPROVAL_REQUIRED 202
TRANSFER_NOT_FOUND 404
WEBHOOK_NOT_FOUND 404
POLICY_NOT_FOUND 404
WALLET_LIMIT_EXCEEDED 403
API_KEY_REVOKED 401
IDEMPOTENCY_KEY_REUSE 409
REVERSAL_NOT_ALLOWED 422
PAYMENT_LINK_NOT_FOUND 404
BATCH_PARTIAL_FAILURE 207
SANDBOX_ONLY 403
CARD_NOT_FOUND 404
PERMISSION_DENIED 403
NOT_FOUND 404
INVALID_STATE 409
CONFLICT 409
PLAN_LIMIT_EXCEEDED 403
KYB_REQUIRED 403
METHOD_NOT_ALLOWED 405
INTERNAL_ERROR 500
NOT_AVAILABLE 501
SERVICE_UNAVAILABLE 503
PAYLOAD_TOO_LARGE 413
VERIFICATION_REQUIRED 202
"""
CODES = {code: int(status) for code, status in map(str.split, TABLE.split("\n")[1:-1])}
MODULES = (
    errors,
    organization_errors,
    wallet_errors,
    payment_errors,
    control_errors,
    transfer_errors,
    card_errors,
    link_errors,
)
CLASSES = [
    thing
    for module in MODULES
    for thing in vars(module).values()
    if isinstance(thing, type)
    and issubclass(thing, errors.DomainError)
    and thing.__module__ == module.__name__
    and thing is not errors.DomainError
    # A subclass with the same code, which only adds details, is not the class of the code.
    and ("code" in vars(thing) or thing.__base__ is errors.DomainError)
]


class TestErrorCodes:
    @pytest.mark.parametrize(("code", "status"), CODES.items())
    def test_each_code_has_one_class_with_its_status(self, code, status):
        (found,) = [cls for cls in CLASSES if cls.code == code]

        assert found.status == status

    def test_no_class_has_another_code(self):
        assert {cls.code for cls in CLASSES} <= set(CODES)

    @pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.code)
    def test_each_message_is_a_sentence_of_its_own(self, cls):
        assert cls.message.endswith((".", "…"))
        assert cls.message != errors.DomainError.message


class TestEnvelope:
    def test_envelope_without_details(self):
        assert body(errors.NotFound()) == {
            "error": {"code": "NOT_FOUND", "message": "There is no such object."}
        }

    def test_envelope_with_details_and_extra_body(self):
        error = errors.Conflict("Taken.", email="a@b.example")
        error.extra_body = {"id": "x"}

        assert body(error) == {
            "id": "x",
            "error": {
                "code": "CONFLICT",
                "message": "Taken.",
                "details": {"email": "a@b.example"},
            },
        }


class TestRouting:
    @pytest.mark.parametrize(
        "path",
        ["/v1", "/v1/", "/v1/nothing", "/v1/wallets/x/y/z", "/v1//wallets", "/v1/%00", "/v1/%ff"],
    )
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_unknown_path_is_not_found(self, api, path, method):
        response = api.request(method, path)

        assert (response.status_code, error_of(response)) == (404, "NOT_FOUND")
        assert response.headers["Content-Type"] == "application/json"

    def test_unknown_path_needs_no_api_key(self, db):
        assert error_of(Client().get("/v1/nothing")) == "NOT_FOUND"

    def test_unknown_page_is_answered_with_html(self, db):
        response = Client().get("/nothing")

        assert response.status_code == 404
        assert response.headers["Content-Type"].startswith("text/html")

    def test_unsupported_method_is_answered_with_the_allowed_ones(self, api, wallet):
        response = api.request("PUT", f"/v1/wallets/{wallet.id}")

        assert (response.status_code, error_of(response)) == (405, "METHOD_NOT_ALLOWED")
        assert response.headers["Allow"] == "GET, PATCH"


class TestUnexpectedErrors:
    @pytest.fixture
    def broken(self, monkeypatch):
        def set_up(error):
            def fail(*args, **options):
                raise error

            monkeypatch.setattr(wallets, "require_access", fail)

        return set_up

    def test_bug_reveals_only_the_request_id(self, api, wallet, broken, caplog):
        broken(KeyError("secret detail"))

        response = api.get(f"/v1/wallets/{wallet.id}")

        assert (response.status_code, error_of(response)) == (500, "INTERNAL_ERROR")
        assert "secret" not in response.content.decode()
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["X-Request-Id"]
        assert any("secret detail" in str(r.exc_info) for r in caplog.records if r.exc_info)

    def test_bug_outside_the_views_is_answered_in_json(self, api, monkeypatch):
        def fail(*args, **options):
            raise KeyError("secret detail")

        monkeypatch.setattr(ApiView, "dispatch", fail)

        response = api.get("/v1/wallets")

        assert (response.status_code, error_of(response)) == (500, "INTERNAL_ERROR")
        assert "secret" not in response.content.decode()

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed")])
    def test_unavailable_database_is_a_503_with_retry_after(self, error):
        refusal = translate(error)

        assert (refusal.status, refusal.code) == (503, "SERVICE_UNAVAILABLE")
        assert refusal.headers["Retry-After"]

    def test_bug_is_answered_with_the_envelope(self, api, wallet, broken):
        broken(ValueError("x"))

        content = json.loads(api.get(f"/v1/wallets/{wallet.id}").content)

        assert set(content) == {"error"}
        assert set(content["error"]) == {"code", "message"}
