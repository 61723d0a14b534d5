"""What strangers write into our emails leads to no page of theirs."""

import pytest

from wallgent.mail import emails


@pytest.mark.parametrize(
    "text",
    [
        *("https://evil.example", "WWW.evil.example", "evil.example/x", "EVIL.EXAMPLE/"),
        *("évil.example/x", "my_evil.example/x", "пример.рф/x", "evil.xn--p1ai/x"),
        *("evil.example:8080", "evil.example?a=1", "evil.example#a", "a.b.evil.example:80/x"),
    ],
)
def test_an_address_is_left_out(text):
    assert emails.holds_address(f"See {text} now")
    assert emails.without_links(f"See {text} now") == ""


@pytest.mark.parametrize(
    "text",
    [
        *("Booking.com", "Did you buy at Acme.com?", "rent.pdf", "Thanks.See you", "24/7"),
        *("e.g./i.e.", "v1.0/2", "Acme: Rent, No. 7", "1.5:30", "#1.", "Müller & Söhne"),
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0",
    ],
)
def test_other_text_stays(text):
    assert emails.without_links(text) == text
