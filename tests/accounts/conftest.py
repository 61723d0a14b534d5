import pytest


@pytest.fixture(autouse=True)
def _quick_hashes(settings):
    """Passwords are slow to check on purpose, and here they are checked all the time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
