"""Routing numbers and the short list of banks."""

import pytest

from accounts.transfers import banking


class TestRoutingNumber:
    @pytest.mark.parametrize("number", ["021000021", "121000248", "026009593", "322271627"])
    def test_of_a_bank_is_one(self, number):
        assert banking.is_routing_number(number)

    @pytest.mark.parametrize(
        "text",
        [
            "021000022",  # the checksum
            "012000021",  # two digits changed places
            "000000000",
            "500000005",  # no such district
            "990000009",
            "02100002",
            "0210000210",
            " 021000021",
            "021000021\n",
            "٠٢١٠٠٠٠٢١",
            "02100002l",
            "",
        ],
    )
    def test_of_nobody_is_none(self, text):
        assert not banking.is_routing_number(text)

    def test_with_any_one_digit_changed_is_none(self):
        good = "021000021"
        for at, digit in enumerate(good):
            for other in set("0123456789") - {digit}:
                assert not banking.is_routing_number(good[:at] + other + good[at + 1 :])


class TestAccountNumber:
    @pytest.mark.parametrize("text", ["1234", "000123456789", "1" * 17])
    def test_is_digits_that_an_entry_has_room_for(self, text):
        assert banking.is_account_number(text)

    @pytest.mark.parametrize("text", ["123", "1" * 18, "12-34", "12 34", "١٢٣٤", "12345\n", ""])
    def test_is_nothing_else(self, text):
        assert not banking.is_account_number(text)


class TestBankName:
    def test_is_known_of_the_large_banks(self):
        assert banking.bank_name("021000021") == "JPMorgan Chase Bank"
        assert banking.bank_name("124003116") == "Ally Bank"
        assert banking.bank_name("091000022") == "U.S. Bank"

    def test_is_empty_where_the_list_is_too_short(self):
        assert banking.bank_name("110000000") == ""
        assert banking.bank_name("nonsense") == ""

    def test_is_listed_only_for_routing_numbers_and_once(self):
        numbers = [
            number
            for line in banking._DIRECTORY.read_text().splitlines()
            if line and not line.startswith("#")
            for number in line.split(":")[1].split()
        ]

        assert [number for number in numbers if not banking.is_routing_number(number)] == []
        assert len(numbers) == len(set(numbers))
