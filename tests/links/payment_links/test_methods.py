"""Which methods a link offers, and that everybody who asks gets the same answer."""

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.test import Client as Browser

from accounts.organizations.models import User
from accounts.transfers.models import Transfer
from accounts.transfers.rails import directory
from accounts.transfers.rails.simulator import Simulator
from links.payment_links.models import Claim, EmailProof, Mandate, PaymentLink
from links.payment_links.services import methods, settings
from tests import world
from tests.accounts import rails
from tests.accounts.test_admin import signed_in
from tests.links.conftest import ach_body, agreed, claim_body, send_claim, stored, usdc_body
from tests.links.pay_page import visiting
from tests.world import Client, actor_for, error_of, everything
from wallgent import ids


class LiveRail(Simulator):
    """A rail that carries real money, as far as the order goes."""

    name = "nacha"
    is_test = False


@pytest.fixture
def connected(db, monkeypatch):
    """Production with a rail."""
    rails.allow_real_money()
    monkeypatch.setitem(directory._RAILS, LiveRail.name, LiveRail())


@pytest.fixture
def live(make, live_api, live_wallet):
    """Makes links in production."""
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
    def test_only_wallets_are_offered_and_no_mandate_is_shown(self, live, direction):
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
    def test_a_method_is_refused_before_anything_is_asked(self, live, direction, body):
        link = live(direction=direction)
        before = everything()

        assert refusal(send_claim(link, body)) == (501, "NOT_AVAILABLE")
        assert everything() == before

    def test_no_code_is_sent_for_it(self, live):
        link = live(recipientRestrictions={"emails": ["ada@example.com"]})

        for email in ("ada@example.com", "eve@example.com", ""):
            refused = send_claim(link, ach_body(recipientEmail=email))
            assert refusal(refused) == (501, "NOT_AVAILABLE")
        assert not EmailProof.objects.exists()
        assert mail.outbox == []

    def test_it_keeps_no_idempotency_key(self, live, acme):
        link, other = live(), world.make_wallet(acme, "Other", environment="PRODUCTION")
        key = {"idempotencyKey": "k"}

        assert refusal(send_claim(link, ach_body() | key)) == (501, "NOT_AVAILABLE")
        assert send_claim(link, claim_body(other, **key)).status_code == 200

    def test_an_answer_given_before_is_repeated(self, make, monkeypatch):
        link, body = make(), ach_body(idempotencyKey="k")
        first = send_claim(link, body)
        of = directory.of
        monkeypatch.setattr(directory, "of", lambda environment: of("PRODUCTION"))

        again = send_claim(link, body)

        assert (first.status_code, again.content) == (200, first.content)
        assert refusal(send_claim(link, ach_body())) == (501, "NOT_AVAILABLE")

    def test_the_page_asks_for_a_wallet_alone(self, live):
        link = stored(live(direction="RECEIVE"))

        text = visiting.text_of(Browser().get(visiting.address(link)))

        assert "Wallet id" in text
        assert "bank" not in text.lower()


class TestWithARail:
    def test_production_asks_for_the_mandate(self, live, connected):
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

    def test_production_exchanges_only_once_that_is_allowed(self, live, connected, acme):
        link = live()
        refused = send_claim(link, usdc_body())
        assert refusal(refused) == (400, "VALIDATION_ERROR")
        assert "does not exchange" in refused.json()["error"]["message"]

        actor = actor_for(acme, "PRODUCTION")
        settings.set_conversion(acme, actor=actor, allowed=True)

        assert view(link)["methods"] == ["ach", "usdc", "wallet"]
        assert send_claim(link, usdc_body()).json()["status"] == "CLAIMED"
        assert Transfer.objects.get().provider == "nacha"

    def test_a_mandate_is_shown_only_while_a_debit_can_follow(self, make, api):
        open_link, cancelled = (make(direction="RECEIVE") for _ in range(2))
        odd = make(direction="RECEIVE", amount="0.125")
        for_wallets = make(direction="RECEIVE", recipientRestrictions={"walletIds": ["wal_x"]})
        api.patch(f"/v1/payment-links/{cancelled['id']}")

        assert view(open_link)["mandate"]["required"] is False
        for link in (cancelled, odd, for_wallets, make(direction="SEND")):
            assert view(link)["mandate"] is None, link


@pytest.mark.parametrize(("currency", "first"), [("USD", "ACH"), ("USDC", "USDC")])
def test_the_page_begins_with_the_links_own_currency(acme, make, currency, first):
    wallet = world.make_wallet(acme, "Paid", currency=currency)
    link = stored(make(walletId=wallet.id, direction="RECEIVE"))

    page = Browser().get(visiting.address(link))

    assert page.context["methods"][0] == page.context["method"] == first
    assert len(page.context["methods"]) == 3


class TestTestAuthorization:
    def test_is_recorded_for_a_claim_by_the_api_without_a_mandate(self, make):
        link = make(direction="RECEIVE")

        claimed = send_claim(link, ach_body(), client=Client(ip="192.0.2.7"))

        assert (claimed.status_code, claimed.json()["status"]) == (200, "CLAIMED")
        kept = Mandate.objects.get()
        assert (kept.is_test, kept.version, kept.wording, kept.ip) == (True, "", "", "192.0.2.7")

    def test_is_shown_to_whoever_made_the_link(self, make, acme):
        link = make(direction="RECEIVE", maxUses=2)
        path = f"/{acme.id}/sandbox/payment-links/{link['id']}"
        owner = world.browser(world.make_member(acme))
        send_claim(link, ach_body() | agreed())
        assert "Test authorization" not in owner.get(path).text

        send_claim(link, ach_body(number="000123456780"))

        assert "Test authorization" in owner.get(path).text

    def test_is_not_given_by_the_page(self, make):
        link = stored(make(direction="RECEIVE"))
        visitor = Browser()
        said = {
            "step": "ach",
            "routing_number": "021000021",
            "account_number": "000123456789",
            "account_name": "Grace Hopper",
        }
        visitor.post(visiting.address(link), said)
        look = visitor.get(visiting.address(link, "review"))
        form = visiting.hidden_of(look) | {"submission": ids.new("sub")}

        refused = visitor.post(visiting.address(link, "review"), form)

        assert refused.status_code == 422
        assert not Claim.objects.exists()

    def test_the_database_refuses_one_in_production(self, live, connected):
        link = live(direction="RECEIVE")
        send_claim(link, ach_body() | agreed())

        with pytest.raises(IntegrityError, match="outside the sandbox"), transaction.atomic():
            Mandate.objects.update(is_test=True, version="", wording="")

    def test_the_database_refuses_a_mandate_without_words(self, make):
        send_claim(make(direction="RECEIVE"), ach_body())

        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE links_mandate SET is_test = false")


@pytest.mark.parametrize("environment", ["SANDBOX", "PRODUCTION"])
@pytest.mark.parametrize("converts", [True, False], ids=["converting", "not converting"])
@pytest.mark.parametrize("currency", ["USD", "USDC"])
@pytest.mark.parametrize("direction", ["SEND", "RECEIVE"])
def test_everybody_agrees(acme, api, live_api, environment, converts, currency, direction):
    """The view, the claim call, the page, the dashboard and the admin."""
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
    place = f"/{acme.id}/{environment.lower()}/payment-links"
    support = signed_in(User.objects.create_superuser("boss@wallgent.example"))
    names = ", ".join(methods.labels(PaymentLink.objects.get(pk=link["id"])))

    assert sorted(method.lower() for method in page.context["methods"]) == sorted(offered)
    assert names in owner.get(f"{place}/{link['id']}").text
    assert f"{currency} wallet: {names}" in visiting.read(owner.get(f"{place}/new").text)
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
