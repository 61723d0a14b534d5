"""Who may see the address of a link. Anyone with that of a SEND link can claim its money."""

from decimal import Decimal

import pytest
from django.db import connection

from accounts.organizations import permissions
from accounts.payments.services import payments
from links.payment_links.models import PaymentLink
from links.payment_links.services import payment_links
from tests import pages, world
from tests.accounts import rails
from tests.endpoints import KEYED, scene
from tests.importing import store
from tests.links.conftest import ach_body, expire_links, lapse, send_claim, soon
from tests.world import Client, actor_for, make_key
from wallgent.api import commands
from wallgent.api.models import IdempotencyRecord
from wallgent.events.models import Event
from wallgent.imports import results

PATH = "/v1/payment-links"
WRITE = "payments:write"
ALL_BUT_WRITE = sorted(set(permissions.ALL) - {WRITE})
HIDDEN = {"slug": None, "url": None}


def address(link: dict) -> dict:
    return {name: link[name] for name in ("slug", "url")}


@pytest.fixture
def reader(acme):
    """A client with every permission except payments:write."""
    return Client(make_key(acme, permissions=ALL_BUT_WRITE))


class TestApi:
    @pytest.mark.parametrize("direction", ["SEND", "RECEIVE"])
    def test_shows_it_to_keys_that_may_pay(self, make, api, acme, payer, direction):
        link = make(direction=direction)
        scoped = Client(make_key(acme, wallet_scope=[payer.id]))
        assert link["url"].endswith(f"/pay/{link['slug']}")

        for client in (api, scoped):
            [listed] = client.get(PATH).json()["data"]
            assert listed == client.get(f"{PATH}/{link['id']}").json() == link
        assert address(scoped.patch(f"{PATH}/{link['id']}").json()) == address(link)

    @pytest.mark.parametrize("granted", [["payments:read"], ALL_BUT_WRITE], ids=len)
    def test_shows_other_keys_only_that_of_a_receive_link(self, make, acme, payer, granted):
        sends, receives = make(), make(direction="RECEIVE")
        keys = [
            make_key(acme, permissions=granted),
            make_key(acme, permissions=granted, wallet_scope=[payer.id]),
        ]

        for reader in map(Client, keys):
            assert reader.get(PATH).json()["data"] == [receives, sends | HIDDEN]
            assert reader.get(f"{PATH}/{sends['id']}").json() == sends | HIDDEN
            assert reader.get(f"{PATH}/{receives['id']}").json() == receives

    @pytest.mark.parametrize("endpoint", KEYED, ids=str)
    def test_no_endpoint_shows_it_to_a_key_that_may_not_pay(self, endpoint, reader, acme):
        objects = scene(acme)

        answer = endpoint.request(reader, objects)

        assert objects["slug"] not in answer.text

    def test_key_that_may_not_pay_cannot_claim(self, make, acme, payer, shop):
        link = make()
        reader = Client(make_key(acme, permissions=["payments:read"]))
        seen = reader.get(f"{PATH}/{link['id']}").json()

        for known in (seen["slug"], seen["id"], ""):
            body = {"method": "wallet", "destination": {"type": "wallet", "walletId": shop.id}}
            claimed = reader.post(f"{PATH}/claim/{known}/claim", body)
            assert claimed.status_code == 404
        assert world.balance_of(payer) == 100

    def test_address_for_allows_only_actors_that_may_pay(self, make, acme, globex, savings):
        link = PaymentLink.objects.get(pk=make()["id"])
        outsiders = (
            None,
            actor_for(acme, permissions=frozenset(ALL_BUT_WRITE)),
            actor_for(acme, wallet_scope=frozenset([savings.id])),
            actor_for(acme, "PRODUCTION"),
            actor_for(globex),
        )

        assert link.address_for(actor_for(acme)) == (link.slug, link.url)
        for outsider in outsiders:
            assert link.address_for(outsider) == (None, None)


class TestStoredAnswers:
    def test_omit_it_and_repeat_it(self, make, acme, payer):
        first = make(idempotencyKey="k", metadata={"rate": 1.5, "big": 10**20})

        assert make(idempotencyKey="k", metadata={"rate": 1.5, "big": 10**20}) == first
        record = IdempotencyRecord.objects.get()
        assert first["id"] in record.answer
        assert first["slug"] not in record.answer

    def test_add_it_when_a_concurrent_call_used_the_key_of_a_refused_one(
        self, make, api, payer, monkeypatch
    ):
        """The wallet lacked funds for the first call, but not for the concurrent one."""
        body = {"walletId": payer.id, "amount": "9000", "direction": "SEND", "idempotencyKey": "k"}
        refuse, concurrent = commands._Execution._refuse, []

        def refuse_after_concurrent_call(execution, refusal):
            monkeypatch.undo()
            world.fund(payer, "9000")
            concurrent.append(api.post(PATH, body).json())
            return refuse(execution, refusal)

        monkeypatch.setattr(commands._Execution, "_refuse", refuse_after_concurrent_call)
        answer = api.post(PATH, body)

        assert answer.headers["Idempotent-Replayed"] == "true"
        assert answer.json() == concurrent[0]
        assert answer.json()["slug"]

    def test_are_not_repeated_to_a_key_that_may_not_pay(self, make, reader, payer):
        make(idempotencyKey="k")
        body = {"walletId": payer.id, "amount": "25", "direction": "SEND", "idempotencyKey": "k"}

        assert reader.post(PATH, body).status_code == 403


def test_no_event_contains_the_address_of_a_send_link(make, claim, api, acme, shop, payer):
    """Whatever happens to the link."""
    cancelled, expired, claimed, failed = (
        make(amount="5", expiresAt=soon(3_600), maxUses=2) for _ in range(4)
    )
    api.patch(f"{PATH}/{cancelled['id']}")
    lapse(expired)
    expire_links()
    paid = claim(claimed, shop).json()["transactionId"]
    claim(claimed, world.make_wallet(acme, "Other"))
    payments.reverse(
        payments.access(paid, actor=actor_for(shop.organization)),
        actor=actor_for(shop.organization),
    )
    for number in (0, 3):  # a transfer to the second account fails
        assert send_claim(failed, ach_body(number)).status_code == 200
    rails.settle(acme)

    types = {event.type for event in Event.objects.filter(organization=acme)}
    link_events = {name for name in types if name.startswith("payment_link.")}
    assert link_events == {
        *("payment_link.created", "payment_link.claimed", "payment_link.settled"),
        *("payment_link.cancelled", "payment_link.expired", "payment_link.reopened"),
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(to_jsonb(e)::text, ' ') FROM wallgent_event e")
        [log] = cursor.fetchone()
    for link in (cancelled, expired, claimed, failed):
        assert link["id"] in log
        assert link["slug"] not in log


def test_event_of_a_receive_link_contains_the_address(make, acme):
    link = make(direction="RECEIVE")

    [event] = world.events_of(acme, "payment_link.created")
    assert address(event.data) == address(link)


@pytest.mark.parametrize("page", pages.PAGES, ids=str)
def test_no_page_shows_it_to_a_viewer(page, acme):
    objects = pages.object_ids(acme)
    viewer = world.browser(world.make_member(acme, pages.VIEWER))

    for query in ({}, {"q": objects["link"]}, {"like": objects["link"]}, {"download": "csv"}):
        answer = viewer.get(page.url(acme, objects), query)
        assert objects["slug"] not in answer.text


def test_download_contains_it_for_users_who_may_pay(acme, wallet):
    owner = actor_for(acme)
    file = store(owner, "wallet,amount\nmain,x\n")
    made = {"actor": owner, "wallet": wallet, "amount": Decimal(5)}
    world.fund(wallet, "5")
    sends, receives = (
        payment_links.create(direction=direction, **made) for direction in ("SEND", "RECEIVE")
    )
    for number, link in enumerate((sends, receives), 10):
        file.rows.create(number=number, cells=["x"], status="CREATED", object_id=link.id)
    reader = actor_for(acme, permissions=frozenset(ALL_BUT_WRITE))

    for_owner, for_reader = (
        "".join(results.csv_parts(file, actor=actor)) for actor in (owner, reader)
    )

    assert sends.url in for_owner
    assert sends.slug not in for_reader
    assert sends.id in for_reader
    assert receives.url in for_owner
    assert receives.url in for_reader
