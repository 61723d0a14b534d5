"""The methods that a link offers are the same in the API, the pages and the admin."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client as Browser

from accounts.organizations.models import User
from accounts.pay_ins.models import Mandate
from accounts.transfers.models import Transfer
from accounts.transfers.rails import directory
from accounts.transfers.rails.simulator import Simulator
from links.payment_links.models import Claim, EmailVerification, PaymentLink
from links.payment_links.services import methods, settings
from tests import emailing, world
from tests.accounts import rails
from tests.accounts.test_admin import signed_in
from tests.links.conftest import ach_body, agreed, claim_body, send_claim, stored, usdc_body
from tests.links.pay_page import visiting
from tests.world import Client, actor_for, error_of, everything
from wallgent import ids


class LiveRail(Simulator):
    """A rail for production, as far as ordering a transfer."""

    name = "nacha"
    is_test = False


@pytest.fixture
def connected(db, monkeypatch):
    """Connect a rail in production."""
    rails.allow_real_money()
    monkeypatch.setitem(directory._RAILS, LiveRail.name, LiveRail())


@pytest.fixture
def live(make, live_api, live_wallet):
    """A function that creates links in production."""
    world.deposit(live_wallet, "1000")

    def live(**fields):
        return make(client=live_api, walletId=live_wallet.id, **fields)

    return live


def view(link: dict) -> dict:
    return Client().get(f"/v1/payment-links/claim/{link['slug']}").json()


def refusal(response) -> tuple[int, str]:
    return response.status_code, error_of(response)


class TestWithoutARail:
    @pytest.mark.parametrize("direction", ["SEND", "RECEIVE"])
    def test_only_the_wallet_method_is_offered_and_no_mandate_is_shown(self, live, direction):
        shown = view(live(direction=direction))

        assert (shown["methods"], shown["mandate"], shown["conversion"]) == (["wallet"], None, None)

    @pytest.mark.parametrize("direction", ["SEND", "RECEIVE"])
    @pytest.mark.parametrize(
        "body",
        [
            ach_body(),
            ach_body(mandate={"version": "2020-01", "accepted": True}),
            usdc_body(),
            {"method": "ach", "destination": {}},
            {"method": "usdc", "destination": {"type": "ACH"}},
            {"method": "ach"},
            {"method": "ACH", "recipientEmail": 5},
        ],
        ids=str,
    )
    def test_method_is_refused_before_any_other_check(self, live, direction, body):
        link = live(direction=direction)
        before = everything()

        assert refusal(send_claim(link, body)) == (501, "NOT_AVAILABLE")
        assert everything() == before

    def test_no_code_is_sent_for_a_refused_method(self, live):
        link = live(recipientRestrictions={"emails": ["ada@example.com"]})

        for email in ("ada@example.com", "eve@example.com", ""):
            refused = send_claim(link, ach_body(recipientEmail=email))
            assert refusal(refused) == (501, "NOT_AVAILABLE")
        assert not EmailVerification.objects.exists()
        assert emailing.outbox() == []

    def test_refused_method_does_not_use_the_idempotency_key(self, live, acme):
        link, other = live(), world.make_wallet(acme, "Other", environment="PRODUCTION")
        key = {"idempotencyKey": "k"}

        assert refusal(send_claim(link, ach_body() | key)) == (501, "NOT_AVAILABLE")
        assert send_claim(link, claim_body(other, **key)).status_code == 200

    def test_stored_answer_is_repeated(self, make, monkeypatch):
        link, body = make(), ach_body(idempotencyKey="k")
        first = send_claim(link, body)
        for_environment = directory.for_environment
        monkeypatch.setattr(
            directory, "for_environment", lambda environment: for_environment("PRODUCTION")
        )

        again = send_claim(link, body)

        assert (first.status_code, again.content) == (200, first.content)
        assert refusal(send_claim(link, ach_body())) == (501, "NOT_AVAILABLE")

    def test_page_asks_only_for_a_wallet(self, live):
        link = stored(live(direction="RECEIVE"))

        text = visiting.text_of(Browser().get(visiting.address(link)))

        assert "Wallet id" in text
        assert "bank" not in text.lower()


class TestWithARail:
    def test_production_requires_the_mandate(self, live, connected):
        link = live(direction="RECEIVE")
        shown = view(link)
        assert shown["methods"] == ["ach", "wallet"]
        assert (shown["mandate"]["required"], shown["conversion"]) == (True, None)
        before = everything()

        refused = send_claim(link, ach_body())

        assert refusal(refused) == (400, "VALIDATION_ERROR")
        details = refused.json()["error"]["details"]["mandate"]
        assert details["version"] == shown["mandate"]["version"]
        assert everything() == before
        assert send_claim(link, ach_body() | agreed()).json()["status"] == "CLAIMED"
        assert not Mandate.objects.get().is_test

    def test_production_exchanges_only_if_allowed(self, live, connected, acme):
        link = live()
        refused = send_claim(link, usdc_body())
        assert refusal(refused) == (400, "VALIDATION_ERROR")
        assert "does not exchange" in refused.json()["error"]["message"]

        actor = actor_for(acme, "PRODUCTION")
        settings.set_conversion(acme, actor=actor, allowed=True)

        assert view(link)["methods"] == ["ach", "usdc", "wallet"]
        assert send_claim(link, usdc_body()).json()["status"] == "CLAIMED"
        assert Transfer.objects.get().provider == "nacha"

    def test_mandate_is_shown_only_if_a_debit_is_possible(self, make, api):
        open_link, cancelled = (make(direction="RECEIVE") for _ in range(2))
        fractional = make(direction="RECEIVE", amount="0.125")
        for_wallets = make(direction="RECEIVE", recipientRestrictions={"walletIds": ["wal_x"]})
        api.patch(f"/v1/payment-links/{cancelled['id']}")

        assert view(open_link)["mandate"]["required"] is False
        for link in (cancelled, fractional, for_wallets, make(direction="SEND")):
            assert view(link)["mandate"] is None, link


@pytest.mark.parametrize(("currency", "first"), [("USD", "ACH"), ("USDC", "USDC")])
def test_page_preselects_the_method_in_the_links_currency(acme, make, currency, first):
    wallet = world.make_wallet(acme, "Paid", currency=currency)
    link = stored(make(walletId=wallet.id, direction="RECEIVE"))

    page = Browser().get(visiting.address(link))

    assert page.context["methods"][0] == page.context["method"] == first
    assert len(page.context["methods"]) == 3


class TestTestAuthorization:
    def test_is_recorded_for_an_api_claim_without_a_mandate(self, make):
        link = make(direction="RECEIVE")

        claimed = send_claim(link, ach_body(), client=Client(ip="192.0.2.7"))

        assert (claimed.status_code, claimed.json()["status"]) == (200, "CLAIMED")
        mandate = Mandate.objects.get()
        assert (mandate.is_test, mandate.version, mandate.wording, mandate.ip) == (
            True,
            "",
            "",
            "192.0.2.7",
        )

    def test_is_shown_to_the_links_organization(self, make, acme):
        link = make(direction="RECEIVE", maxUses=2)
        path = f"/{acme.id}/sandbox/payment-links/{link['id']}"
        owner = world.browser(world.make_member(acme))
        send_claim(link, ach_body() | agreed())
        assert "Test authorization" not in owner.get(path).text

        send_claim(link, ach_body(number="000123456780"))

        assert "Test authorization" in owner.get(path).text

    def test_is_not_available_on_the_page(self, make):
        link = stored(make(direction="RECEIVE"))
        visitor = Browser()
        form = {
            "step": "ach",
            "routing_number": "021000021",
            "account_number": "000123456789",
            "account_name": "Grace Hopper",
        }
        visitor.post(visiting.address(link), form)
        review = visitor.get(visiting.address(link, "review"))
        form = visiting.hidden_of(review) | {"submission": ids.new("sub")}

        refused = visitor.post(visiting.address(link, "review"), form)

        assert refused.status_code == 422
        assert not Claim.objects.exists()

    def test_database_refuses_one_in_production(self, live, connected):
        link = live(direction="RECEIVE")
        send_claim(link, ach_body() | agreed())

        with (
            pytest.raises(IntegrityError, match="mandate_tests_in_the_sandbox"),
            transaction.atomic(),
        ):
            Mandate.objects.update(is_test=True, version="", wording="")

    def test_database_refuses_a_mandate_without_wording(self, make):
        send_claim(make(direction="RECEIVE"), ach_body())

        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE accounts_mandate SET is_test = false")


@pytest.mark.parametrize("environment", ["SANDBOX", "PRODUCTION"])
@pytest.mark.parametrize("converts", [True, False], ids=["converting", "not converting"])
@pytest.mark.parametrize("currency", ["USD", "USDC"])
@pytest.mark.parametrize("direction", ["SEND", "RECEIVE"])
def test_api_pages_and_admin_offer_the_same_methods(
    acme, api, live_api, environment, converts, currency, direction
):
    """In the public view, the claim call, the pay page, the dashboard and the admin."""
    world.activate_production(acme)
    wallet = world.make_wallet(acme, "Paying", environment=environment, currency=currency)
    world.deposit(wallet, "100")
    actor = actor_for(acme, environment)
    settings.set_conversion(acme, actor=actor, allowed=converts)
    client = api if environment == "SANDBOX" else live_api
    body = {"walletId": wallet.id, "amount": "5", "direction": direction}
    link = client.post("/v1/payment-links", body).json()
    offered = view(link)["methods"]

    page = Browser().get(visiting.address(PaymentLink.objects.get(pk=link["id"])))
    owner = world.browser(world.make_member(acme))
    path = f"/{acme.id}/{environment.lower()}/payment-links"
    support = signed_in(User.objects.create_superuser("root@wallgent.example"))
    names = ", ".join(methods.labels(PaymentLink.objects.get(pk=link["id"])))

    assert sorted(method.lower() for method in page.context["methods"]) == sorted(offered)
    assert names in owner.get(f"{path}/{link['id']}").text
    assert f"{currency} wallet: {names}" in visiting.read(owner.get(f"{path}/new").text)
    assert names in support.get(f"/admin/links/paymentlink/{link['id']}/change/").text
    for method, claim in (("ach", ach_body()), ("usdc", usdc_body())):
        with transaction.atomic():
            response = send_claim(link, claim)
            transaction.set_rollback(True)
        assert (response.status_code == 200) == (method in offered), response.content
    expected = {"wallet"}
    if environment == "SANDBOX":
        expected |= {"ach", "usdc"} if converts else {"ach" if currency == "USD" else "usdc"}
    assert set(offered) == expected
