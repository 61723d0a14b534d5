import pytest
from cryptography.fernet import Fernet

from wallgent import credentials
from wallgent.credentials import InvalidToken

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))


@pytest.fixture
def keys(settings):
    """A function that sets the encryption keys, newest first."""

    def use(*keys):
        settings.ENCRYPTION_KEYS = list(keys)
        credentials._keys.cache_clear()

    yield use
    credentials._keys.cache_clear()


class TestEncryption:
    def test_reads_back_what_it_encrypted(self, keys):
        keys(NEW)

        token = credentials.encrypt("whsec_ü")

        assert b"whsec" not in token
        assert credentials.decrypt(token) == "whsec_ü"
        assert credentials.decrypt(memoryview(token)) == "whsec_ü"  # as a column gives it
        assert credentials.encrypt("whsec_ü") != token

    def test_keys_are_replaced_without_losing_anything(self, keys):
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
    def test_what_was_tampered_with_is_refused(self, keys, token):
        keys(NEW)

        with pytest.raises(InvalidToken):
            credentials.decrypt(token)

    def test_so_is_a_strangers(self, keys):
        keys(OTHER)
        token = credentials.encrypt("secret")
        keys(NEW)

        with pytest.raises(InvalidToken):
            credentials.decrypt(token)


class TestSecrets:
    def test_have_256_random_bits_behind_their_prefix(self):
        made = {credentials.new_secret("wg_test_") for _ in range(100)}

        assert len(made) == 100
        assert all(secret.startswith("wg_test_") and len(secret) == 8 + 43 for secret in made)

    def test_fingerprints_are_sha256(self):
        digest = credentials.fingerprint("abc")

        assert digest.hex().startswith("ba7816bf8f01cfea")
        assert len(digest) == 32

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [("a", "a", True), ("a", b"a", True), ("é", "é".encode(), True), ("a", "b", False)],
    )
    def test_comparing(self, one, other, same):
        assert credentials.equal(one, other) is same
