"""The first page. What every page promises is in tests/flows/test_pages.py."""

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


def glance(organization, environment="SANDBOX", zone=UTC):
    organization.refresh_from_db()
    return overview.at_a_glance(actor=actor_for(organization, environment), zone=zone)


def moved(organization, **options) -> dict[int, tuple]:
    """In and out of the days on which dollars moved, counted back from today."""
    [movement] = glance(organization, **options).movements
    return {
        back: (day.incoming, day.outgoing)
        for back, day in enumerate(reversed(movement.days))
        if day.incoming or day.outgoing
    }


def pass_days(organization, days) -> None:
    organization.refresh_from_db()
    organization.sandbox_offset += timedelta(days=days)
    organization.save()


class TestTotals:
    def test_add_up_the_wallets_of_each_currency(self, site, acme, wallet, savings, shop):
        fund(wallet, "1000")
        fund(savings, "500.25")
        make_wallet(acme, "Coins", currency="USDC", funds="7")
        hold(wallet, "100")
        fund(shop, "999")  # a stranger's

        dollars, coins = glance(acme).totals

        assert (dollars.balance, dollars.held, dollars.available) == (
            Decimal("1500.25"),
            100,
            Decimal("1400.25"),
        )
        assert (coins.currency, coins.balance) == ("USDC", 7)
        html = site.html()
        assert printed("1400.25") in html
        assert printed("100") in html

    def test_name_what_payment_links_hold(self, site, api, acme, wallet):
        fund(wallet, "100")
        hold(wallet, "5")
        link = {"walletId": wallet.id, "amount": "30", "direction": "SEND"}
        assert api.post("/v1/payment-links", link).status_code == 201

        [total] = glance(acme).totals

        assert (total.held, total.held_in_links) == (35, 30)
        assert "Held in payment links" in site.html()

    def test_keep_the_environments_apart(self, acme, wallet, live_wallet):
        fund(wallet, "100")
        deposit(live_wallet, "3")

        assert glance(acme).totals[0].balance == 100
        assert glance(acme, "PRODUCTION").totals[0].balance == 3


class TestMoneyInAndOut:
    def test_is_dated_by_the_organizations_clock(self, api, acme, wallet, shop):
        fund(wallet, "1000")
        pass_days(acme, 2)
        api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "100"})
        pass_days(acme, 1)

        assert moved(acme) == {3: (1000, 0), 1: (0, Decimal("100.5"))}

    def test_leaves_out_what_moves_between_ones_own_wallets(self, api, acme, wallet, savings):
        fund(wallet, "100")
        api.post("/v1/transfers/internal", {"from": wallet.id, "to": savings.id, "amount": "40"})

        assert moved(acme) == {0: (100, 0)}

    def test_forgets_what_is_older(self, acme, wallet):
        fund(wallet, "10")
        pass_days(acme, 29)
        assert moved(acme) == {29: (10, 0)}

        pass_days(acme, 1)

        assert moved(acme) == {}

    def test_is_right_each_time_one_looks(self, acme, wallet):
        """Days that are over are added up once and kept."""
        fund(wallet, "10")
        pass_days(acme, 5)
        fund(wallet, "1")
        assert moved(acme) == moved(acme) == {5: (10, 0), 0: (1, 0)}

        fund(wallet, "2")

        assert moved(acme) == {5: (10, 0), 0: (3, 0)}
        pass_days(acme, 1)
        fund(wallet, "4")
        assert moved(acme) == moved(acme) == {6: (10, 0), 1: (3, 0), 0: (4, 0)}

    def test_keeps_one_organizations_days_from_another(self, acme, globex, wallet, shop):
        fund(wallet, "10")
        for organization in (acme, globex):
            pass_days(organization, 5)
        assert moved(acme) == {5: (10, 0)}
        assert moved(globex) == {}

    @pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata"])
    def test_has_the_days_of_the_viewers_zone(self, acme, wallet, zone):
        fund(wallet, "10")

        [movement] = glance(acme, zone=ZoneInfo(zone)).movements

        assert movement.days[-1].date == clock.real_now().astimezone(ZoneInfo(zone)).date()
        assert len(movement.days) == 30
        assert movement.days[-1].incoming == 10

    def test_counts_payments_once_each(self, api, acme, wallet, savings, shop):
        fund(wallet, "100")
        for to in (shop, shop, savings):
            api.post("/v1/payments", {"from": wallet.id, "to": to.id, "amount": "1"})

        assert glance(acme).payments == 3

    def test_is_drawn_and_told_in_a_table(self, site, wallet):
        fund(wallet, "1234.5")

        html = site.html()

        assert "<svg" in html
        assert names_in(html, "Show as a table", printed("1234.5"))
        assert not names_in(html, "style=")

    def test_goes_on_without_redis(self, acme, wallet, monkeypatch):
        monkeypatch.setattr("wallgent.redis.attempt", lambda work: None)
        fund(wallet, "10")

        assert moved(acme) == moved(acme) == {0: (10, 0)}


class TestActivity:
    def test_tells_what_happened_with_links_and_who_did_it(self, site, api, wallet, shop):
        fund(wallet, "1000")
        paid = api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "25"}).json()
        site.send(f"/wallets/{wallet.id}/freeze", reason="Checking")

        html = site.html()

        told = (
            "Wallet \u2068Research agent\u2069 frozen: Checking",
            "25.00 USD paid from \u2068Research agent\u2069 to \u2068Globex\u2069",
            "1,000.00 USD of sandbox money funded into \u2068Research agent",
        )
        assert names_in(html, *told) == list(told)
        assert f'href="{site.root}/payments/{paid["id"]}"' in html
        assert f'href="{site.root}/wallets/{wallet.id}"' in html
        assert site.user.email in html
        assert "API key" in html

    def test_tells_the_recipient_their_side_and_not_who_acted(self, api, globex, wallet, shop):
        fund(wallet, "100")
        api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "25"})

        html = Site(globex, "VIEWER").html()

        assert "25.00 USD received in \u2068Shop\u2069 from \u2068Acme\u2069" in html
        assert "Research agent" not in html

    def test_shows_nothing_of_the_other_environment(self, site, live_wallet):
        assert "Live wallet" not in site.html()

    def test_shows_hostile_names_as_text(self, site, acme):
        make_wallet(acme, '<script>alert("1")</script>', funds="1")

        html = site.html()

        assert "<script>alert" not in html
        assert "&lt;script&gt;alert" in html


class TestFirstSteps:
    def test_are_shown_until_they_are_taken(self, site, api, acme, wallet):
        html = site.html()
        main = acme.wallets.get(environment="SANDBOX", is_default=True)
        assert "First steps" in html
        assert f"/wallets/{main.id}/fund?amount=1000.00" in html
        assert "curl " in html

        fund(wallet, "10")
        assert "/fund?amount" not in site.html()
        api.post("/v1/payment-links", {"walletId": wallet.id, "amount": "5"})

        assert "First steps" not in site.html()

    def test_are_not_shown_to_who_may_not_take_them(self, acme):
        assert "First steps" not in Site(acme, "VIEWER").html()

    def test_are_for_the_sandbox(self, acme):
        html = Site(acme, "OWNER", "production").html()

        assert "First steps" not in html
        assert "Production is not activated" in html


def test_takes_no_more_queries_however_much_there_is(site, api, acme, wallet, shop, savings):
    fund(wallet, "1000")
    make_wallet(acme, "Coins", currency="USDC", funds="1")
    api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "1"})
    hold(wallet, "1")
    site.get()

    def asked():
        with CaptureQueriesContext(connection) as captured:
            site.html()
        return len(captured)

    few = asked()
    for number in range(6):
        make_wallet(acme, f"More {number}", funds="5")
        world.make_key(acme)
        api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "1"})
        hold(wallet, "1")

    assert asked() <= few <= 16
