"""Reads and writes JSON: numbers keep their digits, hostile input is refused."""

import re
from decimal import Decimal, InvalidOperation

import simplejson
from django.http import RawPostDataException, UnreadablePostError

from wallgent.errors import PayloadTooLarge, ValidationError

VALUES_LIMIT = 10_000  # in one body, many times more than any call needs
_DEPTH = 100
_DIGITS = 10_000  # of a number in full; converting more into an integer takes minutes
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
# A string, or the rest of the body if it does not end. Possessive quantifiers prevent backtracking.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


class _OutOfRange(Exception):
    """A number has more digits than allowed."""


def read_object(request, limit_bytes: int) -> dict:
    """Return the body as an object, `{}` if it is empty. Ignores the declared content type.

    Raises PayloadTooLarge, ValidationError.
    """
    declared = request.META.get("CONTENT_LENGTH")
    if not declared and "HTTP_TRANSFER_ENCODING" in request.META:
        # WSGI does not know where such a body ends, so Django would read it as empty.
        raise ValidationError("Send the body with a Content-Length, not in chunks.")
    if declared and not _LENGTH.fullmatch(declared):
        raise ValidationError("The header Content-Length is not a number of bytes.")
    if int(declared or 0) > limit_bytes:
        raise PayloadTooLarge()
    try:
        body = request.body
    except (UnreadablePostError, RawPostDataException):  # the latter if it is read once more
        raise ValidationError("The body did not arrive in full.") from None
    if len(body) < int(declared or 0):  # the client disconnected while sending
        raise ValidationError("The body did not arrive in full.")
    return parse_object(body) if body else {}


def parse_object(body: bytes) -> dict:
    """Parse an object from JSON bytes. Raises ValidationError, which says what is wrong."""
    check_count(body)
    try:
        value = simplejson.loads(
            body.decode("utf-8"), parse_float=_decimal, parse_int=_integer, parse_constant=_constant
        )
    except UnicodeDecodeError:
        raise ValidationError("The body is not UTF-8 text.") from None
    except RecursionError:
        raise ValidationError("The body is nested too deeply.") from None
    except (InvalidOperation, _OutOfRange):  # InvalidOperation: an exponent of twenty digits
        raise ValidationError("The body holds a number that is out of range.") from None
    except ValueError as error:
        raise ValidationError(f"The body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValidationError("The body must be a JSON object: {…}.")
    _check(value, has_escapes=b"\\u" in body)
    return value


def check_count(body: bytes) -> None:
    """Raise ValidationError for more than VALUES_LIMIT values.

    Counts without parsing, which takes seconds for a megabyte.
    """
    if _count(body) <= VALUES_LIMIT:
        return
    # Commas and brackets may also be text, so count again without strings. Each string has an
    # opening quote with no backslash before it, so this bounds how many there are to remove.
    strings = body.count(b'"') - body.count(b'\\"')
    if strings > 4 * VALUES_LIMIT or _count(_STRING.sub(b"", body)) > VALUES_LIMIT:
        raise ValidationError(f"The body holds more than {VALUES_LIMIT:,} values. Send fewer.")


def _count(body: bytes) -> int:
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def measure(value) -> tuple[int, int]:
    """Return how many values a parsed value holds, including itself, and their nesting depth."""
    count = depth = 0
    level = [value]
    while level:
        count, depth = count + len(level), depth + 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return count, depth


def _integer(digits: str) -> int | Decimal:
    # int() is quadratic in its digits and refuses very long ones; Decimal reads any.
    return int(digits) if len(digits) < 30 else _decimal(digits)


def _decimal(digits: str) -> Decimal:
    if len(digits) > _DIGITS or abs((number := Decimal(digits)).adjusted()) > _DIGITS:
        raise _OutOfRange()
    return number


def _constant(name: str):
    raise ValueError(f"{name} is not a JSON number")


def _check(value, has_escapes: bool, depth: int = 1) -> None:
    """Raise ValidationError for what cannot be stored: deep nesting, NUL, unpaired surrogates.

    The parser refuses raw control characters, so a body without escapes has no such text.
    """
    if depth > _DEPTH:
        raise ValidationError("The body is nested too deeply.")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, has_escapes)
            if isinstance(item, dict | list | str):
                _check(item, has_escapes, depth + 1)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict | list | str):
                _check(item, has_escapes, depth + 1)
    else:
        _check_text(value, has_escapes)


def _check_text(text: str, has_escapes: bool) -> None:
    if has_escapes and (
        "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)
    ):
        raise ValidationError("The body holds a NUL or an unpaired surrogate in a text.")


def write(value) -> str:
    """Return compact JSON in which a Decimal keeps its digits."""
    return simplejson.dumps(value, use_decimal=True, separators=(",", ":"), ensure_ascii=False)


class MetadataEncoder(simplejson.JSONEncoder):
    """Encodes JSON columns with numbers from API callers, which keep their digits."""

    def __init__(self, **options):
        super().__init__(**options, use_decimal=True)


class MetadataDecoder(simplejson.JSONDecoder):
    """Decodes JSON columns with numbers from API callers."""

    def __init__(self, **options):
        super().__init__(**options, parse_float=Decimal)
