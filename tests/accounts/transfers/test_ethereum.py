"""Address checksums (EIP-55) and payment URIs (EIP-681)."""

from decimal import Decimal

import pytest

from accounts.transfers import ethereum

# The examples of EIP-55.
EXAMPLES = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]
ADDRESS = EXAMPLES[4]
TOKEN = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"


@pytest.mark.parametrize("address", EXAMPLES)
def test_checksum_matches_the_examples_of_eip_55(address):
    assert ethereum.checksum(address) == address
    assert ethereum.checksum(address.lower()) == address
    assert ethereum.checksum("0x" + address[2:].upper()) == address


class TestAddress:
    @pytest.mark.parametrize("text", [*EXAMPLES, ADDRESS.lower(), "0x" + ADDRESS[2:].upper()])
    def test_with_valid_checksum_or_without_one_is_accepted(self, text):
        assert ethereum.is_address(text)

    @pytest.mark.parametrize(
        "text",
        [
            ADDRESS.replace("A", "a", 1),  # a wrong checksum
            ADDRESS[:-1] + "e",
            ADDRESS[2:],
            "0X" + ADDRESS[2:],
            ADDRESS + "0",
            ADDRESS[:-1],
            f" {ADDRESS}",
            f"{ADDRESS}\n",
            "0x" + "0" * 40,
            "0x" + "g" * 40,
            "0x" + "٠" * 40,
            "vitalik.eth",
            "",
        ],
    )
    def test_other_text_is_refused(self, text):
        assert not ethereum.is_address(text)

    def test_without_checksum_is_recognized(self):
        assert ethereum.is_single_case(ADDRESS.lower())
        assert not ethereum.is_single_case(ADDRESS)


class TestPaymentUri:
    def test_has_token_chain_recipient_and_units(self):
        uri = ethereum.payment_uri(
            ADDRESS.lower(), amount=Decimal("12.50000000"), token=TOKEN.lower(), chain_id=1
        )

        assert uri == f"ethereum:{TOKEN}@1/transfer?address={ADDRESS}&uint256=12500000"

    @pytest.mark.parametrize("amount", ["0.0000001", "0", "-1"])
    def test_refuses_an_amount_the_token_cannot_represent(self, amount):
        with pytest.raises(AssertionError):
            ethereum.payment_uri(ADDRESS, amount=Decimal(amount), token=TOKEN, chain_id=1)
