"""Text from users leads to no other page in our emails."""

import pytest

from wallgent.mail import plain_text


def test_one_line_joins_lines_and_removes_direction_marks():
    assert plain_text.one_line(" Acme\r\nBcc: eve@example.com\u202e  Inc ") == (
        "Acme Bcc: eve@example.com Inc"
    )


@pytest.mark.parametrize(
    "text",
    [
        *("https://evil.example", "WWW.evil.example", "evil.example/x", "EVIL.EXAMPLE/"),
        *("évil.example/x", "my_evil.example/x", "пример.рф/x", "evil.xn--p1ai/x"),
        *("evil.example:8080", "evil.example?a=1", "evil.example#a", "a.b.evil.example:80/x"),
    ],
)
def test_text_with_a_url_is_left_out(text):
    assert plain_text.contains_url(f"See {text} now")
    assert plain_text.without_links(f"See {text} now") == ""


@pytest.mark.parametrize(
    "text",
    [
        *("Booking.com", "Did you buy at Acme.com?", "rent.pdf", "Thanks.See you", "24/7"),
        *("e.g./i.e.", "v1.0/2", "Acme: Rent, No. 7", "1.5:30", "#1.", "Müller & Söhne"),
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0",
    ],
)
def test_other_text_stays(text):
    assert plain_text.without_links(text) == text
