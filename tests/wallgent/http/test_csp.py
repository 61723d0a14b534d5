"""The content security policy of pages, and the error pages."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.test import Client

from wallgent.web import style_guide

TEMPLATES = Path(settings.BASE_DIR) / "templates"
POLICY = "Content-Security-Policy"


@pytest.fixture
def browser(settings):
    settings.DEVELOPMENT = True
    return Client(raise_request_exception=False)


def directives(response) -> dict[str, str]:
    return dict(part.strip().split(" ", 1) for part in response.headers[POLICY].split(";"))


def break_design(monkeypatch, error: Exception):
    def fail():
        raise error

    monkeypatch.setattr(style_guide, "_sample_context", fail)


class TestPolicy:
    @pytest.mark.django_db
    @pytest.mark.parametrize(
        "path", ["/design", "/nothing", "/preferences/theme", "/admin/login/", "/admin/"]
    )
    def test_is_on_every_page(self, browser, path):
        policy = directives(browser.get(path))

        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert not re.search("unsafe|http:|https:|\\*", str(policy))

    def test_is_on_the_page_for_a_server_error(self, browser, monkeypatch):
        break_design(monkeypatch, RuntimeError("secret detail"))

        response = browser.get("/design")

        assert response.status_code == 500
        assert directives(response)["default-src"] == "'none'"

    @pytest.mark.django_db
    def test_is_not_on_api_responses(self):
        assert POLICY not in Client().get("/v1/wallets").headers


class TestTemplates:
    @pytest.mark.parametrize(
        "path",
        sorted(TEMPLATES.rglob("*.html")),
        ids=lambda path: str(path.relative_to(TEMPLATES)),
    )
    def test_have_no_inline_script_and_no_inline_style(self, path):
        text = path.read_text()

        found = re.findall(
            r"<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:|hx-on|hx-vars|[\"']js:", text, re.I
        )
        assert not found
        for attributes, code in re.findall(r"<script([^>]*)>(.*?)</script>", text, re.S | re.I):
            if 'type="application/json"' in attributes:
                continue  # data, which browsers do not run
            assert "src=" in attributes
            assert not code.strip()

    def test_rendered_pages_have_no_inline_script_and_no_inline_style(self, browser):
        page = browser.get("/design").content.decode()

        assert not re.search(r"<style|\sstyle=|<[^>]+\son[a-z]+=", page)
        assert set(re.findall(r"<script[^>]*>(.*?)</script>", page)) == {""}


class TestErrorPages:
    """These tests must not use the database: pytest-django would refuse it."""

    @pytest.mark.parametrize(
        ("error", "status", "title"),
        [
            (RuntimeError("secret detail"), 500, "Something went wrong on our side"),
            (PermissionDenied("secret detail"), 403, "You may not see this"),
            (SuspiciousOperation("secret detail"), 400, "This request is not complete"),
        ],
    )
    def test_show_the_title_and_no_details(self, browser, monkeypatch, error, status, title):
        break_design(monkeypatch, error)

        response = browser.get("/design")

        assert response.status_code == status
        assert title in response.content.decode()
        assert "secret detail" not in response.content.decode()
        assert 'href="/"' in response.content.decode()

    def test_server_error_shows_the_request_id_and_is_logged(self, browser, monkeypatch, caplog):
        break_design(monkeypatch, RuntimeError("detail"))

        response = browser.get("/design", headers={"X-Request-Id": "req-17"})

        assert "req-17" in response.content.decode()
        assert "detail" in caplog.text

    def test_use_the_viewers_theme(self, browser):
        browser.cookies["theme"] = "dark"

        assert 'data-theme="dark"' in browser.get("/nothing").content.decode()

    def test_unknown_path(self, browser):
        response = browser.get("/<script>alert(1)</script>")

        assert response.status_code == 404
        assert "There is nothing here" in response.content.decode()
        assert b"<script>alert" not in response.content

    def test_wrong_method(self, browser):
        response = browser.get("/preferences/theme")

        assert (response.status_code, response.headers["Allow"]) == (405, "POST")
        assert "Go back" in response.content.decode()

    def test_form_with_an_expired_token(self):
        response = Client(enforce_csrf_checks=True).post("/preferences/theme", {"theme": "dark"})

        assert response.status_code == 403
        assert "This page was open for too long" in response.content.decode()


def test_unavailable_database_is_a_503(db, browser, monkeypatch):
    break_design(monkeypatch, OperationalError("secret detail"))

    response = browser.get("/design")

    assert response.status_code == 503
    assert "We will be right back" in response.content.decode()
    assert "secret detail" not in response.content.decode()
