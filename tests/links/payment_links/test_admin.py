"""Links as support sees them."""

from datetime import UTC

import pytest
from django.test import Client
from django.urls import reverse

from accounts.organizations.models import Organization, User
from links.payment_links.models import PaymentLink
from links.payment_links.services import import_uploads
from tests.accounts.test_admin import listed, path, signed_in
from tests.links.conftest import stored
from tests.links.pay_page import visiting
from tests.world import actor_for, available_of, facts_of, make_wallet
from wallgent.api.models import IdempotencyRecord
from wallgent.events.models import Event

LINKS = "links.paymentlink"


@pytest.fixture
def boss(db):
    return User.objects.create_superuser("boss@wallgent.example")


@pytest.fixture
def support(boss):
    return signed_in(boss)


def act(browser, model, pk, action, **fields):
    form = {"action": action, "_selected_action": [pk], "confirmed": "yes", **fields}
    return browser.post(path(model, "changelist"), form, follow=True)


def test_a_link_is_found_by_what_belongs_to_it(support, make, claim, payer, shop, acme):
    link = make()
    claimed = claim(link, shop).json()
    make(amount="1")
    ulid = link["id"].removeprefix("lnk_")

    terms = (link["id"], f"pyl_{ulid}", f"plink_{ulid}", link["slug"][:6], claimed["id"])
    for term in (*terms, stored(link).hold_id):
        assert listed(support, LINKS, term) == {link["id"]}, term
    for term in (acme.id, payer.id):
        assert len(listed(support, LINKS, term)) == 2
    for term in (link["id"], shop.id, claimed["transactionId"]):
        assert listed(support, "links.claim", term) == {claimed["id"]}
    assert listed(support, LINKS, link["slug"]) == set()


def test_its_secret_is_shown_nowhere(support, make, claim, stranger, shop, acme):
    """Not even where a claim was refused, and whoever knows it may still take the money."""
    link, other = make(maxUses=3, idempotencyKey="made"), make_wallet(acme, "Other")
    given = claim(link, shop, idempotencyKey="once").json()["transactionId"]
    claim(link, shop, idempotencyKey="twice")
    assert visiting.claim(Client(), stored(link), other.id).status_code == 303
    stranger.post(f"/v1/payments/{given}/reverse", {"idempotencyKey": "back"})
    keys, events = "api.idempotencyrecord", "events.event"
    used = IdempotencyRecord.objects.values_list("pk", flat=True)
    told = Event.objects.filter(subject=link["id"]).values_list("pk", flat=True)

    pages = support.get(path(LINKS, "changelist")).text
    pages += support.get(path(LINKS, "change", link["id"])).text
    pages += support.get(path(LINKS, "history", link["id"])).text
    pages += support.get(path(keys, "changelist")).text
    pages += "".join(support.get(path(keys, "change", pk)).text for pk in used)
    pages += "".join(support.get(path(events, "change", pk)).text for pk in told)

    assert (len(used), len(told)) == (5, 5)
    assert link["slug"] not in pages
    assert f"{link['slug'][:6]}…" in pages
    for called in (
        *("/v1/payment-links/claim/…/claim<", "/pay/…/review<", "/v1/payment-links<"),
        f"/v1/payments/{given}/reverse<",
    ):
        assert called in pages, called
    assert f"&quot;{link['id']}&quot;" in pages


def test_support_cancels_it(support, boss, make, payer, acme):
    link = make()

    shown = act(support, LINKS, link["id"], "cancel").text
    again = act(support, LINKS, link["id"], "cancel").text

    assert "done (cancel)" in shown
    assert "Only an ACTIVE payment link can be cancelled" in again
    assert (stored(link).status, available_of(payer)) == ("CANCELLED", 100)
    [fact] = facts_of(acme, "payment_link.cancelled")
    assert (fact.actor_type, fact.actor_id) == ("USER", boss.id)


def test_support_says_which_way_an_organizations_links_go(support, make, acme):
    shown = act(
        support,
        "accounts.organization",
        acme.id,
        "set_link_direction",
        default_link_direction="SEND",
    )

    assert shown.status_code == 200
    assert Organization.objects.get(pk=acme.pk).default_link_direction == "SEND"
    assert make(direction=None)["direction"] == "SEND"


def test_text_of_a_link_is_only_text(support, make):
    link = make(description="<script>alert(1)</script>", metadata={"<b>": "<i>"})

    page = support.get(reverse("admin:links_paymentlink_change", args=[link["id"]])).text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert PaymentLink.objects.count() == 1


def test_a_file_of_links_is_counted_and_not_read_out(support, acme, payer):
    actor = actor_for(acme)
    text = f"wallet,amount,description\n{payer.id},5,For your eyes\n{payer.id},none,\n"
    reading = import_uploads.read(text.encode(), actor=actor, zone=UTC)
    batch = import_uploads.keep(reading, actor=actor, file_name="links.csv")

    for term in (batch.id, acme.id):
        assert listed(support, "links.linkbatch", term) == {batch.id}
    page = support.get(path("links.linkbatch", "change", batch.id)).content.decode()
    assert "1 ready, 1 wrong" in page
    assert "For your eyes" not in page
