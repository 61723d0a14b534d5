"""Schemas of requests and responses, declared once for reading, writing and documentation.

A schema checks form, never permission or state. Keys are camelCase; the snake_case name is read
too; unknown keys are ignored. Other spellings are declared at the field with `spelled`.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar

import pydantic
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from wallgent import money
from wallgent.api import json
from wallgent.errors import InvalidAmount, ValidationError

METADATA_LIMIT_BYTES = 16 * 1024
# A list prints the metadata of up to 100 objects, and many small values take the most time.
METADATA_LIMIT_VALUES = 100
METADATA_LIMIT_DEPTH = 10

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def spelled(*spellings: str, **options) -> Any:
    """Declare a field with several names in JSON. All of them are read and written."""
    return Field(
        validation_alias=pydantic.AliasChoices(*spellings),
        serialization_alias=spellings[0],
        json_schema_extra={"spellings": list(spellings)},
        **options,
    )


class Schema(pydantic.BaseModel):
    """The base of all requests and responses."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", regex_engine="python-re"
    )

    # field name -> its names in JSON; the field name itself is read too
    _spellings: ClassVar[dict[str, tuple[str, ...]]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **options) -> None:
        super().__pydantic_init_subclass__(**options)
        cls._spellings = {
            name: tuple(field.json_schema_extra["spellings"])
            for name, field in cls.model_fields.items()
            if isinstance(field.json_schema_extra, dict) and "spellings" in field.json_schema_extra
        }

    @pydantic.model_validator(mode="before")
    @classmethod
    def _agree(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for field, spellings in cls._spellings.items():
                given = [key for key in (*spellings, field) if data.get(key) is not None]
                if any(data[key] != data[given[0]] for key in given[1:]):
                    names = " and ".join(dict.fromkeys(given))
                    raise PydanticCustomError("spellings", f"{names} say different things")
        return data

    @classmethod
    def read(cls, data: dict) -> "Schema":
        """Read parsed JSON or a query string. Raises ValidationError, InvalidAmount."""
        try:
            return cls.model_validate(data)
        except pydantic.ValidationError as error:
            raise _refusal(error) from None

    def to_json(self) -> dict:
        """Return the JSON object, with every spelling of every field."""
        printed = self.model_dump(by_alias=True)  # numbers in metadata remain Decimals
        for spellings in self._spellings.values():
            value = printed[spellings[0]]
            for name in spellings[1:]:
                printed[name] = value
        return printed

    def given(self) -> dict:
        """Return the fields that the caller sent, by Python name, for an update."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def _refusal(error: pydantic.ValidationError) -> ValidationError | InvalidAmount:
    fields, only_amounts = {}, True
    for problem in error.errors(include_url=False, include_input=False):
        where = ".".join(to_camel(str(part)) for part in problem["loc"]) or "body"
        fields[where] = problem["msg"]
        only_amounts &= problem["type"] == "invalid_amount"
    if only_amounts:
        return InvalidAmount(fields=fields)
    first = "; ".join(f"{where}: {message}" for where, message in list(fields.items())[:5])
    return ValidationError(f"Some fields are missing or wrong. {first}.", fields=fields)


def _read_amount(value: Any) -> Decimal:
    try:
        return money.read(value)
    except InvalidAmount as error:
        raise PydanticCustomError("invalid_amount", error.message) from None


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise PydanticCustomError("invalid_amount", "An amount must be greater than zero.")
    return value


def _known_id(value: Any) -> str:
    # IDs are opaque to callers, so a malformed one is treated as unknown and later not found.
    if not isinstance(value, str) or not value or len(value) > 64:
        raise PydanticCustomError("object_id", "must be the id of an object, as text")
    return value


def _metadata(value: Any) -> Any:
    if not isinstance(value, dict):
        raise PydanticCustomError("metadata", "must be a JSON object")
    count, depth = json.measure(value)
    if count - 1 > METADATA_LIMIT_VALUES:
        raise PydanticCustomError(
            "metadata", f"must hold at most {METADATA_LIMIT_VALUES} values, nested ones included"
        )
    if depth - 1 > METADATA_LIMIT_DEPTH:
        raise PydanticCustomError(
            "metadata", f"must be nested at most {METADATA_LIMIT_DEPTH} levels deep"
        )
    try:
        size = len(json.write(value).encode())
    except ValueError:
        size = METADATA_LIMIT_BYTES + 1
    if size > METADATA_LIMIT_BYTES:
        raise PydanticCustomError("metadata", "must be at most 16 KiB of JSON")
    if not all(_storable(number) for number in _numbers(value)):
        raise PydanticCustomError("metadata", "holds a number out of range; send it as text")
    return value


def _numbers(value: Any):
    if isinstance(value, Decimal):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)


def _storable(number: Decimal) -> bool:
    # The database writes a number in full, so its exponent is a length.
    return number.is_zero() or -300 < number.adjusted() < 300


def timestamp_text(value: datetime) -> str:
    """Return ISO 8601 in UTC with milliseconds and a Z."""
    text = value.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("timestamp", "is out of range") from None


def _timestamp(value: Any) -> Any:
    # pydantic would read digits alone as seconds since 1970.
    if not isinstance(value, str) or not _DATE.match(value):
        raise PydanticCustomError("timestamp", "must be ISO 8601 text: 2026-04-01T00:00:00Z")
    return value


def _text(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise PydanticCustomError("blank", "must not be blank")
    return value


Number = Annotated[Decimal, BeforeValidator(_read_amount, json_schema_input_type=str | float)]
Amount = Annotated[Number, AfterValidator(_positive)]  # more than zero, at most 8 decimals
ObjectId = Annotated[str, BeforeValidator(_known_id)]
# JSON text only for the comparison of requests, in which 1.5 and "1.5" must differ.
Metadata = Annotated[
    dict[str, Any],
    BeforeValidator(_metadata),
    PlainSerializer(json.write, return_type=str, when_used="json"),
]
Name = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=256)]
Description = Annotated[str, Field(max_length=1024)]
Timestamp = Annotated[datetime, BeforeValidator(_timestamp), AfterValidator(_aware)]

# Output types.
AmountText = Annotated[Decimal, PlainSerializer(money.amount_text, return_type=str)]
TimeText = Annotated[datetime, PlainSerializer(timestamp_text, return_type=str)]
