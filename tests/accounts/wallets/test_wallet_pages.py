"""Dashboard pages of wallets. Rules for all pages are in tests/flows/test_pages.py."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.ledger import holds
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from tests import world
from tests.accounts.ledger.book import force
from tests.accounts.site import Site, names_in, printed
from tests.world import balance_of, events_of, fund, hold, make_wallet
from wallgent import clock, ids

HOSTILE = ['<script>alert("1")</script>', "שלום \u202eעולם", "🦉" * 128, "w" * 256]


@pytest.fixture
def site(acme):
    return Site(acme, "OWNER")


class TestList:
    def test_shows_each_wallet_with_balance_and_status(self, site, wallet):
        fund(wallet, "1250.5")
        hold(wallet, "50.5")

        html = site.html("/wallets")

        assert "Research agent" in html
        assert printed("1200") in html  # available
        assert printed("1250.50") in html  # balance
        assert "Active" in html

    def test_shows_only_own_wallets_of_the_environment(self, site, shop, live_wallet, wallet):
        html = site.html("/wallets")

        assert names_in(html, "Research agent", "Live wallet", "Shop") == ["Research agent"]

    @pytest.mark.parametrize("query", ["research", "SCOUT", "id", "address"])
    def test_finds_by_name_agent_id_and_address(self, site, acme, savings, query):
        wallet = make_wallet(acme, "Research", agent_name="Scout")
        query = {"id": wallet.id, "address": wallet.address}.get(query, query)

        html = site.html("/wallets", q=query)

        assert names_in(html, ">Research<", ">Savings<") == [">Research<"]

    def test_finds_by_status(self, site, acme, wallet, savings):
        wallets.freeze(savings, actor=world.actor_for(acme))

        assert names_in(site.html("/wallets", status="FROZEN"), "Research agent", "Savings") == [
            "Savings"
        ]

    @pytest.mark.parametrize(
        ("sort", "order"),
        [
            ("name", ["Alpha", "Beta", "Gamma"]),
            ("-name", ["Gamma", "Beta", "Alpha"]),
            ("balance", ["Gamma", "Alpha", "Beta"]),
            ("-created", ["Alpha", "Beta", "Gamma"]),
            ("id; DROP TABLE", ["Alpha", "Beta", "Gamma"]),
        ],
    )
    def test_is_sorted_by_the_chosen_column(self, site, acme, sort, order):
        for name, funds in (("Gamma", "1"), ("Beta", "3"), ("Alpha", "2")):
            make_wallet(acme, name, funds=funds)

        assert names_in(site.html("/wallets", sort=sort), "Alpha", "Beta", "Gamma") == order

    def test_is_paginated(self, site, acme):
        for number in range(30):
            make_wallet(acme, f"Wallet {number:02}")

        first, second = site.html("/wallets"), site.html("/wallets", page="2")

        assert "Wallet 20" in first
        assert "Wallet 27" not in first
        assert "Wallet 27" in second
        assert "Wallet 20" not in second

    def test_empty_result_links_back_to_all_wallets(self, site, wallet):
        html = site.html("/wallets", q="no such thing")

        assert "Nothing fits this filter" in html
        assert f'href="{site.root}/wallets"' in html

    @pytest.mark.parametrize("query", [{"q": "\x00"}, {"q": "x" * 300}, {"status": "x"}])
    def test_ignores_an_invalid_filter(self, site, wallet, query):
        assert "Research agent" in site.html("/wallets", **query)

    def test_takes_at_most_five_queries(self, site, acme, django_assert_max_num_queries):
        for number in range(20):
            make_wallet(acme, str(number))
        site.get("/wallets")

        with django_assert_max_num_queries(5):
            site.get("/wallets")


class TestWalletPage:
    def test_shows_balances_id_and_address(self, site, wallet):
        fund(wallet, "1250.5")
        hold(wallet, "50.5")

        html = site.html(f"/wallets/{wallet.id}")

        for text in (
            printed("1200"),
            printed("1250.5"),
            printed("50.5"),
            wallet.id,
            wallet.address,
        ):
            assert text in html
        assert f'data-copy="{wallet.id}"' in html

    def test_shows_debt_only_if_there_is_some(self, site, wallet):
        assert "owes money" not in site.html(f"/wallets/{wallet.id}")

        force(wallet.account_id, "7.25")

        html = site.html(f"/wallets/{wallet.id}")
        assert "owes money" in html
        assert "7.25" in html

    def test_lists_entries_newest_first_with_descriptions(
        self, site, api, acme, wallet, shop, savings
    ):
        fund(wallet, "1000")
        order = {"from": wallet.id, "to": shop.id, "amount": "100", "description": "May <b>rent"}
        paid = api.post("/v1/payments", order).json()
        moved = {"from": wallet.id, "to": savings.id, "amount": "50"}
        api.post("/v1/transfers/internal", moved)

        html = site.html(f"/wallets/{wallet.id}")

        order = ("Transfer to \u2068Savings", "Payment to \u2068Globex", "Sandbox money")
        assert names_in(html, *order) == list(order)
        assert f'href="{site.root}/payments/{paid["id"]}"' in html
        assert "May &lt;b&gt;rent" in html
        assert "-$100.50" in html
        assert "with a fee of" in html
        assert "849.50" in html  # the balance after the last
        assert "Payment from" in Site(shop.organization, "OWNER").html(f"/wallets/{shop.id}")

    def test_entries_are_paginated(self, site, wallet):
        for number in range(1, 31):
            fund(wallet, str(number))

        first = site.html(f"/wallets/{wallet.id}")
        second = site.html(f"/wallets/{wallet.id}", page="2")

        assert "+$30.00" in first
        assert "+$5.00" not in first
        assert "+$5.00" in second
        assert "+$30.00" not in second

    def test_lists_open_and_ended_holds(self, site, wallet):
        fund(wallet, "100")
        hold(wallet, "30")
        holds.release(hold(wallet, "20"), operation=uuid.uuid4())

        html = site.html(f"/wallets/{wallet.id}", show="holds")

        assert "On hold" in html
        assert "30.00" in html
        assert "Released" in html
        assert "20.00" in html
        assert "Nothing is held" not in html

    def test_shows_when_there_are_no_entries_or_holds(self, site, wallet):
        assert "Nothing is held" in site.html(f"/wallets/{wallet.id}", show="holds")
        assert "No money has moved" in site.html(f"/wallets/{wallet.id}")

    def test_shows_events_and_actors(self, site, api, acme, wallet):
        api.post(f"/v1/wallets/{wallet.id}/freeze", {"reason": "odd <i>spending"})
        site.send(f"/wallets/{wallet.id}/unfreeze")

        html = site.html(f"/wallets/{wallet.id}", show="activity")

        assert "frozen: odd &lt;i&gt;spending" in html
        assert "unfrozen" in html
        assert "API key" in html
        assert site.user.email in html

    @pytest.mark.parametrize("show", ["entries", "holds", "activity", "nonsense"])
    def test_takes_at_most_nine_queries(
        self, site, api, wallet, shop, savings, show, django_assert_max_num_queries
    ):
        fund(wallet, "1000")
        for _ in range(8):
            api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "1"})
            api.post(f"/v1/wallets/{wallet.id}/freeze", {})
            api.post(f"/v1/wallets/{wallet.id}/unfreeze", {})
            hold(wallet, "1")
        site.get(f"/wallets/{wallet.id}")

        with django_assert_max_num_queries(9):
            site.html(f"/wallets/{wallet.id}", show=show)

    @pytest.mark.parametrize("name", HOSTILE)
    def test_escapes_hostile_names(self, site, wallet, name):
        Wallet.objects.filter(pk=wallet.pk).update(name=name, agent_name=name)

        for path in ("/wallets", f"/wallets/{wallet.id}", f"/wallets/{wallet.id}/edit", "/"):
            html = site.html(path)
            assert "<script>alert" not in html


class TestButtons:
    def test_follow_role_and_status(self, acme, wallet):
        def offered(role):
            html = Site(acme, role).html(f"/wallets/{wallet.id}")
            verbs = ("fund", "edit", "freeze", "unfreeze", "close")
            return {verb for verb in verbs if f'/wallets/{wallet.id}/{verb}"' in html}

        assert offered("MEMBER") == {"fund", "edit", "freeze", "close"}
        assert offered("VIEWER") == set()

        wallets.freeze(wallet, actor=world.actor_for(acme))
        assert offered("MEMBER") == {"edit", "unfreeze", "close"}

        wallets.close(wallet, actor=world.actor_for(acme))
        assert offered("OWNER") == set()

    def test_do_not_offer_funding_in_production(self, acme, live_wallet):
        world.activate_production(acme)
        site = Site(acme, "OWNER", "production")

        assert "/fund" not in site.html(f"/wallets/{live_wallet.id}")
        assert site.get(f"/wallets/{live_wallet.id}/fund").status_code == 403
        assert site.send(f"/wallets/{live_wallet.id}/fund", amount="5").status_code == 403
        assert balance_of(live_wallet) == 0

    def test_are_hidden_until_production_is_activated(self, acme, live_wallet):
        site = Site(acme, "OWNER", "production")

        assert "/freeze" not in site.html(f"/wallets/{live_wallet.id}")
        assert "/wallets/new" not in site.html("/wallets")
        answer = site.send(f"/wallets/{live_wallet.id}/freeze")
        assert answer.status_code == 403
        assert "Production is not activated" in answer.content.decode()
        assert Wallet.objects.get(pk=live_wallet.pk).status == "ACTIVE"


class TestNew:
    def test_creates_a_wallet_and_redirects_to_it(self, site, acme):
        answer = site.send("/wallets/new", name="Ads", agent_name="Buyer", currency="USDC")

        wallet = Wallet.objects.get(name="Ads")
        assert answer.status_code == 303
        assert answer.url == f"{site.root}/wallets/{wallet.id}"
        assert (wallet.currency, wallet.agent_name, wallet.type) == ("USDC", "Buyer", "AGENT")
        assert wallet.organization == acme
        assert wallet.environment == "SANDBOX"
        assert "The wallet is open." in site.html(f"/wallets/{wallet.id}")

    def test_repeated_form_creates_one(self, site):
        form = {"name": "Ads", "currency": "USD", "submission": ids.new("sub")}

        first, again = site.send("/wallets/new", **form), site.send("/wallets/new", **form)

        assert (first.status_code, again.status_code) == (303, 303)
        assert first.url == again.url
        assert Wallet.objects.filter(name="Ads").count() == 1

    def test_changed_resubmit_is_refused_and_gets_a_new_key(self, site):
        form = {"name": "Ads", "currency": "USD", "submission": ids.new("sub")}
        site.send("/wallets/new", **form)

        changed = site.send("/wallets/new", **form | {"name": "Other"})

        assert changed.status_code == 422
        html = changed.content.decode()
        assert "You sent this form before with other details" in html
        assert 'value="Other"' in html
        assert form["submission"] not in html  # the form has a new key
        assert not Wallet.objects.filter(name="Other").exists()

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"name": "   ", "currency": "USD"},
            {"name": "x" * 257, "currency": "USD"},
            {"name": "a\x00b", "currency": "USD"},
            {"name": "Ads", "currency": "EUR"},
            {"name": "Ads", "currency": "USD", "submission": "nonsense"},
        ],
    )
    def test_invalid_input_is_refused_and_kept(self, site, fields):
        answer = site.send("/wallets/new", **{"agent_name": "Buyer & Co"} | fields)

        assert answer.status_code == 422
        assert "Buyer &amp; Co" in answer.content.decode()
        assert not Wallet.objects.filter(agent_name="Buyer & Co").exists()

    def test_wallet_limit_of_the_plan_is_shown(self, acme, site):
        type(acme).objects.filter(pk=acme.pk).update(custom_wallets=0)

        answer = site.send("/wallets/new", name="Ads", currency="USD")

        assert answer.status_code == 422
        assert "number of wallets is reached" in answer.content.decode()


class TestRename:
    def test_changes_name_and_agent(self, site, acme, wallet):
        answer = site.send(f"/wallets/{wallet.id}/edit", name="Scout", agent_name="Bot 7")

        wallet.refresh_from_db()
        assert answer.status_code == 303
        assert (wallet.name, wallet.agent_name) == ("Scout", "Bot 7")
        [event] = events_of(acme, "wallet.updated")
        assert event.data["changed"] == ["agent_name", "name"]

    def test_unchanged_form_records_nothing(self, site, acme, wallet):
        site.send(f"/wallets/{wallet.id}/edit", name=wallet.name, agent_name="")

        assert events_of(acme, "wallet.updated") == []

    def test_closed_wallet_cannot_be_renamed(self, site, acme, wallet):
        wallets.close(wallet, actor=world.actor_for(acme))

        assert "The wallet is closed." in site.html(f"/wallets/{wallet.id}/edit")
        answer = site.send(f"/wallets/{wallet.id}/edit", name="Scout")
        assert answer.status_code == 422
        assert "The wallet is closed." in answer.content.decode()


class TestFund:
    def test_adds_money_and_redirects_to_the_wallet(self, site, acme, wallet):
        answer = site.send(f"/wallets/{wallet.id}/fund", amount="$1,250.50")

        assert answer.status_code == 303
        assert answer.url == f"{site.root}/wallets/{wallet.id}"
        assert balance_of(wallet) == Decimal("1250.5")
        [event] = events_of(acme, "wallet.funded")
        assert event.actor_type == "USER"

    def test_repeated_form_funds_once(self, site, wallet):
        form = {"amount": "5", "submission": ids.new("sub")}

        answers = [site.send(f"/wallets/{wallet.id}/fund", **form) for _ in range(3)]

        assert {answer.status_code for answer in answers} == {303}
        assert balance_of(wallet) == 5

    @pytest.mark.parametrize(
        "amount", ["", "0", "-5", "abc", "1e3", "0.000000001", "12,5", "10000.01", "NaN", "9" * 30]
    )
    def test_invalid_amount_is_reported_at_its_field(self, site, wallet, amount):
        answer = site.send(f"/wallets/{wallet.id}/fund", amount=amount)

        html = answer.content.decode()
        assert answer.status_code == 422
        assert 'id="id_amount_error"' in html
        assert f'value="{amount}"' in html or not amount
        assert balance_of(wallet) == 0

    def test_shows_the_limits_and_the_remaining_amount(self, site, acme, wallet):
        fund(wallet, "99500")

        html = site.html(f"/wallets/{wallet.id}/fund")

        assert "$10,000.00" in html
        assert "$100,000.00" in html
        assert "500.00" in html
        assert "?amount=100.00" in html
        assert "?amount=1000.00" not in html
        refused = site.send(f"/wallets/{wallet.id}/fund", amount="501")
        assert refused.status_code == 422
        assert "500.00 is left" in refused.content.decode()
        assert site.send(f"/wallets/{wallet.id}/fund", amount="500").status_code == 303
        assert "was given the $100,000.00" in site.html(f"/wallets/{wallet.id}/fund")

    def test_fills_in_a_quick_amount(self, site, wallet):
        assert 'value="100.00"' in site.html(f"/wallets/{wallet.id}/fund", amount="100.00")

    def test_is_refused_while_frozen(self, site, acme, wallet):
        wallets.freeze(wallet, actor=world.actor_for(acme))

        assert "Unfreeze it first" in site.html(f"/wallets/{wallet.id}/fund")
        assert site.send(f"/wallets/{wallet.id}/fund", amount="5").status_code == 422
        assert balance_of(wallet) == 0


class TestFreeze:
    def test_explains_then_freezes_and_unfreezes(self, site, acme, wallet):
        assert "No money leaves it" in site.html(f"/wallets/{wallet.id}/freeze")

        answer = site.send(f"/wallets/{wallet.id}/freeze", reason="Looks odd")

        assert answer.status_code == 303
        [event] = events_of(acme, "wallet.frozen")
        assert event.data["reason"] == "Looks odd"
        assert "This wallet is frozen" in site.html(f"/wallets/{wallet.id}")

        assert site.send(f"/wallets/{wallet.id}/unfreeze").status_code == 303
        assert Wallet.objects.get(pk=wallet.pk).status == "ACTIVE"

    def test_shows_when_the_wallet_has_that_status_already(self, site, acme, wallet):
        assert "It is not frozen." in site.html(f"/wallets/{wallet.id}/unfreeze")
        wallets.freeze(wallet, actor=world.actor_for(acme))
        assert "It is frozen already." in site.html(f"/wallets/{wallet.id}/freeze")

    def test_too_long_reason_is_refused(self, site, wallet):
        answer = site.send(f"/wallets/{wallet.id}/freeze", reason="x" * 1025)

        assert answer.status_code == 422
        assert Wallet.objects.get(pk=wallet.pk).status == "ACTIVE"


class TestClose:
    def test_explains_then_closes(self, site, wallet):
        assert "cannot be opened again" in site.html(f"/wallets/{wallet.id}/close")

        assert site.send(f"/wallets/{wallet.id}/close").status_code == 303
        assert Wallet.objects.get(pk=wallet.pk).status == "CLOSED"
        assert "The wallet is closed." in site.html(f"/wallets/{wallet.id}/close")

    def test_shows_why_a_wallet_cannot_be_closed(self, site, acme, wallet):
        main = acme.wallets.get(environment="SANDBOX", is_default=True)
        fund(wallet, "1")

        for blocked, reason in ((wallet, "Only an empty wallet"), (main, "main wallet cannot")):
            html = site.html(f"/wallets/{blocked.id}/close")
            assert reason in html
            assert "Close the wallet" not in html  # no button
            answer = site.send(f"/wallets/{blocked.id}/close")
            assert answer.status_code == 422
            assert reason in answer.content.decode()
            assert Wallet.objects.get(pk=blocked.pk).status == "ACTIVE"


def test_times_follow_the_organizations_clock(site, acme):
    acme.sandbox_offset = timedelta(days=400)
    acme.save()
    wallet = make_wallet(acme, "Later")
    fund(wallet, "1")

    year = (clock.real_now() + timedelta(days=400)).year
    assert str(year) in site.html(f"/wallets/{wallet.id}")
