"""Emails are printed in development, whatever the locale."""

import os
import subprocess
import sys

import pytest
from environ import Env

PRINT = r"""
import django
from django.conf import settings
settings.configure(DEFAULT_CHARSET="utf-8")
from django.core.mail import EmailMessage, get_connection
connection = get_connection("wallgent.mail.console.EmailBackend")
text = "\u201cO\u00f9?\u201d \U0001f989"
connection.send_messages([EmailMessage("Gr\u00fc\u00dfe", text, "a@b.example", ["c@d.example"])])
"""


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1", "C.UTF-8"])
def test_text_in_any_script_is_printed_under_any_locale(locale):
    environment = os.environ | {"LC_ALL": locale, "LANG": locale}
    # Python would otherwise replace the locale C by UTF-8.
    environment |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    printed = subprocess.run(
        [sys.executable, "-c", PRINT], env=environment, capture_output=True, check=True
    )

    assert "“Où?” 🦉" in printed.stdout.decode()


def test_settings_print_emails_in_development():
    assert Env.email_url_config("consolemail://")["EMAIL_BACKEND"] == (
        "wallgent.mail.console.EmailBackend"
    )
