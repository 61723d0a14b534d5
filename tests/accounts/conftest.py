import pytest


@pytest.fixture(autouse=True)
def _quick_hashes(settings):
    """Use a fast password hasher, because the default is slow on purpose."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
