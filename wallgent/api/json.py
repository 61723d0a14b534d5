"""JSON in and out: numbers keep their digits, hostile text is refused."""

import re
from decimal import Decimal, InvalidOperation

import simplejson
from django.http import UnreadablePostError

from wallgent.errors import PayloadTooLarge, ValidationError

_DEPTH = 100
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


def read_object(request, limit_bytes: int) -> dict:
    """The body as an object, `{}` when it is empty, whatever content type was declared.

    Raises PayloadTooLarge, ValidationError.
    """
    announced = request.META.get("CONTENT_LENGTH")
    if not announced and "HTTP_TRANSFER_ENCODING" in request.META:
        # WSGI has no end for such a body, so Django would take it for an empty one.
        raise ValidationError("Send the body with a Content-Length, not in chunks.")
    if announced and not _LENGTH.fullmatch(announced):
        raise ValidationError("The header Content-Length is not a number of bytes.")
    if int(announced or 0) > limit_bytes:
        raise PayloadTooLarge()
    try:
        body = request.body
    except UnreadablePostError:
        raise ValidationError("The body did not arrive in full.") from None
    if len(body) < int(announced or 0):  # of a client that left while sending
        raise ValidationError("The body did not arrive in full.")
    return parse_object(body) if body else {}


def parse_object(body: bytes) -> dict:
    """An object from JSON bytes. Raises ValidationError with a sentence on what is wrong."""
    try:
        value = simplejson.loads(
            body.decode("utf-8"), use_decimal=True, parse_int=_integer, parse_constant=_constant
        )
    except UnicodeDecodeError:
        raise ValidationError("The body is not UTF-8 text.") from None
    except RecursionError:
        raise ValidationError("The body is nested too deeply.") from None
    except InvalidOperation:  # an exponent of twenty digits
        raise ValidationError("The body holds a number that is out of range.") from None
    except ValueError as error:
        raise ValidationError(f"The body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValidationError("The body must be a JSON object: {…}.")
    _check(value, has_escapes=b"\\u" in body)
    return value


def _integer(digits: str) -> int | Decimal:
    # int() is quadratic in its digits and refuses very long ones; Decimal reads any.
    return int(digits) if len(digits) < 30 else Decimal(digits)


def _constant(name: str):
    raise ValueError(f"{name} is not a JSON number")


def _check(value, has_escapes: bool, depth: int = 1) -> None:
    """Refuse what cannot be stored: deep nesting, NUL and unpaired surrogates.

    Raw control characters never get here, so without an escape there is no bad text to look for.
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
    if has_escapes and ("\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)):
        raise ValidationError("The body holds a NUL or an unpaired surrogate in a text.")


def write(value) -> str:
    """Compact JSON; a Decimal keeps its digits."""
    return simplejson.dumps(value, use_decimal=True, separators=(",", ":"), ensure_ascii=False)


class MetadataEncoder(simplejson.JSONEncoder):
    """For JSON columns that hold the caller's own numbers."""

    def __init__(self, **options):
        super().__init__(**options, use_decimal=True)


class MetadataDecoder(simplejson.JSONDecoder):
    def __init__(self, **options):
        super().__init__(**options, parse_float=Decimal)
