"""DEBUG=0, in a separate process: refused settings, and the responses of pages and the API."""

import json
import os
import re
import secrets
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet

from wallgent.localdev import workspace

SCRIPT = """
import json
import django
django.setup()
from django.test import Client
client = Client(raise_request_exception=False)
responses = {}
paths = ("/v1/wallets", "/v1", "/v1/nowhere", "/healthz", "/admin/login/", "/account/login/")
for path in paths:
    for scheme in ("http", "https"):
        proxy = {"X-Forwarded-Proto": scheme}
        response = client.get(path, headers={"Host": "pay.example.com", **proxy})
        cookies = {name: dict(morsel) for name, morsel in response.cookies.items()}
        responses[f"{scheme} {path}"] = [response.status_code, dict(response.headers), cookies]
print(json.dumps(responses))
"""


def as_documented(folder):
    """Return the environment of a server that is set up as docs/production.md says."""
    values = {
        "DEBUG": "0",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "ALLOWED_HOSTS": "pay.example.com",
        "PUBLIC_ORIGIN": "https://pay.example.com",
        "EMAIL_URL": "smtp+tls://wallgent:secret@mail.example.com:587",
        "WALLGENT_HOME": str(folder),
        "DATABASE_URL": os.environ["DATABASE_URL"],
        "REDIS_URL": os.environ["REDIS_URL"],
    }
    return {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "wallgent.settings"} | values


@pytest.fixture
def production(tmp_path):
    return as_documented(tmp_path)


def python(environment, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=workspace.CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def startup_error(environment):
    """Return the error with which the settings refuse to load."""
    result = python(environment, "-c", "import wallgent.settings")
    assert result.returncode == 1
    return result.stderr.splitlines()[-1]


class TestStart:
    def test_deployment_check_finds_no_issue(self, production):
        checked = python(production, "manage.py", "check", "--deploy", "--fail-level", "WARNING")

        assert (checked.returncode, checked.stderr) == (0, "")
        assert checked.stdout.startswith("System check identified no issues")

    @pytest.mark.parametrize(
        "name",
        [
            *("SECRET_KEY", "ENCRYPTION_KEYS", "ALLOWED_HOSTS"),
            *("PUBLIC_ORIGIN", "DATABASE_URL", "REDIS_URL", "EMAIL_URL"),
        ],
    )
    def test_missing_value_is_refused(self, production, name):
        del production[name]

        assert re.search(f"Set (the )?{name}", startup_error(production))

    @pytest.mark.parametrize("name", ["SECRET_KEY", "ENCRYPTION_KEYS"])
    def test_empty_secret_is_refused(self, production, name):
        assert f"Set {name}" in startup_error(production | {name: ""})

    def test_proxy_that_is_not_an_address_is_refused(self, production):
        error = startup_error(production | {"TRUSTED_PROXIES": "10.0.0.0/8,proxy.local"})

        assert "TRUSTED_PROXIES" in error
        assert "proxy.local" in error

    def test_secrets_generated_by_make_run_are_not_read(self, production, tmp_path):
        (tmp_path / "secrets.env").write_text("DEBUG=1\nSECRET_KEY=made-up\nENCRYPTION_KEYS=k\n")
        del production["SECRET_KEY"]

        assert "SECRET_KEY" in startup_error(production)

    def test_secrets_generated_by_make_run_are_refused(self, production, tmp_path):
        (tmp_path / "secrets.env").write_text(
            f"DEBUG=1\nSECRET_KEY={production['SECRET_KEY']}\nENCRYPTION_KEYS=k\n"
        )

        assert "SECRET_KEY stands in" in startup_error(production)
        changed = {"SECRET_KEY": "own", "ENCRYPTION_KEYS": f"{production['ENCRYPTION_KEYS']},k"}
        assert "ENCRYPTION_KEYS stands in" in startup_error(production | changed)

    def test_debug_off_in_the_secrets_file_is_not_enough(self, production, tmp_path):
        values = {name: production.pop(name) for name in ("DEBUG", "SECRET_KEY", "ENCRYPTION_KEYS")}
        lines = [f"{name}={value}\n" for name, value in values.items()]
        (tmp_path / "secrets.env").write_text("".join(lines))

        assert "SECRET_KEY stands in" in startup_error(production)

    def test_demo_data_is_refused(self, production):
        result = python(production, "manage.py", "demo")

        assert result.returncode == 1
        assert "Demo data is for development" in result.stderr


@pytest.fixture(scope="module")
def responses(tmp_path_factory):
    result = python(as_documented(tmp_path_factory.mktemp("home")), "-c", SCRIPT)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


class TestResponses:
    def test_api_never_redirects_and_pages_redirect_to_https(self, responses):
        statuses = {request: status for request, (status, _, _) in responses.items()}
        assert statuses == {
            "http /v1/wallets": 401,
            "https /v1/wallets": 401,
            "http /v1": 404,
            "https /v1": 404,
            "http /v1/nowhere": 404,
            "https /v1/nowhere": 404,
            "http /healthz": 200,
            "https /healthz": 200,
            "http /admin/login/": 301,
            "https /admin/login/": 302,
            "http /account/login/": 301,
            "https /account/login/": 200,
        }
        _, headers, _ = responses["http /admin/login/"]
        assert headers["Location"] == "https://pay.example.com/admin/login/"

    def test_pages_meet_the_silenced_checks(self, responses):
        _, headers, cookies = responses["https /account/login/"]
        year = "max-age=31536000; includeSubDomains; preload"
        assert headers["Strict-Transport-Security"] == year
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["X-Frame-Options"] == "DENY"
        assert cookies["__Host-csrf"]["secure"] is True
        assert (cookies["__Host-csrf"]["path"], cookies["__Host-csrf"]["domain"]) == ("/", "")
