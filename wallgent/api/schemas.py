"""Schemas of requests and responses, declared once for reading, writing and documentation.

A schema checks form, never permission or state. Keys are camelCase; the snake_case name is read
too; unknown keys are ignored. Other spellings are declared at the field with `spelled`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args

import pydantic
from django.db import models
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
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
        **options,
    )


@dataclass(frozen=True, slots=True)
class From:
    """Annotates an output field with the attribute that `Schema.of` reads, such as "account.id"."""

    attribute: str


def _getter(name: str, field: FieldInfo) -> Callable[[Any], Any]:
    if not field.is_required():
        constant = field.get_default(call_default_factory=True)
        return lambda source: constant
    sources = [data.attribute for data in field.metadata if isinstance(data, From)]
    return attrgetter(*sources or [name])


def _may_hold_schemas(annotation: Any) -> bool:
    parts = get_args(annotation) or (annotation,)
    return any(
        isinstance(part, TypeVar) or (isinstance(part, type) and issubclass(part, Schema))
        for part in parts
    )


class Schema(pydantic.BaseModel):
    """The base of all requests and responses."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        regex_engine="python-re",
        json_schema_serialization_defaults_required=True,
    )

    # field name -> its names in JSON; the field name itself is read too
    _spellings: ClassVar[dict[str, tuple[str, ...]]] = {}
    _getters: ClassVar[list[tuple[str, Callable[[Any], Any], bool]]] = []
    _nested: ClassVar[dict[str, str]] = {}  # fields that may hold schemas -> their names in JSON

    @classmethod
    def __pydantic_init_subclass__(cls, **options) -> None:
        super().__pydantic_init_subclass__(**options)
        fields = cls.model_fields
        cls._spellings = {
            name: field.validation_alias.choices
            for name, field in fields.items()
            if isinstance(field.validation_alias, pydantic.AliasChoices)
        }
        cls._getters = [
            (name, _getter(name, field), type(None) in get_args(field.annotation))
            for name, field in fields.items()
        ]
        cls._nested = {
            name: field.serialization_alias or field.alias
            for name, field in fields.items()
            if _may_hold_schemas(field.annotation)
        }

    @classmethod
    def of(cls, source: Any, /, **values: Any) -> Self:
        """Return the output of an object: the attributes with the names of the fields.

        Fields with a default keep it. `values` replaces attributes. An empty text that may be null
        in JSON is null.
        """
        assert values.keys() <= cls.__pydantic_fields__.keys(), f"{cls.__name__} lacks {values}"
        fields = {}
        for name, get, may_be_null in cls._getters:
            value = values[name] if name in values else get(source)
            fields[name] = None if value == "" and may_be_null else value
        # As model_construct does, which takes three times as long to look for aliases.
        output = cls.__new__(cls)
        object.__setattr__(output, "__dict__", fields)
        object.__setattr__(output, "__pydantic_fields_set__", set(fields))
        object.__setattr__(output, "__pydantic_extra__", None)
        object.__setattr__(output, "__pydantic_private__", None)
        return output

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
    def read(cls, data: dict) -> Self:
        """Read parsed JSON or a query string. Raises ValidationError, InvalidAmount."""
        try:
            return cls.model_validate(data)
        except pydantic.ValidationError as error:
            raise _refusal(error) from None

    def to_json(self) -> dict:
        """Return the JSON object, with every spelling of every field."""
        return self._spell(self.model_dump(by_alias=True))  # numbers in metadata remain Decimals

    def _spell(self, printed: dict) -> dict:
        for name, alias in self._nested.items():
            value = getattr(self, name)
            if isinstance(value, Schema):
                value._spell(printed[alias])
            elif isinstance(value, list):
                for item, printed_item in zip(value, printed[alias], strict=True):
                    item._spell(printed_item)
        for spellings in self._spellings.values():
            printed |= dict.fromkeys(spellings[1:], printed[spellings[0]])
        return printed

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema, handler) -> dict:
        described = handler.resolve_ref_schema(handler(core_schema))
        properties, required = described.get("properties", {}), described.get("required", [])
        for spellings in cls._spellings.values():
            properties |= dict.fromkeys(spellings[1:], properties[spellings[0]])
            if spellings[0] not in required:
                continue
            if handler.mode == "serialization":
                required += spellings[1:]
            elif len(spellings) > 1:
                required.remove(spellings[0])
                choice = {"anyOf": [{"required": [name]} for name in spellings]}
                described.setdefault("allOf", []).append(choice)
        return described

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


def _described(**keywords) -> WithJsonSchema:
    """Describe a text in the OpenAPI document."""
    return WithJsonSchema({"type": "string", **keywords})


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
AmountText = Annotated[
    Decimal,
    PlainSerializer(money.amount_text, return_type=str),
    _described(format="decimal", pattern=r"^-?\d+\.\d{2,8}$"),
]
TimeText = Annotated[
    datetime, PlainSerializer(timestamp_text, return_type=str), _described(format="date-time")
]


@dataclass(frozen=True, slots=True)
class _OneOf:
    values: Callable[[], list[str]]

    def __get_pydantic_json_schema__(self, core_schema, handler) -> dict:
        return {"type": "string", "enum": self.values()}


def one_of(choices: type[models.TextChoices] | Callable[[], list[str]]) -> Any:
    """Return the type of an output field that holds one of some words."""
    values = (lambda: choices.values) if isinstance(choices, type) else choices
    return Annotated[str, _OneOf(values)]


class ErrorOutput(Schema):
    """What is wrong, for programs by its code and for people in a sentence."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    code: str
    message: str
    details: dict[str, Any] = {}


class ErrorBody(Schema):
    """The body of every error."""

    error: ErrorOutput
