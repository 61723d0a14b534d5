"""Payment links created from CSV files: preview, money, downloads."""

import csv
import io
from decimal import Decimal

import pytest
from django.db import connection

from accounts.wallets import services as wallets
from links.payment_links.imports.kind import KIND
from links.payment_links.models import PaymentLink
from tests import due, world
from tests.accounts.payments.test_crashes import FailAt
from tests.importing import HEAD, finish
from tests.links.payment_links.test_link_pages import text_of
from tests.world import available_of, everything
from wallgent.due_work import worker as due_worker
from wallgent.imports import files, worker
from wallgent.imports.models import ImportFile


class TestPreview:
    def test_the_example_is_valid(self, send, browser, at, wallet):
        example = browser.get(at()).context["example"]

        assert send(example).status_code == 302
        assert files.counts(ImportFile.objects.get())["READY"] == 2

    def test_nothing_is_created(self, send, browser, at, wallet):
        send(f"{HEAD}\nSEND,{wallet.id},5,,,,,,\n")
        before = everything()

        file = ImportFile.objects.get()
        text = text_of(browser.get(at(file.id)))

        assert "1 link will be made" in text
        assert "not enough for all of them" in text
        assert not PaymentLink.objects.exists()
        assert everything() == before

    def test_a_frozen_wallet_is_pointed_out(self, send, browser, at, wallet, acme):
        wallets.freeze(wallet, actor=world.actor_for(acme))
        send(f"{HEAD}\nSEND,{wallet.id},5,,,,,,\n")

        assert "This wallet is frozen" in text_of(browser.get(at(ImportFile.objects.get().id)))

    def test_totals_may_exceed_the_limit_of_one_link(self, send, browser, at):
        send("wallet,amount\nResearch agent,999999999999\nResearch agent,999999999999\n")

        page = browser.get(at(ImportFile.objects.get().id))

        assert "1,999,999,999,998.00" in text_of(page)


class TestCreate:
    def test_each_good_row_becomes_a_link_with_its_terms(self, order, wallet, ada):
        world.fund(wallet, "100")
        file = finish(
            order(
                f"{HEAD}\nSEND,{wallet.id},5,USD,Prize,ada@example.com,,2,A-1\n"
                f"RECEIVE,{wallet.id},7,,Rent,,2099-01-01,,\nSEND,{wallet.id},x,,,,,,\n"
            )
        )

        prize, rent = PaymentLink.objects.order_by("pk")
        assert file.status == "DONE"
        assert (prize.direction, prize.amount, prize.max_uses) == ("SEND", Decimal(5), 2)
        assert (prize.description, prize.emails) == ("Prize", ["ada@example.com"])
        assert prize.metadata == {"invoice": "A-1"}
        assert (rent.direction, rent.expires_at.year, rent.metadata) == ("RECEIVE", 2099, None)
        assert available_of(wallet) == Decimal(90)
        (created, _) = world.events_of(wallet.organization, "payment_link.created")
        assert created.actor_id == ada.id

    def test_rows_beyond_the_available_balance_are_refused(self, order, wallet, browser, at):
        world.fund(wallet, "12")
        file = finish(order("direction,wallet,amount\n" + "SEND,Research agent,5\n" * 3))

        rows = list(file.rows.order_by("number"))
        assert [row.status for row in rows] == ["CREATED", "CREATED", "REFUSED"]
        text = text_of(browser.get(at(file.id)))
        assert "Done" in text
        assert "3 of 3" in text
        assert "2 made, 1 refused" in text
        assert "does not cover this link" in text

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("error", [RuntimeError("a bug"), SystemExit("killed")])
    def test_a_worker_that_dies_anywhere_creates_each_row_once(self, order, wallet, error, acme):
        world.fund(wallet, "100")
        number, file = 0, None
        while file is None or file.status != "DONE":
            file = file or order("direction,wallet,amount\n" + "SEND,Research agent,5\n" * 4)
            number += 1
            fail = FailAt(number, error)
            try:
                with connection.execute_wrapper(fail):
                    due_worker.work(worker.DUE_WORK)
            except (RuntimeError, SystemExit):
                pass
            # What failed waits, and a worker that died keeps its lease, for some seconds.
            due.make_due(file.id)
            due.lapse_leases()
            file.refresh_from_db()
            created = PaymentLink.objects.count()
            assert file.rows.filter(status="CREATED").count() == created <= 4
            assert number < 500

        refused = file.rows.filter(status="REFUSED").count()
        assert created + refused == 4
        assert available_of(wallet) == 100 - 5 * created
        if isinstance(error, SystemExit):
            assert created == 4

    @pytest.mark.django_db(transaction=True)
    def test_two_workers_create_each_row_once(self, order, wallet):
        world.fund(wallet, "1000")
        file = order("direction,wallet,amount\n" + "SEND,Research agent,5\n" * 30)
        actor = worker._confirmer(ImportFile.objects.get())
        rows = list(file.rows.all())

        world.in_parallel(
            3, lambda _: [worker._process(row, kind=KIND, actor=actor) for row in rows]
        )

        assert PaymentLink.objects.count() == 30
        assert available_of(wallet) == Decimal(850)

    def test_no_email_is_sent_to_addresses_in_rows(self, send, mailoutbox):
        send("wallet,amount,email\nResearch agent,5,ada@example.com\n")

        assert mailoutbox == []


class TestDownload:
    def test_has_urls_and_problems(self, order, browser, at, wallet):
        world.fund(wallet, "5")
        file = finish(
            order(
                "direction;wallet;amount;description\nSEND;Research agent;5;Grüße\n"
                "SEND;Research agent;5;Rent\nRECEIVE;Research agent;x;Wrong\n"
            )
        )

        answer = browser.get(at(file.id), {"download": "csv"})

        assert answer.headers["Content-Type"] == "text/csv"
        assert f'filename="{file.id}.csv"' in answer.headers["Content-Disposition"]
        text = answer.content.decode("utf-8-sig")
        created, refused, wrong = csv.DictReader(io.StringIO(text))
        link = PaymentLink.objects.get()
        assert (created["row"], created["url"], created["link_id"]) == ("2", link.url, link.id)
        assert (created["status"], created["description"]) == ("Created", "Grüße")
        assert (refused["status"], refused["url"]) == ("Failed", "")
        assert "does not cover" in refused["problem"]
        assert wrong["problem"].startswith("amount: Write an amount")
