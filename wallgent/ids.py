"""Ids: UUIDv7 in the database, prefixed ULIDs (`wal_01J…`) in Python and in the API.

A ULID is the same 128 bits in Crockford's base32, so no mapping is stored.
"""

import uuid

from django.core import exceptions
from django.db import models
from uuid_utils.compat import uuid7

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]  # ten bits at a time
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_LENGTH = 26


def new(prefix: str) -> str:
    """Return a new id such as `wal_01JD3…`. Later ids sort after earlier ones."""
    return to_text(prefix, uuid7())


def to_text(prefix: str, value: uuid.UUID) -> str:
    """Return the prefixed id of a UUID."""
    bits = value.int
    text = [_PAIRS[(bits >> shift) & 0x3FF] for shift in range(120, -1, -10)]
    return f"{prefix}_{''.join(text)}"


def to_uuid(text: str) -> uuid.UUID:
    """Return the UUID of an id with any prefix. Raises ValueError for anything else."""
    ulid = text.rpartition("_")[2]
    if len(ulid) != _LENGTH or ulid[0] > "7":
        raise ValueError("not an id")
    bits = 0
    for character in ulid:
        try:
            bits = bits << 5 | _VALUES[character]
        except KeyError:
            raise ValueError("not an id") from None
    return uuid.UUID(int=bits)


def parse(text: str, *prefixes: str) -> uuid.UUID | None:
    """Return the UUID of a well-formed id with one of the prefixes, or None."""
    if not isinstance(text, str) or text[: -_LENGTH - 1] not in prefixes:
        return None
    try:
        return to_uuid(text)
    except ValueError:
        return None


def read(text: str) -> uuid.UUID | None:
    """Return the UUID of an id with any prefix or of a plain UUID, as people type it, or None."""
    try:
        return to_uuid(text) if "_" in text else uuid.UUID(text)
    except ValueError:
        return None


class PrefixedIdField(models.UUIDField):
    """A uuid column whose Python value is the prefixed id."""

    def __init__(self, prefix: str, **options):
        self.prefix = prefix
        options.setdefault("primary_key", True)
        options.setdefault("editable", False)
        if options["primary_key"]:
            options.setdefault("default", self.generate)
        super().__init__(**options)

    def generate(self) -> str:
        return new(self.prefix)

    def deconstruct(self):
        name, path, args, options = super().deconstruct()
        options.pop("default", None)  # the prefix determines it
        return name, path, [self.prefix, *args], options

    def from_db_value(self, value, expression, connection):
        return None if value is None else to_text(self.prefix, value)

    def to_python(self, value):
        if value is None or (isinstance(value, str) and value.startswith(f"{self.prefix}_")):
            return value
        try:
            return to_text(self.prefix, value if isinstance(value, uuid.UUID) else to_uuid(value))
        except ValueError as error:
            raise exceptions.ValidationError(f"“{value}” is not an id.") from error

    def get_prep_value(self, value):
        if value is None or isinstance(value, uuid.UUID):
            return value
        try:
            return to_uuid(value)
        except ValueError as error:
            raise exceptions.ValidationError(f"“{value}” is not an id.") from error

    def get_db_prep_value(self, value, connection, prepared=False):
        return value if prepared else self.get_prep_value(value)
