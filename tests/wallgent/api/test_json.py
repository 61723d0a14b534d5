"""Bodies are read with all digits of their numbers, and hostile input is refused."""

import io
import json as stdlib_json
import time
from decimal import Decimal

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from wallgent.api import json
from wallgent.api.json import MetadataDecoder, MetadataEncoder
from wallgent.errors import PayloadTooLarge, ValidationError


class TestRead:
    def test_missing_body_is_an_empty_object(self):
        assert json.read_object(RequestFactory().generic("POST", "/"), 10) == {}

    def test_body_over_the_limit_is_refused_without_reading(self):
        request = RequestFactory().post("/", b"{}", content_type="text/plain")

        assert json.read_object(request, 2) == {}
        with pytest.raises(PayloadTooLarge):
            json.read_object(request, 1)

    @pytest.mark.parametrize("arrived", [b"", b"{}"])
    def test_truncated_body_is_refused(self, arrived):
        extra = {"CONTENT_LENGTH": "3", "wsgi.input": io.BytesIO(arrived)}
        request = RequestFactory().generic("POST", "/", **extra)

        with pytest.raises(ValidationError, match="in full"):
            json.read_object(request, 10)

    def test_chunked_body_is_refused(self):
        headers = {"Transfer-Encoding": "chunked"}
        request = RequestFactory().generic("POST", "/", headers=headers)

        with pytest.raises(ValidationError, match="Content-Length"):
            json.read_object(request, 10)


class TestParse:
    def test_numbers_keep_their_digits(self):
        read = json.parse_object(b'{"a": 0.1, "b": 1.10, "c": 25, "d": 1e2, "e": -0.0}')

        assert {key: str(value) for key, value in read.items()} == {
            "a": "0.1",
            "b": "1.10",
            "c": "25",
            "d": "1E+2",
            "e": "-0.0",
        }
        assert type(read["c"]) is int

    def test_number_of_5000_digits_is_read(self):
        assert json.parse_object(b'{"a": %b}' % (b"9" * 5_000))["a"] == Decimal("9" * 5_000)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b" ",
            b"{",
            b"}",
            b"{]",
            b'{"a"}',
            b'{"a": }',
            b'{"a": 1,}',
            b"{'a': 1}",
            b'{"a": NaN}',
            b'{"a": Infinity}',
            b'{"a": -Infinity}',
            b'{"a": 01}',
            b'{"a": +1}',
            b'{"a": .5}',
            b'{"a": 1.}',
            b'{"a": 0x10}',
            b'{"a": 1e99999999999999999999}',
            b'{"a": 1e-99999999999999999999}',
            b'{"a": 0e99999999999999999999}',
            b'{"a": "\x00"}',
            b'{"a": "\n"}',
            b'{"a": "\\x41"}',
            b'{"a": "\\u12"}',
            b'{"a": "\\ud800"}',
            b'{"a": "\\udc00\\ud800"}',
            b'{"\\ud800": 1}',
            b'{"a": "\\u0000"}',
            b'{"\\u0000": 1}',
            b'{"a": {"b": ["\\u0000"]}}',
            b'{"a": [{"\\udfff": 1}]}',
            b'{"a": 1} {"b": 2}',
            b'{"a": 1}x',
            b"\xff\xfe",
            b'{"a": "\xff"}',
            b'{"a": "\xed\xa0\x80"}',  # a surrogate written out in UTF-8
            '{"a": 1}'.encode("utf-16"),
            b"[]",
            b'"text"',
            b"5",
            b"null",
            b"true",
            b"[" * 100_000,
            b"[" * 100_000 + b"]" * 100_000,
            b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
            b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}",
        ],
        ids=lambda body: repr(body[:30]),
    )
    def test_invalid_body_is_refused(self, body):
        with pytest.raises(ValidationError):
            json.parse_object(body)

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (b'{"a": "\\u00e9"}', "é"),
            ('{"a": "é"}'.encode(), "é"),
            (b'{"a": "\\ud83d\\ude00"}', "😀"),
            (b'{"a": "\\ufffd"}', "\ufffd"),
            (b'{"a": "\\u0001"}', "\u0001"),
            (b'\xef\xbb\xbf{"a": "BOM"}', "BOM"),
            (b'{"a": "\\\\u0000"}', "\\u0000"),
        ],
    )
    def test_text_of_every_script_is_read(self, body, text):
        assert json.parse_object(body) == {"a": text}

    @pytest.mark.parametrize(
        "item",
        [b"[]", b"{}", b"1", b'""', b'"\\\\"', b'"\\""', b"[[[[]]]]", b'{"a":1}', b'[",,,,"]'],
    )
    def test_too_many_values_are_refused_without_parsing(self, item, monkeypatch):
        monkeypatch.setattr(json.simplejson, "loads", None)

        with pytest.raises(ValidationError, match="more than 10,000 values"):
            json.parse_object(b'{"a":[' + b",".join([item] * (json.VALUES_LIMIT + 1)) + b"]}")

    @pytest.mark.parametrize("text", [b",[{", b'\\",', b"\\\\", b"\\u002c,"])
    def test_text_counts_as_one_value(self, text):
        body = b'{"a":["' + text * 50_000 + b'","b"]}'

        assert len(json.parse_object(body)["a"]) == 2

    @pytest.mark.parametrize(
        "text",
        [b'"\\"' * 350_000, b'"' + b'\\",' * 350_000, b'",' * 500_000],
        ids=["escaped", "open", "short"],
    )
    def test_counting_unterminated_strings_takes_linear_time(self, text):
        started = time.process_time()

        with pytest.raises(ValidationError):
            json.parse_object(b"[,,,,,,,,,," * 1_100 + text)

        assert time.process_time() - started < 1

    @pytest.mark.parametrize(
        "number", [b"1e10001", b"1e99999999", b"9" * 10_001, b"1e-10001"], ids=len
    )
    def test_huge_number_is_out_of_range(self, number):
        with pytest.raises(ValidationError, match="out of range"):
            json.parse_object(b'{"a": ' + number + b"}")

    def test_nesting_up_to_the_limit_is_read(self):
        body = b'{"a": ' + b"[" * 98 + b"]" * 98 + b"}"

        assert json.parse_object(body)["a"]

    def test_last_of_two_equal_keys_is_used(self):
        assert json.parse_object(b'{"a": 1, "a": 2}') == {"a": 2}

    def test_error_does_not_quote_the_body(self):
        with pytest.raises(ValidationError) as caught:
            json.parse_object(b'{"card": 4242424242424242, oops}')

        assert "4242" not in caught.value.message


numbers = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")) | numbers,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


class TestWrite:
    @given(st.dictionaries(st.just("a"), numbers))
    def test_written_numbers_are_read_back_digit_for_digit(self, value):
        read = stdlib_json.loads(json.write(value), parse_float=Decimal, parse_int=Decimal)

        assert {k: v.as_tuple() for k, v in read.items()} == {
            k: v.as_tuple() for k, v in value.items()
        }

    @given(trees)
    def test_columns_return_what_was_stored(self, tree):
        # As Django calls the encoder and the decoder.
        text = stdlib_json.dumps(tree, cls=MetadataEncoder)

        assert stdlib_json.loads(text, cls=MetadataDecoder) == tree
