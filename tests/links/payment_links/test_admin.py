"""Payment links in the admin."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.organizations.models import Organization, User
from accounts.pay_ins.models import Mandate
from links.payment_links.models import PaymentLink
from tests.accounts.test_admin import listed, path, signed_in
from tests.links.conftest import ach_body, agreed, send_claim, stored
from tests.links.pay_page import visiting
from tests.world import available_of, events_of, make_wallet
from wallgent.api.models import IdempotencyRecord
from wallgent.events.models import Event

LINKS = "links.paymentlink"


@pytest.fixture
def superuser(db):
    return User.objects.create_superuser("root@wallgent.example")


@pytest.fixture
def support(superuser):
    return signed_in(superuser)


def act(browser, model, pk, action, **fields):
    form = {"action": action, "_selected_action": [pk], "confirmed": "yes", **fields}
    return browser.post(path(model, "changelist"), form, follow=True)


def test_search_finds_a_link_by_the_ids_of_related_objects(support, make, claim, payer, shop, acme):
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


def test_the_page_of_a_claim_leads_to_its_mandate(support, make):
    link = make(direction="RECEIVE")
    claimed = send_claim(link, ach_body() | agreed()).json()
    mandate = Mandate.objects.get()

    page = support.get(path("links.claim", "change", claimed["id"])).text

    assert f"{path('accounts.mandate', 'changelist')}?q={claimed['id']}" in page
    assert listed(support, "accounts.mandate", claimed["id"]) == {mandate.id}
    assert mandate.wording in support.get(path("accounts.mandate", "change", mandate.id)).text


def test_no_page_shows_the_whole_slug(support, make, claim, stranger, shop, acme):
    """Not even after a refused claim, when the slug can still be used to claim."""
    link, other = make(maxUses=3, idempotencyKey="made"), make_wallet(acme, "Other")
    paid = claim(link, shop, idempotencyKey="once").json()["transactionId"]
    claim(link, shop, idempotencyKey="twice")
    assert visiting.claim(Client(), stored(link), other.id).status_code == 303
    stranger.post(f"/v1/payments/{paid}/reverse", {"idempotencyKey": "back"})
    keys, events = "wallgent.idempotencyrecord", "wallgent.event"
    used = IdempotencyRecord.objects.values_list("pk", flat=True)
    recorded = Event.objects.filter(subject=link["id"]).values_list("pk", flat=True)

    pages = support.get(path(LINKS, "changelist")).text
    pages += support.get(path(LINKS, "change", link["id"])).text
    pages += support.get(path(LINKS, "history", link["id"])).text
    pages += support.get(path(keys, "changelist")).text
    pages += "".join(support.get(path(keys, "change", pk)).text for pk in used)
    pages += "".join(support.get(path(events, "change", pk)).text for pk in recorded)

    assert (len(used), len(recorded)) == (5, 5)
    assert link["slug"] not in pages
    assert f"{link['slug'][:6]}…" in pages
    for path_shown in (
        *("/v1/payment-links/claim/…/claim<", "/pay/…/review<", "/v1/payment-links<"),
        f"/v1/payments/{paid}/reverse<",
    ):
        assert path_shown in pages, path_shown
    assert f"&quot;{link['id']}&quot;" in pages


def test_action_cancels_a_link(support, superuser, make, payer, acme):
    link = make()

    cancelled = act(support, LINKS, link["id"], "cancel").text
    again = act(support, LINKS, link["id"], "cancel").text

    assert "done (cancel)" in cancelled
    assert "Only an ACTIVE payment link can be cancelled" in again
    assert (stored(link).status, available_of(payer)) == ("CANCELLED", 100)
    [event] = events_of(acme, "payment_link.cancelled")
    assert (event.actor_type, event.actor_id) == ("USER", superuser.id)


def test_action_sets_the_default_direction_of_links(support, make, acme):
    answer = act(
        support,
        "accounts.organization",
        acme.id,
        "set_link_direction",
        default_link_direction="SEND",
    )

    assert answer.status_code == 200
    assert Organization.objects.get(pk=acme.pk).default_link_direction == "SEND"
    assert make(direction=None)["direction"] == "SEND"


def test_html_in_a_link_is_escaped(support, make):
    link = make(description="<script>alert(1)</script>", metadata={"<b>": "<i>"})

    page = support.get(reverse("admin:links_paymentlink_change", args=[link["id"]])).text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert PaymentLink.objects.count() == 1
