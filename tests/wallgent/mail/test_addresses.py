import pytest

from wallgent.mail import addresses


@pytest.mark.parametrize(
    ("written", "normalized"),
    [
        (" Ada@Example.COM\n", "ada@example.com"),
        ("ａda@example.com", "ada@example.com"),  # a full-width letter
        ("аda@example.com", "аda@example.com"),  # a Cyrillic letter that only looks alike
    ],
)
def test_normalize_joins_compatible_spellings_only(written, normalized):
    assert addresses.normalize(written) == normalized


def test_mask_shows_the_first_character_and_the_domain():
    assert addresses.mask("bob@example.com") == "b…@example.com"
