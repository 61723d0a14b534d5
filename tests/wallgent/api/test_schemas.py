import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from wallgent.api.schemas import (
    Amount,
    AmountText,
    Metadata,
    Name,
    ObjectId,
    Schema,
    Timestamp,
    TimeText,
    spelled,
    timestamp_text,
)
from wallgent.errors import InvalidAmount, ValidationError


class Order(Schema):
    from_wallet_id: ObjectId = spelled("from", "fromWalletId")
    amount: Amount = Decimal(1)
    unit_price: Amount | None = None
    due_at: Timestamp | None = None
    name: Name = "A"
    metadata: Metadata | None = None


def read(**body) -> Order:
    return Order.read({"from": "wal_1"} | body)


class TestNames:
    @pytest.mark.parametrize("name", ["from", "fromWalletId", "from_wallet_id"])
    def test_every_spelling_is_read(self, name):
        assert Order.read({name: "wal_1"}).from_wallet_id == "wal_1"

    @pytest.mark.parametrize("name", ["unitPrice", "unit_price"])
    def test_camel_case_and_snake_case_are_read(self, name):
        assert read(**{name: "5"}).unit_price == 5

    def test_every_spelling_is_written(self):
        written = read(unitPrice="5").to_json()

        assert written["from"] == written["fromWalletId"] == "wal_1"
        assert "unitPrice" in written
        assert "from_wallet_id" not in written

    def test_unknown_keys_are_ignored(self):
        assert "colour" not in read(colour="red").to_json()

    def test_equal_or_null_spellings_are_read(self):
        assert Order.read({"from": "wal_1", "fromWalletId": "wal_1"}).from_wallet_id == "wal_1"
        assert Order.read({"from": "wal_1", "fromWalletId": None}).from_wallet_id == "wal_1"

    def test_different_values_of_spellings_are_refused(self):
        with pytest.raises(ValidationError, match="from and fromWalletId say different things"):
            Order.read({"from": "wal_1", "fromWalletId": "wal_2"})

    def test_given_returns_the_fields_that_were_sent(self):
        assert read(unit_price=None, name="B").given() == {
            "from_wallet_id": "wal_1",
            "unit_price": None,
            "name": "B",
        }

    def test_metadata_keeps_its_keys(self):
        metadata = {"cost_center": 1, "unitPrice": {"due_at": 2}}

        assert read(metadata=metadata).to_json()["metadata"] == metadata


class TestErrors:
    def test_error_names_every_wrong_field(self):
        with pytest.raises(ValidationError) as caught:
            read(**{"from": 5}, name="", dueAt="x")

        fields = caught.value.details["fields"]
        assert set(fields) == {"from", "name", "dueAt"}
        assert all(isinstance(text, str) for text in fields.values())
        assert "name" in caught.value.message

    def test_wrong_amount_is_an_invalid_amount(self):
        with pytest.raises(InvalidAmount) as caught:
            read(amount="x", unitPrice=-1)

        assert set(caught.value.details["fields"]) == {"amount", "unitPrice"}

    def test_wrong_amount_among_other_errors_is_a_validation_error(self):
        with pytest.raises(ValidationError) as caught:
            read(amount="x", name=5)

        assert set(caught.value.details["fields"]) == {"amount", "name"}

    def test_missing_field_is_named_as_in_json(self):
        with pytest.raises(ValidationError) as caught:
            Order.read({})

        assert set(caught.value.details["fields"]) == {"from"}


class TestTimestamp:
    @pytest.mark.parametrize(
        ("text", "instant"),
        [
            ("2026-04-01T00:00:00Z", datetime(2026, 4, 1, tzinfo=UTC)),
            ("2026-04-01T02:00:00+02:00", datetime(2026, 4, 1, tzinfo=UTC)),
            ("2026-04-01T00:00:00", datetime(2026, 4, 1, tzinfo=UTC)),
            ("2026-04-01T00:00:00.123456Z", datetime(2026, 4, 1, 0, 0, 0, 123456, tzinfo=UTC)),
            ("2026-04-01", datetime(2026, 4, 1, tzinfo=UTC)),
        ],
    )
    def test_timestamp_is_read_as_utc(self, text, instant):
        assert read(dueAt=text).due_at == instant

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "soon",
            "1775001600",
            1775001600,
            17.5,
            True,
            [],
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-04-01T25:00:00Z",
            "0001-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59-23:59",
            "12026-04-01T00:00:00Z",
            "２０２６-04-01T00:00:00Z",
            "2026-04-01T00:00:00Z" + "0" * 5_000,
        ],
    )
    def test_other_values_are_refused(self, text):
        with pytest.raises(ValidationError):
            read(dueAt=text)

    def test_timestamp_is_written_in_utc_with_a_z(self):
        instant = datetime.fromisoformat("2026-04-01T02:00:00.123999+02:00")

        assert timestamp_text(instant) == "2026-04-01T00:00:00.123Z"


class TestMetadata:
    @pytest.mark.parametrize(
        "metadata",
        [
            "text",
            5,
            [],
            True,
            {"a": "x" * 16_384},
            {"é" * 8_192: 1},
            {"a": Decimal("1E+400")},
            {"a": [{"b": Decimal("1E-400")}]},
            {"a": Decimal("1E+999999")},
        ],
        ids=lambda value: repr(value)[:20],
    )
    def test_unsuitable_metadata_is_refused(self, metadata):
        with pytest.raises(ValidationError):
            read(metadata=metadata)

    @pytest.mark.parametrize(
        ("metadata", "why"),
        [
            ({"a": [[]] * 100}, "at most 100 values"),
            ({str(n): 1 for n in range(101)}, "at most 100 values"),
            (json.loads('{"a":' * 11 + "1" + "}" * 11), "at most 10 levels"),
        ],
    )
    def test_many_small_values_are_refused(self, metadata, why):
        with pytest.raises(ValidationError, match=why):
            read(metadata=metadata)

    def test_metadata_up_to_the_limits_is_accepted(self):
        metadata = {"a": [[]] * 99, "b": json.loads("[" * 9 + "]" * 9)}
        del metadata["a"][:9]

        assert read(metadata=metadata).metadata == metadata

    def test_any_json_object_is_accepted(self):
        metadata = {"": None, "a": [1, Decimal("1.50"), {"b": True}], "é": "x" * 10_000}

        assert read(metadata=metadata).metadata == metadata


class Answer(Schema):
    amount: AmountText
    paid_at: TimeText | None
    metadata: dict[str, Any] | None


class TestToJson:
    def test_money_and_time_are_written_as_text(self):
        answer = Answer.model_construct(
            amount=Decimal("25"),
            paid_at=datetime(2026, 4, 1, tzinfo=UTC),
            metadata={"n": Decimal("1.50")},
        )

        assert answer.to_json() == {
            "amount": "25.00",
            "paidAt": "2026-04-01T00:00:00.000Z",
            "metadata": {"n": Decimal("1.50")},
        }
