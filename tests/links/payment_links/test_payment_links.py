"""The API with which organizations create, read and cancel payment links."""

import re
from decimal import Decimal

import pytest

from accounts.ledger import chart
from accounts.organizations.models import Organization
from accounts.organizations.services import organizations
from accounts.wallets import services as wallets
from links.payment_links.errors import PaymentLinkNotFound
from links.payment_links.models import PaymentLink
from links.payment_links.services import payment_links
from tests.links.conftest import lapse, soon, stored
from tests.world import (
    A_TIME,
    Client,
    actor_for,
    an_id,
    available_of,
    error_of,
    events_of,
    everything,
    fund,
    make_key,
    make_wallet,
)
from wallgent.errors import PermissionDenied


class TestCreateLink:
    def test_returns_every_field(self, make, payer):
        until = soon()

        link = make(
            amount=25.5,
            description="Design work",
            currency="USD",
            expiresAt=until,
            metadata={"order": 7},
            maxUses=2,
            recipientRestrictions={"emails": ["Ada@Example.com"], "walletIds": ["wal_x"]},
        )

        assert link == {
            "id": an_id("lnk"),
            "slug": link["slug"],
            "url": f"http://127.0.0.1:8000/pay/{link['slug']}",
            "walletId": payer.id,
            "direction": "SEND",
            "amount": "25.50",
            "currency": "USD",
            "description": "Design work",
            "status": "ACTIVE",
            "recipientRestrictions": {
                "emails": ["ada@example.com"],
                "walletIds": ["wal_x"],
                "proof": "TYPED",
            },
            "maxUses": 2,
            "useCount": 0,
            "metadata": {"order": 7},
            "transactionId": None,
            "createdAt": A_TIME,
            "expiresAt": until,
            "claimedAt": None,
            "settledAt": None,
            "cancelledAt": None,
            "expiredAt": None,
            "reopenedAt": None,
            "reopenReason": None,
        }
        assert available_of(payer) == 49

    def test_send_link_holds_the_amount_of_every_use(self, make, payer, api):
        link = make(amount="10", maxUses=3, expiresAt=soon())

        hold = stored(link).hold
        assert (hold.amount, hold.remaining) == (30, 30)
        assert (hold.reason, hold.reference) == ("payment_link", link["id"])
        assert hold.expires_at == stored(link).expires_at
        assert available_of(payer) == 70
        [shown] = api.get(f"/v1/wallets/{payer.id}/holds").json()["data"]
        assert shown["status"] == "PENDING"

    def test_receive_link_needs_no_money(self, make, acme, payer):
        empty = make_wallet(acme)

        link = make(walletId=empty.id, direction="RECEIVE", amount="1000000")

        assert (link["direction"], stored(link).hold) == ("RECEIVE", None)

    def test_direction_defaults_to_that_of_the_organization(self, make, acme):
        assert make(direction=None)["direction"] == "RECEIVE"

        organizations.set_link_direction(acme, actor=actor_for(acme), direction="SEND")

        assert make(direction=None)["direction"] == "SEND"
        assert make(direction="RECEIVE")["direction"] == "RECEIVE"
        assert Organization.objects.get(pk=acme.pk).default_link_direction == "SEND"
        [event] = events_of(acme, "organization.updated")
        assert event.data["changes"] == {"defaultLinkDirection": "SEND"}

    def test_slugs_are_unique_and_long(self, make):
        slugs = {make(amount="1")["slug"] for _ in range(20)}

        assert len(slugs) == 20
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", slug) for slug in slugs)

    def test_snake_case_is_accepted(self, api, payer):
        body = {
            "wallet_id": payer.id,
            "amount": "5",
            "direction": "SEND",
            "max_uses": 2,
            "expires_at": soon(),
            "recipient_restrictions": {"wallet_ids": ["wal_x"]},
        }

        link = api.post("/v1/payment-links", body).json()

        assert (link["maxUses"], link["walletId"]) == (2, payer.id)
        assert link["recipientRestrictions"]["walletIds"] == ["wal_x"]

    def test_records_an_event(self, make, acme):
        link = make(expiresAt=soon())

        [event] = events_of(acme, "payment_link.created")
        assert (event.subject, event.is_public) == (link["id"], True)
        assert event.data == {
            "paymentLinkId": link["id"],
            **{"slug": None, "url": None},  # with them, every reader of the event could claim
            **{k: link[k] for k in ("walletId", "currency", "direction")},
            **{k: link[k] for k in ("amount", "status", "expiresAt")},
            "environment": "SANDBOX",
        }

    def test_repeated_key_creates_one_link(self, make, payer):
        first = make(idempotencyKey="k")

        assert make(idempotencyKey="k") == first
        assert PaymentLink.objects.count() == 1
        assert available_of(payer) == 75
        assert make(idempotencyKey="k", amount="26", status=409)["error"]["code"] == (
            "IDEMPOTENCY_KEY_REUSE"
        )

    def test_has_the_currency_of_its_wallet(self, make, acme):
        coins = make_wallet(acme, currency="USDC", funds="10")

        assert make(walletId=coins.id, amount="10")["currency"] == "USDC"
        refused = make(walletId=coins.id, currency="USD", status=400)
        assert "currency" in refused["error"]["details"]["fields"]


class TestRefuseLink:
    def test_without_funds(self, make, payer):
        before = everything()

        error = make(amount="100.01", status=402)["error"]
        many = make(amount="50", maxUses=3, status=402)["error"]

        assert error["code"] == many["code"] == "INSUFFICIENT_FUNDS"
        assert error["details"] == {
            "walletId": payer.id,
            "balance": "100.00",
            "requested": "100.01",
        }
        assert many["details"]["requested"] == "150.00"
        assert everything() == before

    @pytest.mark.parametrize(
        ("state", "direction", "status", "code"),
        [
            ("FROZEN", "SEND", 403, "WALLET_FROZEN"),
            ("CLOSED", "SEND", 409, "INVALID_STATE"),
            ("CLOSED", "RECEIVE", 409, "INVALID_STATE"),
        ],
    )
    def test_of_a_frozen_or_closed_wallet(self, make, acme, payer, state, direction, status, code):
        other = make_wallet(acme)
        chart.set_state(other.account_id, state)

        refused = make(walletId=other.id, direction=direction, status=status)

        assert refused["error"]["code"] == code
        assert not PaymentLink.objects.exists()

    @pytest.mark.parametrize(
        "change",
        [
            {"amount": "999999999999.99", "maxUses": 2},
            {"amount": "0"},
            {"direction": "BOTH"},
            {"direction": "send"},
            {"currency": "EUR"},
            {"currency": "USDC"},
            {"description": "x" * 1025},
            {"expiresAt": "2020-01-01T00:00:00Z"},
            {"expiresAt": "soon"},
            {"maxUses": 0},
            {"maxUses": -1},
            {"maxUses": 1.5},
            {"maxUses": "2"},
            {"maxUses": True},
            {"maxUses": 10_001},
            {"metadata": []},
            {"metadata": {"a": "x" * 20_000}},
            {"recipientRestrictions": []},
            {"recipientRestrictions": {"emails": "ada@example.com"}},
            {"recipientRestrictions": {"emails": ["ada"]}},
            {"recipientRestrictions": {"emails": ["a b@example.com"]}},
            {"recipientRestrictions": {"emails": ["a@b\u202e.com"]}},
            {"recipientRestrictions": {"emails": ["a" * 65 + "@example.com"]}},
            {"recipientRestrictions": {"emails": ["a@" + "b" * 260]}},
            {"recipientRestrictions": {"emails": [None]}},
            {"recipientRestrictions": {"emails": ["a@example.com"] * 101}},
            {"recipientRestrictions": {"walletIds": [5]}},
            {"recipientRestrictions": {"walletIds": [""]}},
            {"recipientRestrictions": {"walletIds": ["x" * 65]}},
            {"recipientRestrictions": {"walletIds": ["x"] * 101}},
            {"recipientRestrictions": {"proof": "BELIEF"}},
        ],
        ids=lambda change: str(change)[:50],
    )
    def test_with_invalid_fields(self, make, change):
        before = everything()

        assert make(status=400, **change)["error"]["code"] in ("VALIDATION_ERROR", "INVALID_AMOUNT")
        assert everything() == before

    def test_of_a_wallet_that_the_key_may_not_use(self, make, stranger, live_api, acme, savings):
        scoped = Client(make_key(acme, wallet_scope=[savings.id]))

        assert make(client=stranger, status=404)["error"]["code"] == "WALLET_NOT_FOUND"
        assert make(client=live_api, status=403)["error"]["code"] == "ENVIRONMENT_MISMATCH"
        assert make(client=scoped, status=403)["error"]["code"] == "PERMISSION_DENIED"

    def test_proof_of_email_defaults_to_a_code_in_production(self, make, live_api, live_wallet):
        """In the sandbox, the documented claim works without a code."""
        restrictions = {"emails": ["ada@example.com"]}
        live = {"client": live_api, "walletId": live_wallet.id, "direction": "RECEIVE"}

        def proof(**terms):
            return make(**terms)["recipientRestrictions"]["proof"]

        assert proof(recipientRestrictions=restrictions) == "TYPED"
        assert proof(recipientRestrictions=restrictions | {"proof": "CODE"}) == "CODE"
        assert proof(recipientRestrictions=restrictions, **live) == "CODE"
        assert proof(recipientRestrictions=restrictions | {"proof": "TYPED"}, **live) == "TYPED"

    def test_text_of_any_script_is_stored_unchanged(self, make, api):
        text = "<script>alert(1)</script> \u202eאבג\u202c 😀 ' \" & \x01"
        metadata = {"<b>": [text, 1.5, None]}

        link = make(description=text, metadata=metadata)

        assert (link["description"], link["metadata"]) == (text, metadata)
        assert make(description="😀" * 1024)["description"] == "😀" * 1024
        assert api.get(f"/v1/payment-links/{link['id']}").json() == link


class TestReadLinks:
    def test_finds_a_link_by_each_id_prefix(self, make, api):
        link = make()
        ulid = link["id"].removeprefix("lnk_")

        for prefix in ("lnk", "pyl", "plink"):
            assert api.get(f"/v1/payment-links/{prefix}_{ulid}").json() == link
        assert api.get(f"/v1/payment-links/wal_{ulid}").status_code == 404

    def test_lists_newest_first_with_filters(self, make, api, acme, savings):
        one, two = make(), make()
        other = make(walletId=savings.id, direction="RECEIVE")
        api.patch(f"/v1/payment-links/{one['id']}")

        def listed(**query):
            return [link["id"] for link in api.get("/v1/payment-links", **query).json()["data"]]

        assert listed() == [other["id"], two["id"], one["id"]]
        assert listed(status="ACTIVE") == [other["id"], two["id"]]
        assert listed(status="CANCELLED", limit="1") == [one["id"]]
        assert listed(walletId=savings.id) == [other["id"]]
        assert listed(wallet_id=savings.id, status="CANCELLED") == []

    def test_claimed_filter_includes_settled_links(self, make, claim, api, shop):
        link = make()
        make()
        assert claim(link, shop).status_code == 200

        for status in ("CLAIMED", "SETTLED"):
            found = api.get("/v1/payment-links", status=status).json()["data"]
            assert [each["id"] for each in found] == [link["id"]]
            assert found[0]["status"] == "SETTLED"

    @pytest.mark.parametrize("query", ["status=active", "status=", "limit=x", "cursor=x"])
    def test_refuses_invalid_filters(self, api, query):
        assert api.request("GET", f"/v1/payment-links?{query}").status_code == 400

    def test_scoped_key_sees_only_links_of_its_wallets(self, make, acme, savings):
        make()
        own = make(walletId=savings.id, direction="RECEIVE")
        scoped = Client(make_key(acme, wallet_scope=[savings.id]))

        [seen] = scoped.get("/v1/payment-links").json()["data"]

        assert seen["id"] == own["id"]

    def test_stranger_sees_no_link(self, make, stranger, live_api):
        make()

        assert stranger.get("/v1/payment-links").json()["data"] == []
        assert live_api.get("/v1/payment-links").json()["data"] == []

    def test_service_checks_access_too(self, make, acme, globex, savings):
        link = make()
        scoped = actor_for(acme, wallet_scope=frozenset([savings.id]))

        assert payment_links.access(link["id"], actor=actor_for(acme)).id == link["id"]
        with pytest.raises(PermissionDenied):
            payment_links.access(link["id"], actor=scoped)
        with pytest.raises(PaymentLinkNotFound):
            payment_links.access(link["id"], actor=actor_for(globex))


class TestCancelLink:
    @pytest.mark.parametrize("body", [None, {}, {"status": "CANCELLED"}, {"idempotencyKey": "k"}])
    def test_releases_the_hold(self, make, api, acme, payer, body):
        link = make(amount="10", maxUses=3)

        response = api.patch(f"/v1/payment-links/{link['id']}", body)

        assert response.status_code == 200
        cancelled = response.json()
        assert cancelled == link | {"status": "CANCELLED", "cancelledAt": A_TIME}
        assert available_of(payer) == 100
        assert stored(link).hold.released == 30
        [event] = events_of(acme, "payment_link.cancelled")
        assert (event.data["paymentLinkId"], event.data["status"]) == (link["id"], "CANCELLED")

    def test_releases_only_the_remaining_uses(self, make, claim, api, payer, shop):
        link = make(amount="10", maxUses=3)
        claim(link, shop)

        assert api.patch(f"/v1/payment-links/{link['id']}").json()["useCount"] == 1
        assert available_of(payer) == 90

    def test_releases_the_hold_of_a_frozen_wallet(self, make, api, payer):
        link = make()
        api.post(f"/v1/wallets/{payer.id}/freeze")

        assert api.patch(f"/v1/payment-links/{link['id']}").status_code == 200
        assert available_of(payer) == 100

    def test_cancels_a_receive_link(self, make, api):
        link = make(direction="RECEIVE")

        assert api.patch(f"/v1/payment-links/{link['id']}").json()["status"] == "CANCELLED"

    def test_refuses_a_link_that_is_not_active(self, make, claim, api, shop):
        cancelled, claimed = make(), make()
        api.patch(f"/v1/payment-links/{cancelled['id']}")
        claim(claimed, shop)
        before = everything()

        for link, status in ((cancelled, "CANCELLED"), (claimed, "SETTLED")):
            response = api.patch(f"/v1/payment-links/{link['id']}")
            assert (response.status_code, error_of(response)) == (409, "INVALID_STATE")
            assert response.json()["error"]["details"]["status"] == status
            assert status in response.json()["error"]["message"]
        assert everything() == before

    def test_of_a_link_past_its_expiry_expires_it(self, make, api, payer):
        link = make(expiresAt=soon())
        lapse(link)

        response = api.patch(f"/v1/payment-links/{link['id']}")

        assert (response.status_code, error_of(response)) == (409, "INVALID_STATE")
        assert stored(link).status == "EXPIRED"
        assert available_of(payer) == 100

    @pytest.mark.parametrize(
        "body",
        [{"status": "ACTIVE"}, {"status": None}, {"amount": "5"}, {"status": "CANCELLED", "x": 1}],
    )
    def test_refuses_any_other_change(self, make, api, body):
        link = make()
        before = everything()

        response = api.patch(f"/v1/payment-links/{link['id']}", body)

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert everything() == before


class TestWalletOfLink:
    def test_wallet_with_a_held_amount_cannot_be_closed(self, make, api, acme):
        wallet = make_wallet(acme, funds="25")
        link = make(walletId=wallet.id)

        assert api.post(f"/v1/wallets/{wallet.id}/close").status_code == 409
        api.patch(f"/v1/payment-links/{link['id']}")
        assert (
            api.post(f"/v1/wallets/{wallet.id}/close").status_code == 409
        )  # the released money is in it

    def test_held_amount_cannot_be_spent(self, make, api, payer, shop):
        make(amount="90")

        paid = api.post("/v1/payments", {"from": payer.id, "to": shop.id, "amount": "10"})

        assert (paid.status_code, error_of(paid)) == (402, "INSUFFICIENT_FUNDS")

    def test_money_that_is_not_held_can_be_spent(self, make, payer, acme):
        make(amount="100")
        fund(payer, "5")

        assert available_of(payer) == Decimal(5)
        assert wallets.access(payer.id, actor=actor_for(acme)).account.balance == 105
