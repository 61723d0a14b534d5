"""Fixtures and helpers that create payment links and claim them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.organizations.models import Organization
from accounts.pay_ins.services import mandates
from accounts.transfers.rails import simulator
from accounts.wallets.models import Wallet
from links.payment_links.models import PaymentLink
from links.payment_links.services import expiry
from tests import due
from tests.world import Client, fund
from wallgent import clock
from wallgent.api.schemas import timestamp_text
from wallgent.due_work import worker


@pytest.fixture
def payer(wallet):
    """Acme's wallet, funded with 100."""
    fund(wallet, "100")
    return Wallet.objects.get(pk=wallet.pk)


@pytest.fixture
def make(api, payer):
    """A function that creates a link over the API, by default a SEND link of 25 of the payer."""

    def make(*, client=api, status=201, **fields) -> dict:
        body = {"walletId": payer.id, "amount": "25", "direction": "SEND"} | fields
        response = client.post("/v1/payment-links", body)
        assert response.status_code == status, response.content
        return response.json()

    return make


def claim_body(wallet, **more) -> dict:
    return {"method": "wallet", "destination": {"type": "WALLET", "walletId": wallet.id}} | more


@pytest.fixture
def claim(db):
    """A function that claims a link to a wallet, by default without a key."""

    def claim(link: dict, wallet, *, client=None, **more):
        path = f"/v1/payment-links/claim/{link['slug']}/claim"
        return (client or Client()).post(path, claim_body(wallet, **more))

    return claim


def soon(seconds: int = 60) -> str:
    return timestamp_text(clock.real_now() + timedelta(seconds=seconds))


def lapse(link: dict) -> None:
    """Put a link's expiry into the past, without expiring it."""
    past = clock.real_now() - timedelta(seconds=1)
    links = PaymentLink.objects.filter(pk=link["id"])
    assert links.update(created_at=past - timedelta(hours=1), expires_at=past) == 1
    due.make_due(link["id"])


def expire_links() -> int:
    """Do the due work of links. Return how many rows it handled."""
    return worker.work(expiry.DUE_WORK)


def stored(link: dict) -> PaymentLink:
    return PaymentLink.objects.select_related("hold").get(pk=link["id"])


def ach_body(fault: int = 0, number: str = "000123456789", **more) -> dict:
    """A claim by bank account, or by the published account that causes a fault."""
    bank = {
        "type": "ACH",
        "routingNumber": "021000021",
        "accountNumber": simulator.account_number(fault) if fault else number,
        "accountName": "Grace Hopper",
    }
    return {"method": "ach", "destination": bank} | more


def usdc_body(fault: int = 0, **more) -> dict:
    """A claim by blockchain address, or by the published address that causes a fault."""
    address = simulator.address(fault) if fault else "0x52908400098527886E0F7030069857D2E4169EE7"
    return {"method": "usdc", "destination": {"type": "USDC", "address": address}} | more


AS_SHOWN = "as shown"  # replaced by the version of the mandate that the link shows


def agreed() -> dict:
    """The fields with which a payer accepts the mandate for a bank debit."""
    return {"mandate": {"version": AS_SHOWN, "accepted": True}}


def send_claim(link: dict, body: dict, *, client=None):
    """Claim a link, by default without a key."""
    if AS_SHOWN in str(body.get("mandate")):
        body = body | {"mandate": body["mandate"] | {"version": version_of(link)}}
    return (client or Client()).post(f"/v1/payment-links/claim/{link['slug']}/claim", body)


def version_of(link: dict) -> str:
    """The version of the mandate for a link of Acme's."""
    acme = Organization(name="Acme")
    return mandates.terms(acme, amount=Decimal(link["amount"])).version


def look(link: dict, claimed) -> dict:
    """Return the claim as its claimant sees it now."""
    token = claimed.json()["claimToken"]
    answer = Client().get(f"/v1/payment-links/claim/{link['slug']}", claimToken=token)
    assert answer.status_code == 200, answer.content
    return answer.json()["claim"]
