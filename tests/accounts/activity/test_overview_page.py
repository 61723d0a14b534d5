"""The overview page. Rules for every page are in tests/flows/test_pages.py."""

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.activity import overview
from tests import world
from tests.accounts.site import Site, names_in, printed
from tests.world import actor_for, deposit, fund, hold, make_wallet
from wallgent import clock

UTC = ZoneInfo("UTC")


@pytest.fixture
def site(acme):
    return Site(acme, "OWNER")


def load(organization, environment="SANDBOX", zone=UTC):
    organization.refresh_from_db()
    return overview.load(actor=actor_for(organization, environment), zone=zone)


def money_by_day(organization, **options) -> dict[int, tuple]:
    """Money in and out of the days with any, by the number of days before today."""
    [days] = load(organization, **options).daily_flows.values()
    return {
        back: (day.incoming, day.outgoing)
        for back, day in enumerate(reversed(days))
        if day.incoming or day.outgoing
    }


def advance_clock(organization, days) -> None:
    organization.refresh_from_db()
    organization.sandbox_offset += timedelta(days=days)
    organization.save()


class TestTotals:
    def test_wallets_are_added_up_by_currency(self, site, acme, wallet, savings, shop):
        fund(wallet, "1000")
        fund(savings, "500.25")
        make_wallet(acme, "Coins", currency="USDC", funds="7")
        hold(wallet, "100")
        fund(shop, "999")  # of another organization

        dollars, coins = load(acme).totals

        assert (dollars.balance, dollars.held, dollars.available) == (
            Decimal("1500.25"),
            100,
            Decimal("1400.25"),
        )
        assert (coins.currency, coins.balance) == ("USDC", 7)
        html = site.html()
        assert printed("1400.25") in html
        assert printed("100") in html

    def test_money_held_in_payment_links_is_shown(self, site, api, acme, wallet):
        fund(wallet, "100")
        hold(wallet, "5")
        link = {"walletId": wallet.id, "amount": "30", "direction": "SEND"}
        assert api.post("/v1/payment-links", link).status_code == 201

        [total] = load(acme).totals

        assert (total.held, total.held_for) == (35, {"Held in payment links": 30})
        assert "Held in payment links" in site.html()

    def test_environments_are_separate(self, acme, wallet, live_wallet):
        fund(wallet, "100")
        deposit(live_wallet, "3")

        assert load(acme).totals[0].balance == 100
        assert load(acme, "PRODUCTION").totals[0].balance == 3


class TestMoneyInAndOut:
    def test_is_dated_by_the_organizations_clock(self, api, acme, wallet, shop):
        fund(wallet, "1000")
        advance_clock(acme, 2)
        api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "100"})
        advance_clock(acme, 1)

        assert money_by_day(acme) == {3: (1000, 0), 1: (0, Decimal("100.5"))}

    def test_leaves_out_transfers_between_own_wallets(self, api, acme, wallet, savings):
        fund(wallet, "100")
        api.post("/v1/transfers/internal", {"from": wallet.id, "to": savings.id, "amount": "40"})

        assert money_by_day(acme) == {0: (100, 0)}

    def test_leaves_out_older_days(self, acme, wallet):
        fund(wallet, "10")
        advance_clock(acme, 29)
        assert money_by_day(acme) == {29: (10, 0)}

        advance_clock(acme, 1)

        assert money_by_day(acme) == {}

    def test_cached_days_stay_correct(self, acme, wallet):
        """Complete days are cached, recent ones are not."""
        fund(wallet, "10")
        advance_clock(acme, 5)
        fund(wallet, "1")
        assert money_by_day(acme) == money_by_day(acme) == {5: (10, 0), 0: (1, 0)}

        fund(wallet, "2")

        assert money_by_day(acme) == {5: (10, 0), 0: (3, 0)}
        advance_clock(acme, 1)
        fund(wallet, "4")
        assert money_by_day(acme) == money_by_day(acme) == {6: (10, 0), 1: (3, 0), 0: (4, 0)}

    def test_cache_is_separate_for_each_organization(self, acme, globex, wallet, shop):
        fund(wallet, "10")
        for organization in (acme, globex):
            advance_clock(organization, 5)
        assert money_by_day(acme) == {5: (10, 0)}
        assert money_by_day(globex) == {}

    @pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata"])
    def test_has_the_days_of_the_viewers_zone(self, acme, wallet, zone):
        fund(wallet, "10")

        [days] = load(acme, zone=ZoneInfo(zone)).daily_flows.values()

        assert days[-1].date == clock.real_now().astimezone(ZoneInfo(zone)).date()
        assert len(days) == 30
        assert days[-1].incoming == 10

    def test_counts_payments_once_each(self, api, acme, wallet, savings, shop):
        fund(wallet, "100")
        for to in (shop, shop, savings):
            api.post("/v1/payments", {"from": wallet.id, "to": to.id, "amount": "1"})

        assert load(acme).payments == 3

    def test_is_shown_as_a_chart_and_a_table(self, site, wallet):
        fund(wallet, "1234.5")

        html = site.html()

        assert "<svg" in html
        assert names_in(html, "Show as a table", printed("1234.5"))
        assert not names_in(html, "style=")

    def test_works_without_redis(self, acme, wallet, monkeypatch):
        monkeypatch.setattr("wallgent.redis.attempt", lambda work: None)
        fund(wallet, "10")

        assert money_by_day(acme) == money_by_day(acme) == {0: (10, 0)}


class TestActivity:
    def test_shows_events_with_links_and_actors(self, site, api, wallet, shop):
        fund(wallet, "1000")
        paid = api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "25"}).json()
        site.send(f"/wallets/{wallet.id}/freeze", reason="Checking")

        html = site.html()

        sentences = (
            "Wallet \u2068Research agent\u2069 frozen: Checking",
            "$25.00 paid from \u2068Research agent\u2069 to \u2068Globex\u2069",
            "$1,000.00 of sandbox money funded into \u2068Research agent",
        )
        assert names_in(html, *sentences) == list(sentences)
        assert f'href="{site.root}/payments/{paid["id"]}"' in html
        assert f'href="{site.root}/wallets/{wallet.id}"' in html
        assert site.user.email in html
        assert "API key" in html

    def test_recipient_sees_the_payment_but_not_who_acted(self, api, globex, wallet, shop):
        fund(wallet, "100")
        api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "25"})

        html = Site(globex, "VIEWER").html()

        assert "$25.00 received in \u2068Shop\u2069 from \u2068Acme\u2069" in html
        assert "Research agent" not in html

    def test_shows_nothing_of_the_other_environment(self, site, live_wallet):
        assert "Live wallet" not in site.html()

    def test_shows_hostile_names_as_text(self, site, acme):
        make_wallet(acme, '<script>alert("1")</script>', funds="1")

        html = site.html()

        assert "<script>alert" not in html
        assert "&lt;script&gt;alert" in html


class TestFirstSteps:
    def test_are_shown_until_they_are_done(self, site, api, acme, wallet):
        html = site.html()
        main = acme.wallets.get(environment="SANDBOX", is_default=True)
        assert "First steps" in html
        assert f"/wallets/{main.id}/fund?amount=1000.00" in html
        assert "curl " in html

        fund(wallet, "10")
        assert "/fund?amount" not in site.html()
        api.post("/v1/payment-links", {"walletId": wallet.id, "amount": "5"})

        assert "First steps" not in site.html()

    def test_are_not_shown_to_viewers(self, acme):
        assert "First steps" not in Site(acme, "VIEWER").html()

    def test_are_shown_in_the_sandbox_only(self, acme):
        html = Site(acme, "OWNER", "production").html()

        assert "First steps" not in html
        assert "Production is not activated" in html


def test_number_of_queries_is_constant(site, api, acme, wallet, shop, savings):
    fund(wallet, "1000")
    make_wallet(acme, "Coins", currency="USDC", funds="1")
    api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "1"})
    hold(wallet, "1")
    site.get()

    def count_queries():
        with CaptureQueriesContext(connection) as captured:
            site.html()
        return len(captured)

    few = count_queries()
    for number in range(6):
        make_wallet(acme, f"More {number}", funds="5")
        world.make_key(acme)
        api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "1"})
        hold(wallet, "1")

    assert count_queries() <= few <= 16
