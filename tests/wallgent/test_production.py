"""DEBUG=0, in a process of its own: what it refuses, and what it does to pages and to the API."""

import json
import os
import re
import secrets
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet

from tests.engines import home

ASK = """
import json
import django
django.setup()
from django.test import Client
client = Client(raise_request_exception=False)
answers = {}
paths = ("/v1/wallets", "/v1", "/v1/nowhere", "/healthz", "/admin/login/", "/account/login/")
for path in paths:
    for scheme in ("http", "https"):
        proxy = {"X-Forwarded-Proto": scheme}
        answer = client.get(path, headers={"Host": "pay.example.com", **proxy})
        cookies = {name: dict(morsel) for name, morsel in answer.cookies.items()}
        answers[f"{scheme} {path}"] = [answer.status_code, dict(answer.headers), cookies]
print(json.dumps(answers))
"""


def as_documented(folder):
    """The environment of a server that is set up as docs/production.md says."""
    own = {
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
    return {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "wallgent.settings"} | own


@pytest.fixture
def production(tmp_path):
    return as_documented(tmp_path)


def python(environment, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=home.CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def refusal(environment):
    """The sentence with which settings refuse to be loaded."""
    ended = python(environment, "-c", "import wallgent.settings")
    assert ended.returncode == 1
    return ended.stderr.splitlines()[-1]


class TestStart:
    def test_the_deployment_check_has_nothing_to_say(self, production):
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
    def test_a_missing_value_stops_it(self, production, name):
        del production[name]

        assert re.search(f"Set (the )?{name}", refusal(production))

    @pytest.mark.parametrize("name", ["SECRET_KEY", "ENCRYPTION_KEYS"])
    def test_an_empty_secret_stops_it(self, production, name):
        assert f"Set {name}" in refusal(production | {name: ""})

    def test_a_proxy_that_is_no_address_stops_it(self, production):
        told = refusal(production | {"TRUSTED_PROXIES": "10.0.0.0/8,proxy.local"})

        assert "TRUSTED_PROXIES" in told
        assert "proxy.local" in told

    def test_what_make_run_made_up_is_not_read(self, production, tmp_path):
        (tmp_path / "secrets.env").write_text("DEBUG=1\nSECRET_KEY=made-up\nENCRYPTION_KEYS=k\n")
        del production["SECRET_KEY"]

        assert "SECRET_KEY" in refusal(production)

    def test_what_make_run_made_up_is_refused(self, production, tmp_path):
        (tmp_path / "secrets.env").write_text(
            f"DEBUG=1\nSECRET_KEY={production['SECRET_KEY']}\nENCRYPTION_KEYS=k\n"
        )

        assert "SECRET_KEY stands in" in refusal(production)
        own = {"SECRET_KEY": "own", "ENCRYPTION_KEYS": f"{production['ENCRYPTION_KEYS']},k"}
        assert "ENCRYPTION_KEYS stands in" in refusal(production | own)

    def test_turning_debug_off_in_the_file_is_not_enough(self, production, tmp_path):
        mine = {name: production.pop(name) for name in ("DEBUG", "SECRET_KEY", "ENCRYPTION_KEYS")}
        lines = [f"{name}={value}\n" for name, value in mine.items()]
        (tmp_path / "secrets.env").write_text("".join(lines))

        assert "SECRET_KEY stands in" in refusal(production)

    def test_demo_data_is_refused(self, production):
        ended = python(production, "manage.py", "demo")

        assert ended.returncode == 1
        assert "Demo data is for development" in ended.stderr


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    asked = python(as_documented(tmp_path_factory.mktemp("home")), "-c", ASK)
    assert asked.returncode == 0, asked.stderr
    return json.loads(asked.stdout)


class TestAnswers:
    def test_the_api_never_redirects_and_pages_go_to_https(self, answers):
        statuses = {asked: status for asked, (status, _, _) in answers.items()}
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
        _, headers, _ = answers["http /admin/login/"]
        assert headers["Location"] == "https://pay.example.com/admin/login/"

    def test_pages_are_as_safe_as_the_silenced_checks_ask(self, answers):
        _, headers, cookies = answers["https /account/login/"]
        year = "max-age=31536000; includeSubDomains; preload"
        assert headers["Strict-Transport-Security"] == year
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["X-Frame-Options"] == "DENY"
        assert cookies["__Host-csrf"]["secure"] is True
        assert (cookies["__Host-csrf"]["path"], cookies["__Host-csrf"]["domain"]) == ("/", "")
