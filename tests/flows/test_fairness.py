"""Much work of one organization does not delay the payout of another."""

from dataclasses import replace

import pytest

from accounts.transfers.models import Transfer
from accounts.transfers.services import worker as transfers
from links.payment_links.models import PaymentLink
from tests import due, world
from tests.accounts import rails
from tests.importing import store
from tests.links.conftest import send_claim
from tests.world import Client
from wallgent.due_work.models import DueWork
from wallgent.imports import files, worker
from wallgent.imports.models import ImportRow

pytestmark = pytest.mark.django_db

PAYERS = 12  # anonymous, each with an open USDC address
CSV_ROWS = 20
CSV_ROWS_A_TURN = 3
# Acme waits for a worker with its sandbox clock and with real time, Globex with the one clock.
LANES = 3


@pytest.fixture
def addresses(acme, api) -> list[str]:
    """The open addresses of a link that many payers, none of them known, have opened."""
    coins = world.make_wallet(acme, "Coins", currency="USDC")
    body = {"walletId": coins.id, "amount": "1", "direction": "RECEIVE", "maxUses": PAYERS}
    link = api.post("/v1/payment-links", body).json()
    for number in range(1, PAYERS + 1):
        body = {"method": "usdc", "destination": {"type": "USDC", "address": f"0x{number:040x}"}}
        assert send_claim(link, body, client=Client(ip=f"192.0.2.{number}")).status_code == 200
    opened = Transfer.objects.filter(direction="DEPOSIT", rail_type="USDC").order_by("pk")
    return [transfer.id for transfer in opened]


@pytest.fixture
def imported(acme, wallet, monkeypatch):
    """A confirmed CSV file with many rows."""
    monkeypatch.setattr(worker, "ROWS_AT_A_TIME", CSV_ROWS_A_TURN)
    actor = replace(world.actor_for(acme), type="USER", id=world.make_member(acme).id)
    file = store(actor, "wallet,amount\n" + "Research agent,6\n" * CSV_ROWS)
    return files.confirm(file, actor=actor)


def turns_until(transfer: Transfer) -> list[str]:
    """Do due work until a worker has looked at a transfer. Return the subjects of all turns."""
    turns = []
    while transfer.id not in turns:
        [subject] = due.take_turn()
        turns.append(subject)
    return turns


@pytest.mark.parametrize("moment", ["opened", "lapsed"])
def test_payout_waits_for_one_turn_of_each_lane(acme, globex, addresses, imported, moment):
    """Both when many addresses were just opened, and when their deadlines pass at once."""
    if moment == "lapsed":
        while due.take_turn(transfers.DUE_WORK):
            pass
        rails.advance(acme, days=2)
    assert DueWork.objects.filter(kind=transfers.DUE_WORK).count() == PAYERS
    payout = rails.withdraw(world.make_wallet(globex, "Payouts", funds="100"), rail_type="ACH")

    first = turns_until(payout)
    rails.advance(globex, seconds=5)
    second = turns_until(payout)

    assert rails.stored(payout).status == "COMPLETED"
    for turns in (first, second):
        assert len(turns) <= LANES
        assert sum(id in addresses for id in turns) <= 1
        assert turns.count(imported.id) <= 1
    created = ImportRow.objects.filter(status="CREATED").count()
    assert created <= 2 * CSV_ROWS_A_TURN


def test_nothing_of_the_large_load_is_left_out(acme, addresses, imported):
    """Fairness delays what waits, and loses none of it."""
    while due.take_turn():
        pass
    assert set(Transfer.objects.values_list("status", "attempts")) == {("PROCESSING", 1)}
    assert PaymentLink.objects.filter(max_uses=1).count() == CSV_ROWS
