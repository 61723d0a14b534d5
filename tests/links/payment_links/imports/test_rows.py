"""Rows of a CSV file read as payment links."""

import csv
import io
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from accounts.wallets import services as wallets
from links.payment_links.imports.kind import KIND
from tests import world
from tests.importing import HEAD
from wallgent import clock
from wallgent.imports import rows


class TestReadRow:
    def test_every_column_is_read(self, read, wallet):
        expiry = clock.real_now() + timedelta(days=9)
        (row,) = read(
            f"{HEAD}\nsend,{wallet.id},25.5,usd,Prize,Ada@Example.com,{expiry:%Y-%m-%d},3,A-1\n"
        )

        assert (row.number, row.status) == (2, "READY")
        assert row.terms == {
            "direction": "SEND",
            "wallet": wallet.id,
            "amount": "25.50",
            "currency": "USD",
            "description": "Prize",
            "email": "ada@example.com",
            "expires_at": f"{expiry:%Y-%m-%d}T23:59:59+00:00",
            "max_uses": 3,
            "metadata": {"invoice": "A-1"},
        }

    def test_only_wallet_and_amount_are_required(self, read, wallet):
        (row,) = read("Amount;Wallet\n5;research AGENT\n")

        assert (row.status, row.terms["wallet"]) == ("READY", wallet.id)
        assert (row.terms["direction"], row.terms["max_uses"]) == ("RECEIVE", 1)

    def test_times_are_in_the_zone_of_the_sender(self, read):
        year = clock.real_now().year + 1
        text = f"wallet,amount,expires_at\nResearch agent,5,{year}-01-02 17:00\n"
        text += f"Research agent,5,{year}-01-02T17:00Z\n"

        here, utc = read(text, zone=ZoneInfo("Europe/Berlin"))

        assert here.terms["expires_at"] == f"{year}-01-02T16:00:00+00:00"
        assert utc.terms["expires_at"] == f"{year}-01-02T17:00:00+00:00"

    @pytest.mark.parametrize(
        ("cells", "column", "word"),
        [
            ({"direction": "BOTH"}, "direction", "SEND or RECEIVE"),
            ({"wallet": ""}, "wallet", "Name the wallet"),
            ({"wallet": "Nobody's"}, "wallet", "no wallet of this name"),
            ({"wallet": "wal_1"}, "wallet", "no wallet of this name"),
            ({"amount": ""}, "amount", "above zero"),
            ({"amount": "0"}, "amount", "above zero"),
            ({"amount": "-5"}, "amount", "above zero"),
            ({"amount": "+5"}, "amount", "above zero"),
            ({"amount": "=5"}, "amount", "above zero"),
            ({"amount": "1e3"}, "amount", "above zero"),
            ({"amount": "5,00"}, "amount", "a point before its decimals"),
            ({"amount": "1.123456789"}, "amount", "above zero"),
            ({"amount": "٣"}, "amount", "above zero"),
            ({"amount": "999999999999", "max_uses": "2"}, "amount", "must stay below"),
            ({"currency": "USDC"}, "currency", "holds USD"),
            ({"currency": "EUR"}, "currency", "holds USD"),
            ({"description": "w" * 1025}, "description", "1,024"),
            ({"email": "ada"}, "email", "not an e-mail"),
            ({"email": "ada@" + ".".join(["e" * 60] * 5) + ".com"}, "email", "not an e-mail"),
            ({"expires_at": "soon"}, "expires_at", "2026-12-31"),
            ({"expires_at": "31.12.2026"}, "expires_at", "2026-12-31"),
            ({"expires_at": "20991231"}, "expires_at", "2026-12-31"),
            ({"expires_at": "2099-W01-1"}, "expires_at", "2026-12-31"),
            ({"expires_at": "2099-12-31 soon"}, "expires_at", "2026-12-31"),
            ({"expires_at": "0001-01-01T00:00+14:00"}, "expires_at", "2026-12-31"),
            ({"expires_at": "2020-01-01"}, "expires_at", "is over"),
            ({"max_uses": "0"}, "max_uses", "1 to 10,000"),
            ({"max_uses": "10001"}, "max_uses", "1 to 10,000"),
            ({"max_uses": "1.5"}, "max_uses", "1 to 10,000"),
            ({"max_uses": "²"}, "max_uses", "1 to 10,000"),
            ({"metadata.invoice": "w" * 17_000}, "metadata", "16 KiB"),
        ],
    )
    def test_a_problem_names_row_column_and_what_to_do(self, read, cells, column, word):
        good = {"wallet": "Research agent", "amount": "5"}
        lines = io.StringIO()
        writer = csv.DictWriter(lines, HEAD.split(","))
        writer.writeheader()
        writer.writerow(good)
        writer.writerow(good | cells)

        kept, wrong = read(lines.getvalue())

        assert kept.status == "READY"
        assert (wrong.number, wrong.status, wrong.terms) == (3, "WRONG", None)
        assert [found for found, _ in wrong.problems] == [column]
        assert word in wrong.problems[0][1]
        assert set(cells.values()) <= {*wrong.cells, ""}  # the input is kept

    def test_all_problems_of_a_row_are_reported(self, read):
        (row,) = read("wallet,amount,max_uses\nNobody's,x,0\n")

        assert [column for column, _ in row.problems] == ["wallet", "amount", "max_uses"]

    def test_a_name_of_two_wallets_is_a_problem(self, read, acme):
        world.make_wallet(acme, "research agent")

        (row,) = read("wallet,amount\nResearch Agent,5\n")

        assert "Several wallets" in row.problems[0][1]

    def test_a_closed_foreign_or_production_wallet_is_a_problem(
        self, read, acme, shop, savings, live_wallet
    ):
        wallets.close(savings, actor=world.actor_for(acme))

        rows = read(f"wallet,amount\n{shop.id},5\n{live_wallet.id},5\n{savings.id},5\n")

        assert [row.status for row in rows] == ["WRONG"] * 3


def test_each_column_is_described():
    named = [name for name in KIND.columns if not name.endswith("…")]

    assert {*rows.match_columns(named, kind=KIND), "metadata.…"} == set(KIND.columns)
