"""Prefixed ids, and the UUIDs behind them."""

import re
import uuid

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from wallgent import ids

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


class TestIds:
    def test_new_id_is_a_ulid_after_a_prefix(self):
        prefix, _, ulid = ids.new("wal").partition("_")

        assert prefix == "wal"
        assert ULID.fullmatch(ulid)

    def test_later_ids_sort_after_earlier_ids(self):
        created = [ids.new("wal") for _ in range(1_000)]

        assert created == sorted(set(created))

    def test_new_id_is_a_uuid_of_version_7(self):
        assert ids.to_uuid(ids.new("wal")).version == 7

    @given(st.uuids(allow_nil=True))
    def test_text_and_uuid_have_the_same_bits(self, value):
        text = ids.to_text("txn", value)

        assert ids.to_uuid(text) == value
        assert ids.parse(text, "wal", "txn") == value
        assert ULID.fullmatch(text.removeprefix("txn_"))

    @given(st.tuples(st.uuids(), st.uuids()))
    def test_text_sorts_like_the_uuids(self, pair):
        assert sorted(ids.to_text("a", value) for value in pair) == [
            ids.to_text("a", value) for value in sorted(pair)
        ]

    def test_smallest_and_largest_uuid(self):
        assert ids.to_text("a", uuid.UUID(int=0)) == "a_" + "0" * 26
        assert ids.to_text("a", uuid.UUID(int=2**128 - 1)) == "a_7" + "Z" * 25


class TestParse:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "wal",
            "wal_",
            "_" + "0" * 26,
            "0" * 26,
            "wal_" + "0" * 25,
            "wal_" + "0" * 27,
            "wal_8" + "0" * 25,  # more than 128 bits
            "wal_" + "o" * 26,
            "wal_" + "I" * 26,
            "wal_" + "Ⅷ" * 26,
            "wal-" + "0" * 26,
            "wal_ " + "0" * 25,
            "wal_" + "0" * 25 + "\n",
            "WAL_" + "0" * 26,
            "xwal_" + "0" * 26,
            "wal_wal_" + "0" * 26,
            "txn_" + "0" * 26,
            "wal_00000000-0000-0000-0000-000000000000",
            None,
            5,
            b"wal_" + b"0" * 26,
            ["wal_" + "0" * 26],
        ],
    )
    def test_malformed_id_or_other_prefix_is_none(self, text):
        assert ids.parse(text, "wal") is None


class TestField:
    field = ids.PrefixedIdField("wal")

    @pytest.mark.parametrize("bad", ["", "wal_", "nonsense", "wal_" + "U" * 26])
    def test_malformed_id_is_refused(self, bad):
        with pytest.raises(ValidationError):
            self.field.get_prep_value(bad)

    def test_id_is_stored_and_read_back(self):
        id = ids.new("wal")

        stored = self.field.get_prep_value(id)

        assert isinstance(stored, uuid.UUID)
        assert self.field.from_db_value(stored, None, None) == id
        assert self.field.to_python(stored) == self.field.to_python(id) == id
        assert self.field.from_db_value(None, None, None) is None
