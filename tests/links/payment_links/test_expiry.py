"""Payment links expire by the clock of their organization."""

import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from hypothesis import settings

from accounts.ledger import holds
from links.payment_links.models import PaymentLink
from links.payment_links.services import expiry, payment_links
from tests import due
from tests.accounts import rails
from tests.links.conftest import ach_body, expire_links, lapse, send_claim, soon, stored
from tests.world import (
    Client,
    actor_for,
    available_of,
    events_of,
    everything,
    fund,
    in_parallel,
    make_key,
    make_wallet,
)
from wallgent import clock
from wallgent.due_work import kinds
from wallgent.due_work.models import DueWork


def fail_releases(monkeypatch, links: list[dict], error: Exception) -> list:
    """Make releasing the holds of these links fail. Return a list that collects the attempts."""
    release_set, attempts = holds.release_set, []
    failing = {stored(link).hold_id for link in links}

    def release_others(releases):
        if failing & {release.hold_id for release in releases}:
            attempts.append(releases)
            raise error
        release_set(releases)

    monkeypatch.setattr(holds, "release_set", release_others)
    return attempts


def _pass_time(links: list[dict], organization, ahead: bool) -> None:
    if ahead:
        organization.sandbox_offset = timedelta(hours=2)
        organization.save()
    else:
        for link in links:
            lapse(link)


def limit_sets(monkeypatch, size: int) -> None:
    """Make workers take fewer links at once."""
    kind = kinds.of(expiry.DUE_WORK)
    monkeypatch.setitem(kinds._kinds, kind.name, replace(kind, set_size=size))


class TestSweep:
    def test_releases_the_hold_and_records_an_event(self, make, claim, acme, payer, shop):
        link = make(amount="10", maxUses=3, expiresAt=soon())
        claim(link, shop)
        lapse(link)

        assert expire_links() == 1

        expired = stored(link)
        assert (expired.status, expired.use_count) == ("EXPIRED", 1)
        assert abs(expired.expired_at - clock.real_now()) < timedelta(seconds=30)
        assert (expired.hold.captured, expired.hold.released, expired.hold.remaining) == (10, 20, 0)
        assert available_of(payer) == 90
        [event] = events_of(acme, "payment_link.expired")
        assert (event.data["paymentLinkId"], event.data["status"]) == (link["id"], "EXPIRED")
        assert (event.actor_type, event.is_public) == ("SYSTEM", True)

    def test_repeated_does_nothing(self, make):
        lapse(make(expiresAt=soon()))
        expire_links()
        before = everything()

        assert expire_links() == 0
        assert everything() == before

    def test_leaves_links_that_are_not_due(self, make, claim, api, shop):
        make()
        make(expiresAt=soon())
        claimed, cancelled = make(expiresAt=soon()), make(expiresAt=soon())
        claim(claimed, shop)
        api.patch(f"/v1/payment-links/{cancelled['id']}")
        lapse(claimed)
        lapse(cancelled)

        expire_links()

        assert not PaymentLink.objects.filter(status="EXPIRED").exists()
        assert due.row_of(claimed["id"]) is due.row_of(cancelled["id"]) is None

    def test_covers_every_direction_environment_and_organization(
        self, make, acme, stranger, shop, live_api, live_wallet
    ):
        fund(shop, "5")
        for link in (
            make(expiresAt=soon()),
            make(direction="RECEIVE", expiresAt=soon()),
            make(client=stranger, walletId=shop.id, amount="5", expiresAt=soon()),
            make(client=live_api, walletId=live_wallet.id, direction="RECEIVE", expiresAt=soon()),
        ):
            lapse(link)

        assert expire_links() == 4
        assert len(events_of(acme, "payment_link.expired")) == 2
        assert len(events_of(acme, "payment_link.expired", "PRODUCTION")) == 1
        assert len(events_of(shop.organization, "payment_link.expired")) == 1

    def test_uses_the_clock_of_each_sandbox(
        self, make, acme, live_api, live_wallet, stranger, shop
    ):
        late = {"direction": "RECEIVE", "expiresAt": soon(3600)}
        ahead = make(**late)
        live = make(client=live_api, walletId=live_wallet.id, **late)
        other = make(client=stranger, walletId=shop.id, **late)
        acme.sandbox_offset = timedelta(hours=2)
        acme.save()

        assert expire_links() == 1

        assert [stored(link).status for link in (ahead, live, other)] == [
            "EXPIRED",
            "ACTIVE",
            "ACTIVE",
        ]
        assert stored(ahead).expired_at > clock.real_now() + timedelta(minutes=119)

    def test_processes_all_batches(self, make, monkeypatch, payer):
        limit_sets(monkeypatch, 2)
        for _ in range(5):
            lapse(make(amount="1", expiresAt=soon()))

        assert expire_links() == 5
        assert available_of(payer) == 100

    def test_query_count_does_not_grow_with_the_number_of_links(self, make, acme):
        def query_count(count):
            for number in range(count):
                wallet = make_wallet(acme, str(number), funds="5")
                lapse(make(walletId=wallet.id, amount="5", expiresAt=soon()))
            with CaptureQueriesContext(connection) as captured:
                assert expire_links() == count
            return len(captured)

        assert query_count(1) == query_count(7)

    @pytest.mark.parametrize("bad", [[0], [0, 1], [0, 1, 2, 4], [4]])
    @pytest.mark.parametrize("ahead", [False, True])
    def test_failing_links_do_not_delay_the_others(
        self, make, monkeypatch, payer, acme, caplog, bad, ahead
    ):
        """Even when more of them than a batch holds are due first."""
        limit_sets(monkeypatch, 2)
        links = [make(amount="1", expiresAt=soon(60 + number)) for number in range(6)]
        broken = [links[number] for number in bad]
        _pass_time(links, acme, ahead)
        fail_releases(monkeypatch, broken, RuntimeError("a bug"))

        expire_links()

        for link in links:
            assert stored(link).status == ("ACTIVE" if link in broken else "EXPIRED")
            assert (link["id"] in caplog.text) == (link in broken)
        assert available_of(payer) == 100 - len(bad)

    def test_lock_timeout_delays_only_its_batch(self, make, monkeypatch, payer, acme):
        limit_sets(monkeypatch, 2)
        links = [make(amount="1", expiresAt=soon(60 + number)) for number in range(5)]
        _pass_time(links, acme, ahead=False)
        with monkeypatch.context() as patched:
            attempts = fail_releases(patched, links[:1], OperationalError("lock timeout"))
            assert expire_links() == 5
        assert len(attempts) == 1  # the lock is waited for only once
        assert PaymentLink.objects.filter(status="EXPIRED").count() == 3

        assert due.work(expiry.DUE_WORK) == 2
        assert available_of(payer) == 100

    def test_releases_the_hold_of_a_frozen_wallet(self, make, api, payer):
        lapse(make(expiresAt=soon()))
        api.post(f"/v1/wallets/{payer.id}/freeze")

        assert expire_links() == 1
        assert available_of(payer) == 100


@pytest.mark.django_db(transaction=True)
class TestConcurrentSweeps:
    def test_each_link_expires_once(self, make, acme, payer):
        for _ in range(20):
            lapse(make(amount="1", expiresAt=soon()))

        counts = in_parallel(4, lambda n: expire_links())

        assert sum(counts) == 20
        assert PaymentLink.objects.filter(status="EXPIRED").count() == 20
        assert len(events_of(acme, "payment_link.expired")) == 20
        assert available_of(payer) == 100

    def test_locked_links_are_skipped(self, make, payer):
        busy, idle = make(amount="1", expiresAt=soon()), make(amount="1", expiresAt=soon())
        lapse(busy)
        lapse(idle)

        with expiry.transaction.atomic():
            PaymentLink.objects.locked(busy["id"])
            in_parallel(1, lambda n: expire_links())

        assert [stored(link).status for link in (busy, idle)] == ["ACTIVE", "EXPIRED"]
        assert due.row_of(busy["id"]).failures == 0
        DueWork.objects.update(due_at=clock.real_now())  # a second later
        assert due.work(expiry.DUE_WORK) == 1
        assert stored(busy).status == "EXPIRED"


@pytest.mark.hypothesis  # so that `make soak` runs it with 10,000 links
@pytest.mark.timeout(3600)
def test_many_links_that_are_due_at_once_expire_in_sets(acme, payer, monkeypatch):
    count, size = (10_000, expiry.SET_SIZE) if settings.default.max_examples > 100 else (60, 20)
    limit_sets(monkeypatch, size)
    terms = {"wallet": payer, "amount": Decimal("0.01"), "direction": "SEND"}
    actor, until = actor_for(acme), clock.now(payer) + timedelta(hours=1)
    for _ in range(count):
        payment_links.create(actor=actor, expires_at=until, **terms)
    rails.advance(acme, hours=2)

    statements, started = [], time.monotonic()
    for _ in range(count // size):
        with CaptureQueriesContext(connection) as captured:
            assert len(due.take_turn(expiry.DUE_WORK)) == size
        statements.append(len(captured))

    assert time.monotonic() - started < 60
    assert len(set(statements)) == 1, "each set costs as much as the others"
    assert statements[0] < 30, "for a set, not for a link"
    assert set(PaymentLink.objects.values_list("status", flat=True)) == {"EXPIRED"}
    assert available_of(payer) == 100


def test_reopened_link_still_expires(make, acme, payer):
    """Also if its time passed while it was claimed."""
    link = make(expiresAt=soon())
    send_claim(link, ach_body(1))
    lapse(link)
    expire_links()
    assert (stored(link).status, due.row_of(link["id"])) == ("CLAIMED", None)

    rails.settle(acme)  # the claim fails
    expire_links()

    assert (stored(link).status, available_of(payer)) == ("EXPIRED", 100)


def test_api_shows_when_a_link_expired(make, api, acme):
    link = make(expiresAt=soon())
    lapse(link)
    expire_links()

    seen = Client(make_key(acme)).get(f"/v1/payment-links/{link['id']}").json()

    assert (seen["status"], seen["expiredAt"] is not None) == ("EXPIRED", True)
