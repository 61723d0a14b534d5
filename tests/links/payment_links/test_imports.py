"""Many links out of one file: read in every spelling, looked at, confirmed, made once."""

import csv
import hashlib
import io
import re
import time
from contextlib import suppress
from datetime import UTC, timedelta
from decimal import Decimal
from importlib import import_module
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection, transaction

from accounts.organizations.models import Membership
from accounts.wallets import services as wallets
from links.payment_links import tasks
from links.payment_links.models import BatchRow, LinkBatch, PaymentLink
from links.payment_links.services import (
    import_files,
    import_rows,
    import_uploads,
    imports,
    payment_links,
)
from tests import world
from tests.accounts.payments.test_crashes import Strike
from tests.links.payment_links.test_link_pages import text_of
from tests.world import available_of, everything
from wallgent import clock, ids
from wallgent.errors import InvalidState, RateLimitExceeded

HEAD = "direction,wallet,amount,currency,description,email,expires_at,max_uses,metadata.invoice"


@pytest.fixture
def ada(acme):
    return world.make_member(acme, "MEMBER")


@pytest.fixture
def browser(ada):
    return world.browser(ada)


@pytest.fixture
def at(acme):
    def at(*rest, environment="sandbox"):
        return "/".join([f"/{acme.id}/{environment}/payment-links/bulk", *rest])

    return at


@pytest.fixture
def send(browser, at, wallet):
    """Send a file through the page; what it answers."""

    def send(content, name="links.csv", **options):
        if isinstance(content, str):
            content = content.encode()
        file = SimpleUploadedFile(name, content, content_type="text/csv")
        return browser.post(at(), {"submission": ids.new("sub"), "file": file}, **options)

    return send


@pytest.fixture
def read(acme, wallet):
    """The rows of a file as they are kept."""

    def read(text, **more):
        content = text if isinstance(text, bytes) else text.encode()
        actor = world.actor_for(acme)
        reading = import_uploads.read(content, actor=actor, zone=more.get("zone", UTC))
        batch = import_uploads.keep(reading, actor=actor, file_name="links.csv")
        return list(batch.rows.order_by("number"))

    return read


@pytest.fixture
def order(send, browser, at):
    """Send a file and confirm it; the batch."""

    def order(text):
        answer = send(text)
        assert answer.status_code == 302, text_of(answer)
        batch = LinkBatch.objects.latest("pk")
        answer = browser.post(at(batch.id), {"submission": ids.new("sub")})
        assert (answer.status_code, answer.url) == (303, at(batch.id))
        return batch

    return order


def work_off(batch):
    """As the worker would."""
    while imports.work(batch.id):
        pass
    batch.refresh_from_db()
    return batch


def refusal_of(answer) -> str:
    assert answer.status_code == 422
    assert not LinkBatch.objects.exists()
    return " ".join(answer.context["form"].errors["file"])


class TestReading:
    def test_takes_every_column(self, read, wallet):
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

    def test_needs_only_wallet_and_amount(self, read, wallet):
        (row,) = read("Amount;Wallet\n5;research AGENT\n")

        assert (row.status, row.terms["wallet"]) == ("READY", wallet.id)
        assert (row.terms["direction"], row.terms["max_uses"]) == ("RECEIVE", 1)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("line", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("delimiter", [",", ";"])
    def test_takes_the_spellings_of_spreadsheets(self, read, encoding, line, delimiter):
        rows = [["wallet", "amount", "description"], ["Research agent", "5", '"Grüße, „שלום“; 🦉"']]
        text = line.join(delimiter.join(row) for row in rows) + line + line

        (row,) = read(text.encode(encoding))

        assert row.terms["description"] == "Grüße, „שלום“; 🦉"

    def test_counts_rows_as_a_spreadsheet_does(self, read):
        text = 'wallet,amount,description\nResearch agent,5,"two\nlines"\n,,\nResearch agent,6,\n'

        assert [row.number for row in read(text)] == [2, 4]

    def test_reads_times_in_the_senders_zone(self, read):
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
    def test_names_row_column_and_what_to_do(self, read, cells, column, word):
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

    def test_tells_all_that_is_wrong_in_a_row(self, read):
        (row,) = read("wallet,amount,max_uses\nNobody's,x,0\n")

        assert [column for column, _ in row.problems] == ["wallet", "amount", "max_uses"]

    def test_of_two_wallets_of_a_name_asks_which(self, read, acme):
        world.make_wallet(acme, "research agent")

        (row,) = read("wallet,amount\nResearch Agent,5\n")

        assert "Several wallets" in row.problems[0][1]

    def test_knows_no_wallet_that_is_closed_foreign_or_elsewhere(
        self, read, acme, shop, savings, live_wallet
    ):
        wallets.close(savings, actor=world.actor_for(acme))

        rows = read(f"wallet,amount\n{shop.id},5\n{live_wallet.id},5\n{savings.id},5\n")

        assert [row.status for row in rows] == ["WRONG"] * 3

    def test_of_a_row_that_is_too_wide(self, read):
        (row,) = read("wallet,amount\nResearch agent,5,\nResearch agent,5,6\n")[1:]

        assert "more cells" in row.problems[0][1]

    def test_of_fifty_thousand_rows_is_quick(self, acme, wallet):
        expiry = f"{clock.real_now().year + 1}-01-01"
        line = f"SEND,{wallet.id},25.00,USD,Prize,ada@example.com,{expiry},1,A-1\n"
        content = f"{HEAD}\n{line * 50_000}".encode()
        started = time.process_time()

        actor = world.actor_for(acme)
        reading = import_uploads.read(content, actor=actor, zone=UTC)
        batch = import_uploads.keep(reading, actor=actor, file_name="links.csv")

        assert time.process_time() - started < 10  # of this process: the machine may be busy
        assert imports.counts(batch)["READY"] == 50_000
        (total,) = batch.totals
        assert (total["count"], total["total"]) == (50_000, "1250000.00")


class TestRefusing:
    @pytest.mark.parametrize(
        ("content", "word"),
        [
            (b"", "empty"),
            (b"\n \n", "empty"),
            (b"\xef\xbb\xbf", "empty"),
            (b"wallet,amount\n", "no row below"),
            (b"wallet,amount\n,\n", "no row below"),
            ("wallet,amount,description\nx,5,Grüße".encode("latin-1"), "not in UTF-8"),
            ("wallet,amount\nx,5".encode("utf-16-le"), "not text"),
            ("wallet,amount\nx,5".encode("utf-32"), "not in UTF-8"),
            (b"\xff\xfe\x00\xd8", "not in UTF-8"),
            (b"PK\x03\x04\0\0\0\0", "not text"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not text"),
            (b"wallet,amount\n" + b"x" * 5000 + b"\0,5\n", "not text"),
            (b'wallet,amount\n"x,5\n', "quotation marks"),
            (b'wallet,amount\n"x"y,5\n', "quotation marks"),
            (b"wallet,amount\n" + b"x" * 140_000 + b",5\n", "cannot be read|CSV file we can read"),
            (b"wallet\nx\n", "column “amount” is missing"),
            (b"amount\n5\n", "column “wallet” is missing"),
            (b"wallet,amount,Amount\nx,5,6\n", "there twice"),
            (b"wallet,amount,colour\nx,5,red\n", "no column “colour”"),
            (b"wallet,amount,metadata.\nx,5,red\n", "no column “metadata.”"),
            (b"<html>\n<body>\n", "no column “<html>”"),
            (b"wallet,,amount\nx,,5\n", "has no name"),
            (b"wallet,amount" + b",metadata.a" * 61 + b"\nx,5\n", "more than 60"),
            (b"wallet,amount\n" + b"x,5\n" * 50_001, "more than 50,000 rows"),
            (b"wallet,amount\n" + b"x" * (5 * 1024 * 1024), "larger than 5 MB"),
        ],
        ids=range(25),
    )
    def test_says_beside_the_file_what_to_do(self, send, content, word):
        said = refusal_of(send(content))

        assert any(one in said for one in word.split("|")), said

    def test_asks_for_a_file(self, browser, at):
        said = refusal_of(browser.post(at(), {"submission": ids.new("sub")}))

        assert said == "Choose a file."

    def test_who_is_stopped_on_the_way_is_told_on_the_page(self, browser, at):
        assert "larger than 5 MB" in text_of(browser.get(at(), {"too-large": "1"}))
        assert "Send yours again" in text_of(browser.get(at(), {"busy": "1"}))

    def test_many_files_within_an_hour(self, send, monkeypatch):
        monkeypatch.setattr(import_uploads, "FILES_PER_HOUR", 1)
        assert send("wallet,amount\nx,5\n").status_code == 302

        answer = send("wallet,amount\nx,5\n")

        assert answer.status_code == 422
        assert "a little later" in text_of(answer)

    @pytest.mark.django_db(transaction=True)
    def test_of_many_files_at_once_so_many_are_kept(self, acme, wallet, monkeypatch):
        monkeypatch.setattr(import_uploads, "FILES_PER_HOUR", 2)
        actor = world.actor_for(acme)

        def upload(number):
            content = b"wallet,amount\nResearch agent,5\n"
            with suppress(RateLimitExceeded):
                reading = import_uploads.read(content, actor=actor, zone=UTC)
                with transaction.atomic():
                    import_uploads.keep(reading, actor=actor, file_name="links.csv")

        world.in_parallel(8, upload)

        assert LinkBatch.objects.count() == 2


class TestLooking:
    def test_the_example_would_do_as_it_is(self, send, browser, at, wallet):
        example = browser.get(at()).context["example"]

        assert send(example).status_code == 302
        assert imports.counts(LinkBatch.objects.get())["READY"] == 2

    def test_makes_nothing(self, send, browser, at, wallet):
        send(f"{HEAD}\nSEND,{wallet.id},5,,,,,,\n")
        before = everything()

        batch = LinkBatch.objects.get()
        text = text_of(browser.get(at(batch.id)))

        assert "1 link will be made" in text
        assert "not enough for all of them" in text
        assert not PaymentLink.objects.exists()
        assert everything() == before

    def test_says_of_a_frozen_wallet_that_nothing_is_paid_from_it(
        self, send, browser, at, wallet, acme
    ):
        wallets.freeze(wallet, actor=world.actor_for(acme))
        send(f"{HEAD}\nSEND,{wallet.id},5,,,,,,\n")

        assert "This wallet is frozen" in text_of(browser.get(at(LinkBatch.objects.get().id)))

    def test_shows_each_row_with_its_number_and_what_to_do(self, send, browser, at):
        send("wallet,amount,description\nResearch agent,5,Prize\nResearch agent,x,Rent\n")

        text = text_of(browser.get(at(LinkBatch.objects.get().id)))

        assert "1 of 2 rows has errors and will be left out" in text
        assert "3 Has errors amount : Write an amount above zero" in text
        assert "Prize" in text
        assert "Rent" in text

    def test_every_file_is_found_again(self, send, browser, at):
        for number in range(26):
            assert send("wallet,amount\nx,5\n", name=f"file {number:02}.csv").status_code == 302

        pages = [text_of(browser.get(at(), {"page": page})) for page in "12"]

        assert "file 25.csv" in pages[0]
        assert "file 00.csv" not in pages[0]
        assert "file 00.csv" in pages[1]

    def test_narrows_to_what_is_wrong(self, send, browser, at):
        send("wallet,amount,description\nResearch agent,5,Prize\nResearch agent,x,Rent\n")

        text = text_of(browser.get(at(LinkBatch.objects.get().id), {"status": "WRONG"}))

        assert "Rent" in text
        assert "Prize" not in text

    def test_shows_formulas_as_text(self, send, browser, at):
        formula = '=HYPERLINK("http://evil.example")'
        quoted = formula.replace('"', '""')
        send(f'wallet,amount,description\nResearch agent,5,"{quoted}"\n')

        page = browser.get(at(LinkBatch.objects.get().id))

        assert f"{formula} (kept as text)" in text_of(page)
        assert 'href="http://evil' not in page.content.decode()

    def test_with_no_good_row_offers_nothing_to_confirm(self, send, browser, at):
        send("wallet,amount\nx,y\n")
        batch = LinkBatch.objects.get()

        assert "No row can become a link" in text_of(browser.get(at(batch.id)))
        answer = browser.post(at(batch.id), {"submission": ids.new("sub")})
        assert answer.status_code == 422
        assert "Correct it" in text_of(answer)

    def test_warns_of_a_file_that_was_used_before(self, order, send, browser, at):
        text = "wallet,amount\nResearch agent,5\n"
        order(text)
        send(text)

        again = LinkBatch.objects.latest("pk")

        assert "made from this very file before" in text_of(browser.get(at(again.id)))

    def test_a_file_from_before_its_digest_was_keyed_is_still_known(self, order, send, browser, at):
        text = "wallet,amount\nResearch agent,5\n"
        order(text)
        before = LinkBatch.objects.latest("pk")
        plain = hashlib.sha256(text.encode()).digest()
        assert bytes(before.digest) != plain
        LinkBatch.objects.filter(pk=before.pk).update(digest=plain)

        migration = import_module("links.migrations.0006_keyed_file_digests")
        migration.key_digests(apps, None)
        send(text)

        again = LinkBatch.objects.latest("pk")
        assert bytes(again.digest) == bytes(LinkBatch.objects.get(pk=before.pk).digest)
        assert "made from this very file before" in text_of(browser.get(at(again.id)))

    def test_confirmed_in_two_tabs_is_made_twice_only_after_a_warning(self, send, browser, at):
        for _ in "12":
            send("wallet,amount\nResearch agent,5\n")
        first, second = LinkBatch.objects.order_by("pk")
        both = [at(batch.id) for batch in (first, second)]
        assert "very file before" not in "".join(text_of(browser.get(path)) for path in both)

        answers = [browser.post(path, {"submission": ids.new("sub")}) for path in both]

        assert [answer.status_code for answer in answers] == [303, 422]
        assert "made from this very file meanwhile" in text_of(answers[1])
        assert f'name="warned_of" value="{first.id}"' in answers[1].content.decode()
        said = {"submission": ids.new("sub"), "warned_of": first.id}
        assert browser.post(both[1], said).status_code == 303

    @pytest.mark.django_db(transaction=True)
    def test_confirmed_in_two_tabs_at_once_is_made_once(self, read, acme, wallet):
        read("wallet,amount\nResearch agent,5\n")
        read("wallet,amount\nResearch agent,5\n")
        both = list(LinkBatch.objects.order_by("pk"))
        actor = world.actor_for(acme)

        def confirm(number):
            try:
                return imports.confirm(both[number], actor=actor).id
            except InvalidState:
                return None

        assert sum(map(bool, world.in_parallel(2, confirm))) == 1

    def test_adds_up_more_than_one_link_may_hold(self, send, browser, at):
        send("wallet,amount\nResearch agent,999999999999\nResearch agent,999999999999\n")

        page = browser.get(at(LinkBatch.objects.get().id))

        assert "1,999,999,999,998.00" in text_of(page)

    def test_is_for_its_own_organization_environment_and_roles(self, send, acme, globex, at):
        send("wallet,amount\nResearch agent,5\n")
        batch = LinkBatch.objects.get()
        viewer = world.browser(world.make_member(acme, "VIEWER"))
        owner = world.browser(world.make_member(acme, "OWNER"))
        stranger = world.browser(world.make_member(globex, "OWNER"))

        assert viewer.get(at(batch.id)).status_code == 403
        assert viewer.get(at(batch.id), {"download": "csv"}).status_code == 403
        assert owner.get(at(batch.id)).status_code == 200
        assert owner.get(at(batch.id, environment="production")).status_code == 404
        assert stranger.get(at(batch.id)).status_code == 404
        foreign = at(batch.id).replace(acme.id, globex.id)
        assert stranger.get(foreign).status_code == 404
        assert stranger.post(foreign, {"submission": ids.new("sub")}).status_code == 404
        batch.refresh_from_db()
        assert batch.status == "DRAFT"

    def test_a_file_nobody_confirmed_is_forgotten_after_a_week(self, send, order):
        kept = order("wallet,amount\nResearch agent,5\n")
        send("wallet,amount\nResearch agent,6\n")
        LinkBatch.objects.update(uploaded_at=clock.real_now() - timedelta(days=8))

        tasks.forget_files()

        assert list(LinkBatch.objects.all()) == [kept]
        assert BatchRow.objects.count() == 1


class TestMaking:
    def test_makes_each_good_row_as_it_says(self, order, wallet, ada):
        world.fund(wallet, "100")
        batch = work_off(
            order(
                f"{HEAD}\nSEND,{wallet.id},5,USD,Prize,ada@example.com,,2,A-1\n"
                f"RECEIVE,{wallet.id},7,,Rent,,2099-01-01,,\nSEND,{wallet.id},x,,,,,,\n"
            )
        )

        prize, rent = PaymentLink.objects.order_by("pk")
        assert batch.status == "DONE"
        assert (prize.direction, prize.amount, prize.max_uses) == ("SEND", Decimal(5), 2)
        assert (prize.description, prize.emails) == ("Prize", ["ada@example.com"])
        assert prize.metadata == {"invoice": "A-1"}
        assert (rent.direction, rent.expires_at.year, rent.metadata) == ("RECEIVE", 2099, None)
        assert available_of(wallet) == Decimal(90)
        (made, _) = world.facts_of(wallet.organization, "payment_link.created")
        assert made.actor_id == ada.id

    def test_says_which_rows_the_money_did_not_reach(self, order, wallet, browser, at):
        world.fund(wallet, "12")
        batch = work_off(order("direction,wallet,amount\n" + "SEND,Research agent,5\n" * 3))

        rows = list(batch.rows.order_by("number"))
        assert [row.status for row in rows] == ["CREATED", "CREATED", "REFUSED"]
        text = text_of(browser.get(at(batch.id)))
        assert "Done" in text
        assert "3 of 3" in text
        assert "2 made, 1 refused" in text
        assert "does not cover this link" in text

    def test_confirmed_twice_is_made_once(self, order, browser, at):
        batch = order("wallet,amount\nResearch agent,5\n")
        work_off(batch)

        answer = browser.post(at(batch.id), {"submission": ids.new("sub")})
        work_off(batch)

        assert answer.status_code == 422
        assert PaymentLink.objects.count() == 1

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("error", [RuntimeError("a bug"), SystemExit("killed")])
    def test_killed_anywhere_goes_on_and_makes_each_row_once(self, order, wallet, error, acme):
        world.fund(wallet, "100")
        number, batch = 0, None
        while batch is None or batch.status != "DONE":
            batch = batch or order("direction,wallet,amount\n" + "SEND,Research agent,5\n" * 4)
            number += 1
            strike = Strike(number, error)
            try:
                with connection.execute_wrapper(strike):
                    imports.work(batch.id)
            except (RuntimeError, SystemExit):
                pass
            # Nobody gave the lease back: its time runs out.
            LinkBatch.objects.update(tended_at=None)
            batch.refresh_from_db()
            made = PaymentLink.objects.count()
            assert batch.rows.filter(status="CREATED").count() == made <= 4
            assert number < 500

        refused = batch.rows.filter(status="REFUSED").count()
        assert made + refused == 4
        assert available_of(wallet) == 100 - 5 * made
        if isinstance(error, SystemExit):
            assert made == 4

    def test_a_row_that_cannot_be_made_keeps_no_other_waiting(self, order, monkeypatch):
        create = payment_links.create

        def failing(**said):
            if said["amount"] == 6:
                raise RuntimeError("a bug")
            return create(**said)

        monkeypatch.setattr(payment_links, "create", failing)
        batch = work_off(order("wallet,amount\nResearch agent,6\nResearch agent,7\n"))

        assert [row.status for row in batch.rows.order_by("number")] == ["REFUSED", "CREATED"]
        assert "our side" in batch.rows.get(number=2).problems[0][1]

    def test_a_busy_database_leaves_the_rows_for_later(self, order, monkeypatch):
        batch = order("wallet,amount\nResearch agent,6\n")
        with monkeypatch.context() as patch:
            patch.setattr(payment_links, "create", _busy)
            assert imports.work(batch.id) is False
        assert [row.status for row in batch.rows.all()] == ["READY"]
        assert imports.available() == [batch.id]

        assert work_off(batch).status == "DONE"

    def test_one_worker_has_it_in_hand_until_its_lease_runs_out(self, order):
        batch = order("wallet,amount\nResearch agent,6\n")
        LinkBatch.objects.update(tended_at=clock.real_now())

        assert imports.available() == []
        assert imports.work(batch.id) is False
        assert not PaymentLink.objects.exists()

        LinkBatch.objects.update(tended_at=clock.real_now() - timedelta(seconds=16))
        assert imports.available() == [batch.id]
        assert work_off(batch).status == "DONE"

    @pytest.mark.django_db(transaction=True)
    def test_two_workers_make_each_row_once(self, order, wallet):
        world.fund(wallet, "1000")
        batch = order("direction,wallet,amount\n" + "SEND,Research agent,5\n" * 30)
        actor = imports._actor(LinkBatch.objects.get())
        rows = list(batch.rows.all())

        world.in_parallel(3, lambda _: [imports._settle(row, actor) for row in rows])

        assert PaymentLink.objects.count() == 30
        assert available_of(wallet) == Decimal(850)

    @pytest.mark.parametrize("lost", ["role", "account"])
    def test_stops_when_whoever_confirmed_may_no_longer(self, order, ada, at, acme, lost):
        batch = order("wallet,amount\nResearch agent,6\n")
        if lost == "role":
            Membership.objects.filter(user=ada).update(role="VIEWER")
        else:
            type(ada).objects.filter(pk=ada.pk).update(is_active=False)

        work_off(batch)

        assert batch.status == "STOPPED"
        assert not PaymentLink.objects.exists()
        owner = world.browser(world.make_member(acme, "OWNER"))
        assert "may no longer make links" in text_of(owner.get(at(batch.id)))

    def test_is_begun_by_the_sweep_if_nobody_was_woken(self, order, monkeypatch):
        batch = order("wallet,amount\nResearch agent,6\n")
        woken = []
        monkeypatch.setattr(tasks, "wake", lambda task, id: woken.append((task, id)))

        tasks.tend_batches()
        tasks.create_links(batch.id)
        tasks.tend_batches()

        assert woken == [(imports.TASK, batch.id)]
        assert PaymentLink.objects.count() == 1

    def test_large_ones_let_others_have_their_turn(self, order, monkeypatch):
        batch = order("wallet,amount\n" + "Research agent,6\n" * 30)
        monkeypatch.setattr(imports, "WORK_SECONDS", 0)
        woken = []
        monkeypatch.setattr(tasks, "wake", lambda *call: woken.append(call))

        tasks.create_links(batch.id)

        assert woken == [(imports.TASK, batch.id)]

    def test_many_leave_most_workers_to_others_and_take_turns(self, order, monkeypatch):
        made = [order("wallet,amount\n" + "Research agent,6\n" * (60 + n)) for n in range(3)]
        first, second, third = (batch.id for batch in made)
        monkeypatch.setattr(imports, "WORK_SECONDS", 0)
        woken, turns = [], []
        monkeypatch.setattr(tasks, "wake", lambda task, id: woken.append(id))

        tasks.tend_batches()
        assert woken == [first, second], "as many as workers may have in hand"
        LinkBatch.objects.filter(pk__in=woken).update(tended_at=clock.real_now())
        assert imports.work(third) is False, "there is no place for it"
        assert not PaymentLink.objects.exists()

        LinkBatch.objects.filter(pk=first).update(tended_at=None)
        for _ in range(4):
            turns.append(imports.available()[0])
            tasks.create_links(turns[-1])
        assert turns == [first, third, first, third]

    @pytest.mark.django_db(transaction=True)
    def test_workers_that_come_at_once_take_no_more_than_they_may(self, order, wallet):
        made = [order("wallet,amount\n" + "Research agent,6\n" * (1 + n)) for n in range(4)]

        taken = world.in_parallel(4, lambda n: imports._take(made[n].id))

        assert sorted(taken) == [False] * (4 - imports.AT_ONCE) + [True] * imports.AT_ONCE

    def test_shows_how_far_it_is_and_asks_again_by_itself(self, order, browser, at):
        batch = order("wallet,amount\n" + "Research agent,6\n" * 30)
        imports._next_rows(batch.id)
        LinkBatch.objects.update(tended_at=None)

        page = browser.get(at(batch.id))
        asking = {"HX-Request": "true", "HX-Target": "progress"}
        part = browser.get(at(batch.id), headers=asking)

        assert "25 of 30" in text_of(page)
        assert 'hx-trigger="every 2s"' in page.content.decode()
        assert 'href="' + at(batch.id) + '">Refresh' in page.content.decode()
        assert 'value="25" max="30"' in part.content.decode()
        assert "What the file says" not in part.content.decode(), "nobody loses their place"

        work_off(batch)
        last = browser.get(at(batch.id), headers=asking)
        assert "every 2s" not in last.content.decode()
        assert "What the file says" in last.content.decode()
        assert (last.headers["HX-Retarget"], last.headers["HX-Reselect"]) == ("#rows", "#rows")


def _busy(**said):
    raise OperationalError("lock timeout")


class TestDownloading:
    def test_gives_the_file_back_with_addresses_and_problems(self, order, browser, at, wallet):
        world.fund(wallet, "5")
        batch = work_off(
            order(
                "direction;wallet;amount;description\nSEND;Research agent;5;Grüße\n"
                "SEND;Research agent;5;Rent\nRECEIVE;Research agent;x;Wrong\n"
            )
        )

        answer = browser.get(at(batch.id), {"download": "csv"})

        assert answer.headers["Content-Type"] == "text/csv"
        assert f'filename="{batch.id}.csv"' in answer.headers["Content-Disposition"]
        text = answer.content.decode("utf-8-sig")
        made, refused, wrong = csv.DictReader(io.StringIO(text))
        link = PaymentLink.objects.get()
        assert (made["row"], made["url"], made["link_id"]) == ("2", link.url, link.id)
        assert (made["status"], made["description"]) == ("Created", "Grüße")
        assert (refused["status"], refused["url"]) == ("Refused", "")
        assert "does not cover" in refused["problem"]
        assert wrong["problem"].startswith("amount: Write an amount")

    def test_gives_what_was_left_out_to_be_corrected_and_sent_again(
        self, order, send, browser, at, wallet
    ):
        world.fund(wallet, "5")
        batch = work_off(
            order(
                "direction,wallet,amount\nSEND,Research agent,5\n"
                "SEND,Research agent,6\nSEND,Research agent,x\n"
            )
        )
        assert "download=left-out" in browser.get(at(batch.id)).content.decode()
        LinkBatch.objects.update(status="CREATING", finished_at=None)
        batch.rows.filter(number=3).update(status="READY")
        batch.refresh_from_db()
        actor = world.actor_for(wallet.organization)
        rows = imports.exported(batch, actor=actor, left_out=True)
        assert "Research agent,6" not in "".join(rows)
        LinkBatch.objects.update(status="DONE", finished_at=clock.real_now())
        batch.rows.filter(number=3).update(status="REFUSED")

        answer = browser.get(at(batch.id), {"download": "left-out"})
        text = answer.content.decode("utf-8-sig")

        refused, wrong = csv.DictReader(io.StringIO(text))
        assert (refused["amount"], wrong["amount"]) == ("6", "x")
        assert refused["problem"] == ""
        assert wrong["problem"].startswith("amount: Write an amount")
        assert send(text.replace("agent,x", "agent,7")).status_code == 302
        again = LinkBatch.objects.latest("pk")
        assert imports.counts(again) == imports.counts(again) | {"ALL": 2, "READY": 2}
        twice = browser.get(at(again.id), {"download": "left-out"})
        assert twice.content.count(b"problem") == 1

    @pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "＝1", "\t=1", "\r=1"])
    def test_gives_no_formula_back(self, cell):
        ((read,),) = csv.reader(io.StringIO(import_files.written([[cell]]), newline=""))

        assert read == f"'{cell}"

    @pytest.mark.parametrize("cell", ["x;=1+1", "x\n=1+1;", 'x;"=1+1"', "x\t@SUM(A1)", "x; +1"])
    def test_gives_no_formula_back_where_cells_are_cut_elsewhere(self, cell):
        line = import_files.written([["a", cell]])

        assert not re.search(r"""[;\t\r\n][\s"]*[=+@-]""", line)

    def test_gives_no_formula_back_in_whole(self, send, browser, at):
        send('metadata.=x,wallet,amount,description\n@a,Research agent,-5,"=1+1"\n')

        answer = browser.get(at(LinkBatch.objects.get().id), {"download": "csv"})

        text = answer.content.decode("utf-8-sig")
        for line in csv.reader(io.StringIO(text, newline="")):
            assert not [cell for cell in line if cell.startswith(("=", "+", "-", "@"))]
        assert "'=1+1" in text

    def test_is_read_in_parts_and_complete(self, read, monkeypatch, acme):
        monkeypatch.setattr(imports, "EXPORT_ROWS", 3)
        read("wallet,amount\n" + "Research agent,5\n" * 10)

        text = "".join(imports.exported(LinkBatch.objects.get(), actor=world.actor_for(acme)))

        assert len(text.splitlines()) == 11


def test_words_about_the_columns_name_each_that_is_read():
    meanings = import_rows.heading([name for name in import_rows.COLUMNS if "…" not in name])

    assert {*meanings, "metadata.…"} == set(import_rows.COLUMNS)


def test_mail_is_nobodys_business(send, mailoutbox):
    """An address in a row says who may use its link; nobody is written to."""
    send("wallet,amount,email\nResearch agent,5,ada@example.com\n")

    assert mailoutbox == []
