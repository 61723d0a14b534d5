"""The id and log line of every request, and the headers of API responses."""

import io
import logging

import pytest
from django.test import Client as Browser
from pythonjsonlogger.json import JsonFormatter

from tests.world import Client, make_key
from wallgent.logs import RequestFilter


class TestRequestId:
    def test_is_generated_if_there_is_none(self, api):
        first, second = (api.get("/v1/wallets").headers["X-Request-Id"] for _ in range(2))

        assert first.startswith("req_")
        assert first != second

    @pytest.mark.parametrize("given", ["order-17", "a.b_c-D", "x" * 64])
    def test_id_of_the_client_is_kept(self, api, given):
        response = api.request("GET", "/v1/wallets", **{"X-Request-Id": given})

        assert response.headers["X-Request-Id"] == given

    @pytest.mark.parametrize(
        "given", ["", "x" * 65, "a b", "a\r\nSet-Cookie: x=1", "a\nb", "\xe9", "<script>", "\0"]
    )
    def test_malformed_id_is_replaced(self, api, given):
        response = api.request("GET", "/v1/wallets", **{"X-Request-Id": given})

        assert response.headers["X-Request-Id"].startswith("req_")
        assert "Set-Cookie" not in response.headers


class TestLog:
    def test_has_the_route_and_no_secret(self, api, acme, wallet, caplog):
        secret = make_key(acme)
        with caplog.at_level(logging.INFO, "wallgent.request"):
            Client(secret).post(
                f"/v1/wallets/{wallet.id}/fund?token=hidden", {"amount": "5", "note": "hidden"}
            )

        (record,) = [r for r in caplog.records if r.name == "wallgent.request"]
        assert record.getMessage() == "POST /v1/wallets/<str:wallet_id>/fund 201"
        assert record.organization == acme.id
        assert record.actor.startswith("key_")
        assert "hidden" not in str(vars(record))
        assert secret not in str(vars(record))

    @pytest.mark.parametrize("path", ["/invitations/hidden", "/pay/hidden?q=hidden"])
    def test_forged_form_is_logged_without_its_path(self, db, caplog, path):
        Browser(enforce_csrf_checks=True).post(path)

        assert "CSRF cookie not set" in caplog.text
        assert "hidden" not in caplog.text

    def test_malformed_host_is_logged_without_the_path(self, db):
        lines = io.StringIO()
        handler = logging.StreamHandler(lines)
        handler.setFormatter(JsonFormatter("%(message)s"))
        handler.addFilter(RequestFilter())
        logger = logging.getLogger("django.security")
        logger.addHandler(handler)
        try:
            Browser().get("/pay/hidden?q=hidden", headers={"Host": "a b"})
        finally:
            logger.removeHandler(handler)

        assert "Invalid HTTP_HOST header" in lines.getvalue()
        assert "hidden" not in lines.getvalue()

    @pytest.mark.parametrize("path", ["/v1/nothing", "/nothing"])
    def test_unknown_path_is_logged(self, db, caplog, path):
        with caplog.at_level(logging.INFO, "wallgent.request"):
            Client().get(path)

        assert [r.getMessage() for r in caplog.records if r.name == "wallgent.request"] == [
            "GET /? 404"
        ]


class TestApiResponses:
    def test_set_no_cookie_and_vary_on_none(self, api):
        response = api.get("/v1/wallets")

        assert not response.cookies
        assert "Cookie" not in response.headers.get("Vary", "")

    def test_need_no_csrf_token(self, api):
        api._http.handler.enforce_csrf_checks = True

        assert api.post("/v1/wallets", {"name": "A"}).status_code == 201
