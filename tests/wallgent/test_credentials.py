"""Hashing and encryption of secrets."""

import pytest
from cryptography.fernet import Fernet

from wallgent import credentials
from wallgent.credentials import InvalidToken

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))


@pytest.fixture
def keys(settings):
    """Return a function that sets the encryption keys, newest first."""

    def set_keys(*keys):
        settings.ENCRYPTION_KEYS = list(keys)
        credentials._keys.cache_clear()

    yield set_keys
    credentials._keys.cache_clear()


class TestEncryption:
    def test_decrypts_what_it_encrypted(self, keys):
        keys(NEW)

        token = credentials.encrypt("whsec_ü")

        assert b"whsec" not in token
        assert credentials.decrypt(token) == "whsec_ü"
        assert (
            credentials.decrypt(memoryview(token)) == "whsec_ü"
        )  # as a database column returns it
        assert credentials.encrypt("whsec_ü") != token

    def test_keys_are_replaced_without_losing_secrets(self, keys):
        keys(OLD)
        token = credentials.encrypt("secret")

        keys(NEW, OLD)
        assert credentials.decrypt(token) == "secret"
        rotated = credentials.rotate(token)

        keys(NEW)
        assert credentials.decrypt(rotated) == "secret"
        with pytest.raises(InvalidToken):
            credentials.decrypt(token)

    def test_the_newest_key_encrypts(self, keys):
        keys(NEW, OLD)
        token = credentials.encrypt("secret")

        keys(NEW)

        assert credentials.decrypt(token) == "secret"

    @pytest.mark.parametrize("token", [b"", b"x", b"gAAAAA", "gAAAAAé".encode()])
    def test_malformed_token_is_refused(self, keys, token):
        keys(NEW)

        with pytest.raises(InvalidToken):
            credentials.decrypt(token)

    def test_token_of_an_unknown_key_is_refused(self, keys):
        keys(OTHER)
        token = credentials.encrypt("secret")
        keys(NEW)

        with pytest.raises(InvalidToken):
            credentials.decrypt(token)


class TestSecrets:
    def test_have_256_random_bits_after_their_prefix(self):
        created = {credentials.new_secret("wg_test_") for _ in range(100)}

        assert len(created) == 100
        assert all(secret.startswith("wg_test_") and len(secret) == 8 + 43 for secret in created)

    def test_fingerprints_are_sha256(self):
        digest = credentials.fingerprint("abc")

        assert digest.hex().startswith("ba7816bf8f01cfea")
        assert len(digest) == 32

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [("a", "a", True), ("a", b"a", True), ("é", "é".encode(), True), ("a", "b", False)],
    )
    def test_equal_compares_text_and_bytes(self, one, other, same):
        assert credentials.equal(one, other) is same
