"""Cleans text from users for emails in plain text, which nothing else sets apart from our own."""

import re

# Characters that change the writing direction (Unicode UAX #9). An amount that follows one of them
# would be displayed in reverse order.
_DIRECTION_MARKS = dict.fromkeys(
    [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
# A URL in any script: an email contains our own and no other. A host name alone is allowed, because
# names such as Booking.com and words such as rent.pdf are ordinary.
_URL = re.compile(r"://|www\.|\b[\w-]+\.[^\W\d_][\w-]+(/|:[0-9]|[?#]\w)", re.IGNORECASE)


def one_line(text: str) -> str:
    """Return the text in one line and without direction marks.

    It can neither add an email header or paragraph nor reverse the text around it.
    """
    return " ".join(text.translate(_DIRECTION_MARKS).split())


def without_links(text: str) -> str:
    """Return the text in one line, or "" if a mail program would turn part of it into a link."""
    line = one_line(text)
    return "" if contains_url(line) else line


def contains_url(text: str) -> bool:
    """Return whether a mail program would turn part of the text into a link."""
    return _URL.search(text) is not None
