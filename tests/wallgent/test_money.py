"""Reading, formatting and rounding of amounts."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallgent import money
from wallgent.errors import InvalidAmount

amounts = st.decimals(
    min_value=-(money.CEILING - 1), max_value=money.CEILING - 1, places=money.PLACES
)


class TestRead:
    @pytest.mark.parametrize(
        ("written", "amount"),
        [
            ("25.00", "25"),
            ("-25", "-25"),
            ("0", "0"),
            ("0.00000001", "0.00000001"),
            ("007", "7"),
            ("999999999999.99999999", "999999999999.99999999"),
            (25, "25"),
            (-1, "-1"),
            (Decimal("1E+3"), "1000"),
            (Decimal("0.10"), "0.1"),
            (Decimal("1E-8"), "0.00000001"),
        ],
    )
    def test_plain_decimals_and_numbers_are_read(self, written, amount):
        assert money.read(written) == Decimal(amount)

    @pytest.mark.parametrize(
        "written",
        [
            "",
            " ",
            " 1",
            "1 ",
            "1\n",
            "+1",
            "--1",
            "1e3",
            "1,000",
            "1.",
            ".5",
            "1.5.0",
            "0x10",
            "1_000",
            "NaN",
            "Infinity",
            "-inf",
            "١٢",  # digits, but not ASCII
            "１",
            "1000000000000",
            "0.000000001",
            "1" * 5_000,
            "0." + "0" * 5_000,
            True,
            False,
            None,
            1.5,
            float("nan"),
            [],
            {},
            b"1",
            10**12,
            -(10**12),
            10**5_000,
            Decimal("NaN"),
            Decimal("sNaN"),
            Decimal("Infinity"),
            Decimal("1E+400"),
            Decimal("-1E+999999999"),
            Decimal("1E-9"),
            Decimal("1E-999999999"),
            Decimal("1.000000000"),
        ],
        ids=lambda written: repr(written)[:30] if not isinstance(written, int) else "int",
    )
    def test_any_other_value_is_refused(self, written):
        with pytest.raises(InvalidAmount):
            money.read(written)

    @given(amounts)
    def test_formatted_amount_reads_back(self, amount):
        assert money.read(money.amount_text(amount)) == amount


class TestFormat:
    @pytest.mark.parametrize(
        ("amount", "text"),
        [
            ("25", "25.00"),
            ("0", "0.00"),
            ("0.1", "0.10"),
            ("0.125", "0.125"),
            ("0.00000001", "0.00000001"),
            ("1E+3", "1000.00"),
            ("-12.3", "-12.30"),
            ("999999999999.99999999", "999999999999.99999999"),
        ],
    )
    def test_amounts(self, amount, text):
        assert money.amount_text(Decimal(amount)) == text

    @given(amounts)
    def test_amounts_have_two_decimals_and_no_further_trailing_zeros(self, amount):
        whole, _, decimals = money.amount_text(amount).partition(".")

        assert 2 <= len(decimals) <= 8
        assert len(decimals) == 2 or not decimals.endswith("0")
        assert "e" not in whole.lower()


class TestDisplay:
    @pytest.mark.parametrize(
        ("amount", "currency", "text"),
        [
            ("1250", "USD", "$1,250.00"),
            ("1250", "USDC", "1,250.00\xa0USDC"),
            ("-5", "USD", "-$5.00"),
            ("-5", "USDC", "-5.00\xa0USDC"),
            ("0", "USD", "$0.00"),
            ("0.00000001", "USD", "$0.00000001"),
            ("0.125", "USDC", "0.125\xa0USDC"),
            ("999999999999.99999999", "USD", "$999,999,999,999.99999999"),
            # A total, with more digits than arithmetic keeps.
            ("-9" + "9" * 29 + ".99999999", "USD", "-$" + ",".join(["999"] * 10) + ".99999999"),
        ],
    )
    def test_amount_is_formatted_for_people(self, amount, currency, text):
        assert money.display(Decimal(amount), currency) == text

    def test_sign_stands_before_amounts_above_zero(self):
        assert money.display(Decimal(5), "USD", sign="+") == "+$5.00"
        assert money.display(Decimal(5), "USDC", sign="-") == "-5.00\xa0USDC"
        assert money.display(Decimal(0), "USD", sign="+") == "$0.00"
        assert money.display(Decimal(-5), "USD", sign="+") == "-$5.00"

    @given(amounts)
    def test_nothing_is_rounded(self, amount):
        shown = money.display(amount, "USD")

        assert Decimal(shown.replace("$", "").replace(",", "")) == amount


class TestRounding:
    @pytest.mark.parametrize(
        ("exact", "rounded"),
        [
            ("0.000000005", "0.00000001"),
            ("0.0000000049", "0"),
            ("0.61728394505", "0.61728395"),
            ("-0.000000005", "-0.00000001"),
            ("2.5", "2.5"),
        ],
    )
    def test_rounds_half_up_at_eight_decimals(self, exact, rounded):
        assert money.round_half_up(Decimal(exact)) == Decimal(rounded)
