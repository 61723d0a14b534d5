"""Routing numbers, account numbers and the list of bank names."""

import pytest

from accounts.transfers import banking


class TestRoutingNumber:
    @pytest.mark.parametrize("number", ["021000021", "121000248", "026009593", "322271627"])
    def test_with_a_valid_district_and_checksum_is_accepted(self, number):
        assert banking.is_routing_number(number)

    @pytest.mark.parametrize(
        "text",
        [
            "021000022",  # wrong checksum
            "012000021",  # two digits swapped
            "000000000",
            "500000005",  # unknown district
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
    def test_malformed_or_invalid_number_is_refused(self, text):
        assert not banking.is_routing_number(text)

    def test_with_one_changed_digit_is_refused(self):
        valid = "021000021"
        for index, digit in enumerate(valid):
            for other in set("0123456789") - {digit}:
                assert not banking.is_routing_number(valid[:index] + other + valid[index + 1 :])


class TestAccountNumber:
    @pytest.mark.parametrize("text", ["1234", "000123456789", "1" * 17])
    def test_of_4_to_17_digits_is_accepted(self, text):
        assert banking.is_account_number(text)

    @pytest.mark.parametrize("text", ["123", "1" * 18, "12-34", "12 34", "١٢٣٤", "12345\n", ""])
    def test_of_other_text_is_refused(self, text):
        assert not banking.is_account_number(text)


class TestBankName:
    def test_of_large_banks_is_known(self):
        assert banking.bank_name("021000021") == "JPMorgan Chase Bank"
        assert banking.bank_name("124003116") == "Ally Bank"
        assert banking.bank_name("091000022") == "U.S. Bank"

    def test_of_unlisted_number_is_empty(self):
        assert banking.bank_name("110000000") == ""
        assert banking.bank_name("nonsense") == ""

    def test_list_has_only_valid_routing_numbers_each_once(self):
        numbers = [
            number
            for line in banking._DIRECTORY.read_text().splitlines()
            if line and not line.startswith("#")
            for number in line.split(":")[1].split()
        ]

        assert [number for number in numbers if not banking.is_routing_number(number)] == []
        assert len(numbers) == len(set(numbers))
