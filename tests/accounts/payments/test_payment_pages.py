"""The pages of payments for each role: list, send, details, reverse."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from accounts.payments.models import Payment
from accounts.payments.services import payments
from accounts.payments.services.payments import PaymentRequest
from accounts.wallets import services as wallets
from tests import world
from tests.world import available_of, balance_of, fund, unknown_id
from wallgent import clock, ids

HOSTILE_TEXT = "<script>alert(1)</script> ‮שלום 🦉"


@pytest.fixture
def owner(acme):
    return world.browser(world.make_member(acme, "OWNER"))


def url(organization, path, environment="sandbox"):
    return f"/{organization.id}/{environment}/payments{path}"


def review(client, organization, data) -> str:
    """Submit the form and return the review page."""
    answer = client.post(url(organization, "/new"), data)
    assert answer.status_code == 303
    return client.get(answer.url).content.decode()


def form_data(wallet, *, own=None, other=None, amount="25", step="send", **more):
    return {
        "submission": ids.new("sub"),
        "sender": wallet.id,
        "own": own.id if own else "",
        "other": other.id if other else "",
        "amount": amount,
        "description": "",
        "step": step,
        **more,
    }


def pay(sender, recipient, amount="5", **more) -> Payment:
    actor = world.actor_for(sender.organization, sender.environment)
    request = PaymentRequest(sender=sender, recipient=recipient, amount=Decimal(amount), **more)
    return payments.create(request, actor=actor)


def hidden(html: str, name: str) -> str:
    """Return the value of a hidden field."""
    tag = re.search(rf'<input type="hidden" name="{name}"[^>]*>', html)[0]
    found = re.search(r'value="([^"]*)"', tag)
    return found[1] if found else ""


class TestSend:
    def test_url_fills_in_the_form_but_not_its_one_time_key(self, owner, acme, wallet):
        spent = ids.new("sub")

        html = owner.get(url(acme, f"/new?amount=7.25&submission={spent}")).content.decode()

        assert 'value="7.25"' in html
        assert hidden(html, "submission") not in ("", spent)

    def test_form_shows_available_balances(self, owner, acme, wallet):
        fund(wallet, "1250.5")

        html = owner.get(url(acme, "/new")).content.decode()

        assert "Research agent ($1,250.50 available)" in html

    def test_review_shows_the_totals_and_moves_nothing(self, owner, acme, wallet, shop):
        fund(wallet, "100")
        before = world.everything()
        data = form_data(wallet, other=shop, amount="40", step="review", description=HOSTILE_TEXT)

        html = review(owner, acme, data)

        for text in ("40.00", "0.25", "40.25", "59.75", shop.id, escape(HOSTILE_TEXT)):
            assert text in html
        assert "Globex" not in html, "no money has moved between the two yet"
        assert "<script>alert" not in html
        assert hidden(html, "submission") == data["submission"]
        assert world.everything() == before

    def test_review_names_an_organization_paid_before(self, owner, acme, wallet, shop):
        fund(wallet, "100")
        pay(wallet, shop)

        html = review(owner, acme, form_data(wallet, other=shop, step="review"))

        assert "Globex" in html
        assert "Shop" not in html, "wallet names are private to their organization"

    def test_pays_and_redirects_to_the_payment(self, owner, acme, wallet, shop):
        fund(wallet, "100")

        answer = owner.post(
            url(acme, "/new"), form_data(wallet, other=shop, amount="40", description="Invoice 7")
        )

        payment = Payment.objects.get()
        assert (answer.status_code, answer.url) == (303, url(acme, f"/{payment.id}"))
        assert (payment.status, payment.kind, payment.fee) == ("POSTED", "PAYMENT", Decimal("0.25"))
        assert (balance_of(wallet), balance_of(shop)) == (Decimal("59.75"), 40)
        html = owner.get(answer.url).content.decode()
        assert "Payment sent." in html
        assert "Invoice 7" in html

    def test_payment_between_own_wallets_is_free(self, owner, acme, wallet, savings):
        fund(wallet, "100")
        data = form_data(wallet, own=savings, amount="100")

        html = review(owner, acme, data | {"step": "review"})
        owner.post(url(acme, "/new"), data)

        assert "Free between your wallets" in html
        assert "Savings" in html
        assert Payment.objects.get().kind == "INTERNAL"
        assert (balance_of(wallet), balance_of(savings)) == (0, 100)

    def test_change_returns_to_the_filled_form(self, owner, acme, wallet, shop):
        fund(wallet, "100")
        data = form_data(wallet, other=shop, amount="40", description="Lunch", step="review")
        change = re.search(r'href="([^"]*\?draft=[^"]*)"', review(owner, acme, data))[1]

        html = owner.get(change).content.decode()

        assert f'<option value="{wallet.id}" selected>' in html
        for value in (shop.id, "40", "Lunch"):
            assert f'value="{value}"' in html
        assert hidden(html, "submission") == data["submission"]

    def test_same_form_sent_twice_pays_once(self, owner, acme, wallet, shop):
        fund(wallet, "100")
        data = form_data(wallet, other=shop)

        first, again = (owner.post(url(acme, "/new"), data) for _ in range(2))

        assert first.url == again.url
        assert Payment.objects.count() == 1
        assert balance_of(shop) == 25

    def test_same_form_with_other_details_asks_again(self, owner, acme, wallet, shop):
        fund(wallet, "100")
        data = form_data(wallet, other=shop)
        owner.post(url(acme, "/new"), data)

        answer = owner.post(url(acme, "/new"), data | {"amount": "26"})

        html = answer.content.decode()
        assert answer.status_code == 422
        assert "You sent this form before with other details" in html
        assert hidden(html, "submission") not in ("", data["submission"])
        assert Payment.objects.count() == 1

    def test_racing_clicks_pay_once(self, transactional_db, acme, globex):
        wallet, shop = world.make_wallet(acme, funds="100"), world.make_wallet(globex)
        user, data = world.make_member(acme), form_data(wallet, other=shop)

        answers = world.in_parallel(4, lambda _: world.browser(user).post(url(acme, "/new"), data))

        assert {answer.status_code for answer in answers} == {303}
        assert len({answer.url for answer in answers}) == 1
        assert balance_of(shop) == 25

    @pytest.mark.parametrize(
        "amount",
        [
            "",
            "12,5",
            "-1",
            "1e5",
            "0",
            "0.00",
            "1.123456789",
            "１２",
            "NaN",
            "1 000",
            "$",
            "9" * 13,
        ],
    )
    def test_malformed_amount_is_refused(self, owner, acme, wallet, shop, amount):
        fund(wallet, "100")

        answer = owner.post(url(acme, "/new"), form_data(wallet, other=shop, amount=amount))

        html = answer.content.decode()
        assert answer.status_code == 422
        assert 'id="id_amount_error"' in html
        assert f'value="{shop.id}"' in html, "the input is kept"
        assert not Payment.objects.exists()

    @pytest.mark.parametrize(
        ("written", "amount"), [("$12.50", "12.5"), ("1,250.00", "1250"), (" 3 ", "3")]
    )
    def test_amount_is_read_in_common_notations(self, owner, acme, wallet, shop, written, amount):
        fund(wallet, "2000")

        owner.post(url(acme, "/new"), form_data(wallet, other=shop, amount=written))

        assert Payment.objects.get().amount == Decimal(amount)

    def test_review_warns_of_missing_funds(self, owner, acme, wallet, shop):
        fund(wallet, "10")

        answer = owner.post(url(acme, "/new"), form_data(wallet, other=shop, step="review"))

        html = answer.content.decode()
        assert answer.status_code == 422
        assert "$10.00 is available" in html
        assert "Fund this wallet" in html
        assert "See the failed payment" not in html
        assert not Payment.objects.exists()

    def test_refused_payment_is_linked(self, owner, acme, wallet, shop):
        answer = owner.post(url(acme, "/new"), form_data(wallet, other=shop))

        payment = Payment.objects.get()
        html = answer.content.decode()
        assert answer.status_code == 422
        assert (payment.status, payment.failure_code) == ("FAILED", "INSUFFICIENT_FUNDS")
        assert f'href="{url(acme, f"/{payment.id}")}"' in html
        assert "No money moved" in owner.get(url(acme, f"/{payment.id}")).content.decode()

    def test_same_form_may_succeed_after_a_refusal(self, owner, acme, wallet, shop):
        data = form_data(wallet, other=shop)
        owner.post(url(acme, "/new"), data)
        fund(wallet, "100")

        assert owner.post(url(acme, "/new"), data).status_code == 303
        assert balance_of(shop) == 25

    @pytest.mark.parametrize("step", ["review", "send"])
    def test_frozen_wallet_is_refused_with_advice(self, owner, acme, wallet, shop, step):
        fund(wallet, "100")
        wallets.freeze(wallet, actor=world.actor_for(acme))

        answer = owner.post(url(acme, "/new"), form_data(wallet, other=shop, step=step))

        html = answer.content.decode()
        assert answer.status_code == 422
        assert 'id="id_sender_error"' in html
        assert "Look at this wallet" in html

    @pytest.mark.parametrize("step", ["review", "send"])
    def test_wallet_cannot_pay_itself(self, owner, acme, wallet, step):
        fund(wallet, "100")

        answer = owner.post(url(acme, "/new"), form_data(wallet, other=wallet, step=step))

        assert answer.status_code == 422
        assert "A wallet cannot pay itself." in answer.content.decode()

    def test_exactly_one_recipient_is_required(self, owner, acme, wallet, savings, shop):
        none = owner.post(url(acme, "/new"), form_data(wallet)).content.decode()
        both = owner.post(url(acme, "/new"), form_data(wallet, own=savings, other=shop))

        assert "Say who is paid" in none
        assert "not both" in both.content.decode()

    @pytest.mark.parametrize("id", ["x", "wal_1", "wal_" + "Z" * 26, "txn_01", "​", "💸"])
    def test_unknown_recipient_is_shown_at_its_field(self, owner, acme, wallet, id):
        fund(wallet, "100")
        data = form_data(wallet) | {"other": id, "step": "review"}

        answer = owner.post(url(acme, "/new"), data)

        assert answer.status_code == 422
        assert 'id="id_other_error"' in answer.content.decode()

    def test_wallet_of_the_other_environment_cannot_be_paid(self, owner, acme, wallet, live_wallet):
        fund(wallet, "100")

        answer = owner.post(url(acme, "/new"), form_data(wallet, other=live_wallet))

        assert answer.status_code == 422
        assert "Sandbox and production wallets cannot pay each other." in answer.content.decode()

    def test_wallet_of_another_organization_cannot_be_the_sender(self, owner, acme, wallet, shop):
        fund(shop, "100")

        answer = owner.post(url(acme, "/new"), form_data(shop, own=wallet))

        assert answer.status_code == 422
        assert "Choose one of your wallets." in answer.content.decode()
        assert balance_of(shop) == 100

    def test_production_needs_activation(self, owner, acme, live_wallet, shop):
        answer = owner.post(url(acme, "/new", "production"), form_data(live_wallet, other=shop))

        assert answer.status_code == 403
        assert "Production is not activated" in answer.content.decode()

    def test_production_has_no_button_before_activation(self, owner, acme, live_wallet):
        listed = owner.get(url(acme, "", "production")).content.decode()
        form = owner.get(url(acme, "/new", "production")).content.decode()

        assert "Send money" not in listed
        assert 'value="review"' not in form
        assert "Production is not activated yet." in form

    def test_viewer_may_not_send(self, acme, wallet, shop):
        viewer = world.browser(world.make_member(acme, "VIEWER"))
        fund(wallet, "100")

        assert viewer.post(url(acme, "/new"), form_data(wallet, other=shop)).status_code == 403
        assert "Send money" not in viewer.get(url(acme, "")).content.decode()
        assert available_of(wallet) == 100

    def test_too_long_description_is_refused(self, owner, acme, wallet, shop):
        fund(wallet, "100")
        data = form_data(wallet, other=shop, description="w" * 1025)

        assert owner.post(url(acme, "/new"), data).status_code == 422
        assert not Payment.objects.exists()


class TestList:
    def rows(self, answer) -> list[str]:
        body = answer.content.decode().partition("<tbody")[2].partition("</tbody>")[0]
        return body.split("<tr")[1:]

    def test_empty_list(self, owner, acme):
        html = owner.get(url(acme, "")).content.decode()

        assert "No payments yet" in html

    def test_shows_direction_in_text_and_sign(self, owner, acme, wallet, shop, savings):
        fund(wallet, "100")
        fund(shop, "100")
        pay(shop, wallet, "7")
        pay(wallet, shop, "5")

        out, into = self.rows(owner.get(url(acme, "")))

        assert "To <bdi>Globex</bdi>" in out
        assert "-$5.00" in out
        assert "From <bdi>Globex</bdi>" in into
        assert "+$7.00" in into
        assert "Shop" not in out + into

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("direction=in", {"7.00"}),
            ("direction=out", {"5.00"}),
            ("direction=within", {"3.00"}),
            ("wallet={savings}", {"3.00"}),
            ("wallet={savings}&direction=in", {"3.00"}),
            ("wallet={savings}&direction=out", set()),
            ("wallet={wallet}&direction=out", {"5.00", "3.00"}),
            ("status=FAILED", set()),
            ("status=POSTED", {"3.00", "5.00", "7.00"}),
            ("q=lunch", {"5.00"}),
            ("q={shop}", {"5.00", "7.00"}),
            ("q=nothing+like+it", set()),
            ("since={today}&until={today}", {"3.00", "5.00", "7.00"}),
            ("since={tomorrow}", set()),
            ("until={yesterday}", set()),
            ("since=0001-01-01", {"3.00", "5.00", "7.00"}),
            ("until=9999-12-31", {"3.00", "5.00", "7.00"}),
            ("until=0001-01-01", set()),
            ("since=x", {"3.00", "5.00", "7.00"}),
            ("wallet=x&page=-1&sort=;drop", {"3.00", "5.00", "7.00"}),
        ],
    )
    def test_is_filtered(self, owner, acme, wallet, savings, shop, query, found):
        fund(wallet, "100")
        fund(shop, "100")
        pay(wallet, savings, "3")
        pay(wallet, shop, "5", description="Team LUNCH")
        pay(shop, wallet, "7")
        today = clock.real_now().date()
        names = {"wallet": wallet.id, "savings": savings.id, "shop": shop.id, "today": today}
        days = {"yesterday": today - timedelta(days=1), "tomorrow": today + timedelta(days=1)}

        rows = self.rows(owner.get(url(acme, "?" + query.format(**names, **days))))

        shown = {re.search(r"[+-]?\$(\d+\.\d\d)", row)[1] for row in rows}
        assert shown == found

    def test_finds_a_payment_by_its_id(self, owner, acme, wallet, shop):
        fund(wallet, "100")
        payment = pay(wallet, shop)
        pay(wallet, shop)

        assert len(self.rows(owner.get(url(acme, f"?q={payment.id}")))) == 1

    def test_is_sorted_by_amount(self, owner, acme, wallet, shop):
        fund(wallet, "100")
        for amount in ("3", "20", "1"):
            pay(wallet, shop, amount)

        rows = self.rows(owner.get(url(acme, "?sort=-amount")))

        assert [re.search(r"-\$(\d+)", row)[1] for row in rows] == ["20", "3", "1"]

    def test_number_of_queries_is_constant_on_every_page(self, owner, acme, wallet, shop):
        fund(wallet, "1000")
        pay(wallet, shop)
        owner.get(url(acme, ""))
        with CaptureQueriesContext(connection) as few:
            owner.get(url(acme, ""))
        for _ in range(26):
            pay(wallet, shop)

        with CaptureQueriesContext(connection) as many:
            first = owner.get(url(acme, ""))
        second = owner.get(url(acme, "?page=2"))

        assert len(many) == len(few)
        assert (len(self.rows(first)), len(self.rows(second))) == (25, 2)
        assert 'rel="next"' in first.content.decode()

    def test_sort_order_matches_an_index(self, owner, acme):
        with CaptureQueriesContext(connection) as queries:
            owner.get(url(acme, ""))

        (listed,) = (q["sql"] for q in queries if 'FROM "accounts_payment"' in q["sql"])
        assert 'ORDER BY "accounts_payment"."id" DESC' in listed
        assert "NULLS" not in listed

    def test_shows_neither_foreign_nor_failed_incoming_payments(
        self, owner, acme, globex, wallet, shop
    ):
        other = world.make_wallet(globex, "Till", funds="50")
        pay(other, shop)
        stranger = world.browser(world.make_member(globex))
        stranger.post(
            f"/{globex.id}/sandbox/payments/new", form_data(shop, other=wallet, amount="1000")
        )
        assert Payment.objects.filter(status="FAILED").exists()

        assert self.rows(owner.get(url(acme, ""))) == []


class TestPayment:
    def test_sender_sees_both_sides_but_no_foreign_balance(self, owner, acme, wallet, shop):
        fund(wallet, "100")
        fund(shop, "777")
        payment = pay(wallet, shop, "40")

        html = owner.get(url(acme, f"/{payment.id}")).content.decode()

        for text in ("Wallgent fees", "59.75", "Globex", "40.25", payment.id):
            assert text in html
        assert "817" not in html
        assert "Give back" not in html

    def test_recipient_sees_neither_fee_nor_senders_entries(self, acme, globex, wallet, shop):
        fund(wallet, "100")
        payment = pay(wallet, shop, "40")
        stranger = world.browser(world.make_member(globex))

        html = stranger.get(url(globex, f"/{payment.id}")).content.decode()

        assert "Acme" in html
        assert "+$40.00" in html
        assert "Give back" in html
        for text in ("0.25", "59.75", "Wallgent fees", "Research agent"):
            assert text not in html

    def test_timeline_names_who_paid(self, acme, wallet, shop):
        fund(wallet, "100")
        ada = world.make_member(acme, "MEMBER", name=HOSTILE_TEXT)
        browser = world.browser(ada)
        browser.post(url(acme, "/new"), form_data(wallet, other=shop))

        html = browser.get(url(acme, f"/{Payment.objects.get().id}")).content.decode()

        assert escape(HOSTILE_TEXT) in html
        assert "<script>alert" not in html

    def test_timeline_does_not_name_users_of_another_organization(self, acme, globex, wallet, shop):
        fund(wallet, "100")
        ada = world.make_member(acme, name="Ada Lovelace")
        world.browser(ada).post(url(acme, "/new"), form_data(wallet, other=shop))
        stranger = world.browser(world.make_member(globex))

        html = stranger.get(url(globex, f"/{Payment.objects.get().id}")).content.decode()

        assert "Ada" not in html

    def test_number_of_queries_is_bounded(self, owner, acme, wallet, shop):
        fund(wallet, "100")
        path = url(acme, f"/{pay(wallet, shop).id}")
        owner.get(path)

        with CaptureQueriesContext(connection) as queries:
            owner.get(path)

        assert len(queries) <= 16


class TestReverse:
    @pytest.fixture
    def received(self, wallet, shop):
        """A payment that Acme received."""
        fund(shop, "100")
        return pay(shop, wallet, "40")

    def send(self, browser, acme, payment, **more):
        data = {"submission": ids.new("sub"), "reason": "", **more}
        return browser.post(url(acme, f"/{payment.id}/reverse"), data)

    def test_asks_for_confirmation(self, owner, acme, received):
        html = owner.get(url(acme, f"/{received.id}/reverse")).content.decode()

        assert "cannot be undone" in html
        assert "40.00" in html

    def test_returns_the_money_and_links_both_payments(self, owner, acme, wallet, shop, received):
        answer = self.send(owner, acme, received, reason="Wrong item")

        back = Payment.objects.get(kind="REVERSAL")
        assert (answer.status_code, answer.url) == (303, url(acme, f"/{received.id}"))
        assert (balance_of(wallet), balance_of(shop)) == (0, Decimal("99.75"))
        html = owner.get(answer.url).content.decode()
        assert url(acme, f"/{back.id}") in html
        assert "Wrong item" in html
        assert "/reverse" not in html, "a payment is reversed once"
        assert url(acme, f"/{received.id}") in owner.get(url(acme, f"/{back.id}")).content.decode()

    def test_same_form_sent_twice_reverses_once(self, owner, acme, wallet, received):
        key = ids.new("sub")

        answers = [self.send(owner, acme, received, submission=key) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [303, 303]
        assert Payment.objects.filter(kind="REVERSAL").count() == 1

    def test_missing_funds_are_shown_in_the_form(self, owner, acme, wallet, savings, received):
        owner.post(url(acme, "/new"), form_data(wallet, own=savings, amount="40"))

        answer = self.send(owner, acme, received)

        assert answer.status_code == 422
        assert "available balance does not cover" in answer.content.decode()
        received.refresh_from_db()
        assert received.status == "POSTED"

    def test_sender_is_advised_to_ask_the_recipient(self, owner, acme, wallet, shop):
        fund(wallet, "100")
        payment = pay(wallet, shop)

        page = owner.get(url(acme, f"/{payment.id}/reverse")).content.decode()
        answer = self.send(owner, acme, payment)

        assert "ask the recipient" in page
        assert "<form" not in page.partition("<main")[2].partition("</main>")[0]
        assert answer.status_code == 422
        assert "ask the recipient" in answer.content.decode()

    def test_viewer_may_not_reverse(self, acme, wallet, received):
        viewer = world.browser(world.make_member(acme, "VIEWER"))

        assert self.send(viewer, acme, received).status_code == 403
        assert "/reverse" not in viewer.get(url(acme, f"/{received.id}")).content.decode()
        assert balance_of(wallet) == 40


class TestAccess:
    @pytest.mark.parametrize("path", ["/{id}", "/{id}/reverse"])
    @pytest.mark.parametrize("id", ["x", "txn_1", "..", "txn_" + "Z" * 26, "wal_" + "0" * 26])
    def test_malformed_id_is_not_found(self, owner, acme, path, id):
        assert owner.get(url(acme, path.format(id=id))).status_code == 404

    @pytest.mark.parametrize("path", ["/{id}", "/{id}/reverse"])
    def test_foreign_and_unknown_ids_are_not_found(self, owner, acme, globex, wallet, shop, path):
        fund(wallet, "50")
        own = pay(wallet, shop).id
        foreign = pay(world.make_wallet(globex, funds="50"), shop).id

        for id in (foreign, unknown_id("txn")):
            assert owner.get(url(acme, path.format(id=id))).status_code == 404
        assert owner.get(url(acme, path.format(id=own), "production")).status_code == 404

    @pytest.mark.parametrize("path", ["", "/new"])
    def test_strangers_get_404_and_guests_must_sign_in(self, acme, globex, client, path):
        stranger = world.browser(world.make_member(globex))

        assert stranger.get(url(acme, path)).status_code == 404
        answer = client.get(url(acme, path))
        assert answer.status_code == 302
        assert answer.url.endswith(f"?next={url(acme, path)}")
