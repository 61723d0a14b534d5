"""Claims of links over the public API."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from accounts.ledger import chart, holds, journal
from links.payment_links.models import Claim
from links.payment_links.services import rate_limits
from tests.links.conftest import lapse, send_claim, soon, stored
from tests.world import (
    A_TIME,
    Client,
    an_id,
    available_of,
    balance_of,
    error_of,
    events_of,
    everything,
    make_key,
    make_wallet,
    unknown_id,
)
from wallgent import clock, ids
from wallgent.api import public
from wallgent.api.models import IdempotencyRecord

ACH = {
    "method": "ach",
    "destination": {"type": "ACH", "routingNumber": "021000021", "accountNumber": "123456789"},
}
USDC = {"method": "usdc", "destination": {"type": "USDC", "address": "0x" + "ab" * 20}}


def refusal(response) -> tuple[int, str]:
    return response.status_code, error_of(response)


class TestPublicView:
    def test_shows_only_what_a_recipient_needs(self, make):
        until = soon()
        limits = {"emails": ["ada@example.com"], "walletIds": ["wal_x"]}
        link = make(
            description="For Ada",
            expiresAt=until,
            metadata={"secret": 1},
            recipientRestrictions=limits,
        )

        response = Client().get(f"/v1/payment-links/claim/{link['slug']}")

        assert response.json() == {
            "slug": link["slug"],
            "amount": "25.00",
            "currency": "USD",
            "description": "For Ada",
            "status": "ACTIVE",
            "direction": "SEND",
            "methods": ["wallet"],  # it is for certain wallets
            "conversion": None,
            "verification": {"emailRequired": True, "proof": "TYPED"},
            "mandate": None,
            "expiresAt": until,
            "claim": None,
        }

    def test_changes_nothing(self, make):
        link = make()
        before = everything()

        for _ in range(3):
            Client().get(f"/v1/payment-links/claim/{link['slug']}")

        assert everything() == before

    def test_shows_the_status(self, make, claim, api, shop):
        claimed, cancelled, lapsed = make(), make(), make(expiresAt=soon())
        claim(claimed, shop)
        api.patch(f"/v1/payment-links/{cancelled['id']}")
        lapse(lapsed)

        statuses = [
            Client().get(f"/v1/payment-links/claim/{link['slug']}").json()["status"]
            for link in (claimed, cancelled, lapsed)
        ]

        assert statuses == ["SETTLED", "CANCELLED", "EXPIRED"]


class TestClaimToWallet:
    def test_pays_out_of_the_hold_at_once(self, make, claim, api, payer, shop, acme, globex):
        link = make(description="Design work")

        response = claim(link, shop, recipientEmail="ada@example.com")

        assert response.status_code == 200
        answer = response.json()
        assert answer == {
            "id": an_id("clm"),
            "slug": link["slug"],
            "status": "SETTLED",
            "method": "wallet",
            "direction": "SEND",
            "amount": "25.00",
            "currency": "USD",
            "transactionId": an_id("txn"),
            "transferId": None,
            "transferStatus": None,
            "reason": None,
            "deposit": None,
            "claimToken": answer["claimToken"],
            "createdAt": A_TIME,
            "settledAt": A_TIME,
            "expiresAt": None,
        }
        assert (balance_of(payer), available_of(payer), balance_of(shop)) == (75, 75, 25)
        assert (stored(link).hold.captured, stored(link).hold.remaining) == (25, 0)
        after = api.get(f"/v1/payment-links/{link['id']}").json()
        assert after == link | {
            "status": "SETTLED",
            "useCount": 1,
            "transactionId": answer["transactionId"],
            "claimedAt": A_TIME,
            "settledAt": A_TIME,
        }

    def test_both_sides_see_the_payment(self, make, claim, api, stranger, payer, shop):
        link = make(description="Design work")
        id = claim(link, shop).json()["transactionId"]

        for client in (api, stranger):
            paid = client.get(f"/v1/payments/{id}").json()
            assert (paid["kind"], paid["status"]) == ("PAYMENT_LINK", "POSTED")
            assert (paid["from"], paid["to"], paid["amount"]) == (payer.id, shop.id, "25.00")
            assert paid["description"] == "Design work"
            [line] = [
                line
                for wallet in (payer, shop)
                for line in _lines(client, wallet)
                if line["transactionId"] == id
            ]
            assert line["amount"] == "25.00"
        assert api.get(f"/v1/payments/{id}").json()["fee"] == "0.00"

    def test_events_go_to_the_links_owner_and_the_payment_to_both_sides(
        self, make, claim, acme, globex, shop
    ):
        link = make()
        answer = claim(link, shop).json()

        common = {k: link[k] for k in ("walletId", "amount", "currency")} | {
            "paymentLinkId": link["id"],
            "slug": None,
            "url": None,
            "claimId": answer["id"],
            "transactionId": answer["transactionId"],
            "direction": "SEND",
            "transferId": None,
            "expiresAt": None,
            "environment": "SANDBOX",
        }
        [claimed] = events_of(acme, "payment_link.claimed")
        [settled] = events_of(acme, "payment_link.settled")
        assert claimed.data == common | {
            "status": "CLAIMED",
            "method": "wallet",
            "claimedAt": A_TIME,
        }
        assert settled.data == common | {"status": "SETTLED", "settledAt": A_TIME}
        assert {event.subject for event in (claimed, settled)} == {link["id"]}
        for organization in (acme, globex):
            [paid] = events_of(organization, "payment.completed")
            assert paid.data["transactionId"] == answer["transactionId"]
        assert events_of(globex, "payment_link.claimed") == []
        assert (claimed.actor_type, claimed.actor_id, claimed.origin_digest) == ("SYSTEM", "", None)

    def test_the_last_of_several_uses_settles_the_link(self, make, claim, api, acme, payer):
        link = make(amount="10", maxUses=3)
        recipients = [make_wallet(acme, str(number)) for number in range(4)]

        statuses = []
        for recipient in recipients:
            statuses.append(claim(link, recipient).status_code)
            statuses.append(stored(link).status)

        assert statuses == [200, "ACTIVE", 200, "ACTIVE", 200, "SETTLED", 409, "SETTLED"]
        assert [balance_of(recipient) for recipient in recipients] == [10, 10, 10, 0]
        assert (balance_of(payer), available_of(payer)) == (70, 70)
        reported = [
            [event.data["status"] for event in events_of(acme, f"payment_link.{type}")]
            for type in ("claimed", "settled")
        ]
        assert reported == [["ACTIVE", "ACTIVE", "CLAIMED"], ["ACTIVE", "ACTIVE", "SETTLED"]]

    def test_one_wallet_takes_one_use(self, make, claim, shop):
        link = make(amount="10", maxUses=3)
        claim(link, shop)
        before = everything()

        assert refusal(claim(link, shop)) == (409, "CONFLICT")
        assert everything() == before

    def test_a_claimed_link_is_refused(self, make, claim, shop, acme):
        link = make()
        claim(link, shop)
        before = everything()

        again = claim(link, shop)
        other = claim(link, make_wallet(acme, "Other"))

        assert refusal(again) == refusal(other) == (409, "INVALID_STATE")
        assert "claimed already" in again.json()["error"]["message"]
        assert everything()["links_claim"] == before["links_claim"]

    def test_repeating_the_idempotency_key_claims_once(self, make, claim, shop, acme):
        link, other = make(), make()

        first = claim(link, shop, idempotencyKey="k")
        again = claim(link, shop, idempotencyKey="k")
        elsewhere = claim(other, shop, idempotencyKey="k")
        changed = claim(link, make_wallet(acme, "Other"), idempotencyKey="k")

        assert first.status_code == elsewhere.status_code == 200
        assert again.content == first.content
        assert again.headers["Idempotent-Replayed"] == "true"
        assert elsewhere.json()["id"] != first.json()["id"]
        assert refusal(changed) == (409, "IDEMPOTENCY_KEY_REUSE")
        assert balance_of(shop) == 50

    def test_an_api_key_is_ignored(self, make, claim, acme, shop):
        useless = Client(make_key(acme, permissions=["wallets:read"]))

        for client in (Client("wg_test_unknown"), useless):
            assert claim(make(amount="5"), shop, client=client).status_code == 200

    def test_may_use_up_the_wallet(self, make, claim, payer, shop):
        link = make(amount="100")

        assert claim(link, shop).status_code == 200
        assert (balance_of(payer), balance_of(shop)) == (0, 100)

    def test_accepts_snake_case_and_any_case_of_the_method(self, make, shop):
        body = {
            "method": "WALLET",
            "destination": {"type": "wallet", "wallet_id": shop.id},
            "recipient_email": "ada@example.com",
        }
        link = make()

        response = Client().post(f"/v1/payment-links/claim/{link['slug']}/claim", body)

        assert response.json()["method"] == "wallet"
        assert Claim.objects.get().recipient_email == "ada@example.com"


def _lines(client, wallet) -> list[dict]:
    return client.get(f"/v1/wallets/{wallet.id}/transactions").json().get("data", [])


class TestReversal:
    def test_only_the_recipient_may_reverse_and_the_link_stays_settled(
        self, make, claim, api, stranger, payer, shop
    ):
        link = make()
        id = claim(link, shop).json()["transactionId"]

        assert refusal(api.post(f"/v1/payments/{id}/reverse")) == (422, "REVERSAL_NOT_ALLOWED")
        given_back = stranger.post(f"/v1/payments/{id}/reverse")

        assert (given_back.status_code, given_back.json()["status"]) == (200, "REVERSED")
        assert (balance_of(payer), balance_of(shop)) == (100, 0)
        assert stored(link).status == "SETTLED"
        assert refusal(claim(link, shop)) == (409, "INVALID_STATE")


class TestRefused:
    def test_malformed_fields_are_named_together(self, make):
        response = Client().post(f"/v1/payment-links/claim/{make()['slug']}/claim", {})

        assert set(response.json()["error"]["details"]["fields"]) == {"method", "destination"}

    def test_an_unknown_wallet_leaves_the_key_unused(self, make, claim, shop):
        link = make()
        unknown = {"type": "wallet", "walletId": unknown_id("wal")}

        refused = claim(link, shop, destination=unknown, idempotencyKey="k")

        assert refused.status_code == 404
        assert not IdempotencyRecord.objects.filter(key="k").exists()
        assert claim(link, shop, idempotencyKey="k").status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"method": "wallet"},
            {"method": "cash", "destination": {"type": "cash"}},
            {"method": "wallet", "destination": {}},
            {"method": "wallet", "destination": {"type": "wallet"}},
            {"method": "wallet", "destination": {"walletId": "wal_x"}},
            {"method": "wallet", "destination": {"type": "ach", "walletId": "wal_x"}},
            {"method": "wallet", "destination": {"type": "wallet", "walletId": 5}},
            {"method": "wallet", "destination": {"type": "wallet", "walletId": "x" * 65}},
            {"method": "wallet", "destination": "wal_x"},
            ACH | {"destination": {"type": "ACH"}},
            ACH | {"destination": ACH["destination"] | {"type": "WALLET"}},
            ACH | {"destination": ACH["destination"] | {"routingNumber": "12345678"}},
            ACH | {"destination": ACH["destination"] | {"routingNumber": "021000012"}},
            ACH | {"destination": ACH["destination"] | {"routingNumber": "٠٢١٠٠٠٠٢١"}},
            ACH | {"destination": ACH["destination"] | {"accountNumber": "12-34"}},
            ACH | {"destination": ACH["destination"] | {"accountName": 5}},
            ACH | {"recipientEmail": "nobody"},
            USDC | {"destination": {"type": "USDC", "address": "0x12"}},
            USDC | {"destination": {"type": "USDC", "address": "0x" + "aB" * 20}},
            USDC | {"destination": {"type": "USDC", "address": "0x" + "0" * 40}},
            USDC | {"destination": USDC["destination"] | {"chain": "monopoly"}},
        ],
        ids=lambda body: str(body)[:70],
    )
    @pytest.mark.parametrize("direction", ["SEND", "RECEIVE"])
    def test_malformed_body(self, make, body, direction):
        link = make(direction=direction)
        before = everything()

        response = Client().post(f"/v1/payment-links/claim/{link['slug']}/claim", body)

        assert refusal(response) == (400, "VALIDATION_ERROR")
        assert response.json()["error"]["details"]["fields"]
        assert everything() == before

    def test_wallets_that_cannot_be_paid(
        self, make, claim, acme, payer, live_wallet, stranger, shop
    ):
        link = make()
        coins = make_wallet(acme, "Coins", currency="USDC")
        closed = make_wallet(acme, "Closed")
        chart.set_state(closed.account_id, "CLOSED")
        before = everything()

        assert refusal(claim(link, payer)) == (400, "VALIDATION_ERROR")
        assert refusal(claim(link, coins)) == (400, "VALIDATION_ERROR")
        assert refusal(claim(link, closed)) == (409, "INVALID_STATE")
        assert refusal(claim(link, live_wallet)) == (404, "WALLET_NOT_FOUND")
        live_wallet.id = "wal_nothing"
        assert refusal(claim(link, live_wallet)) == (404, "WALLET_NOT_FOUND")
        assert everything() == before
        assert claim(link, shop).status_code == 200

    def test_a_frozen_wallet_is_paid(self, make, claim, stranger, shop):
        stranger.post(f"/v1/wallets/{shop.id}/freeze")

        assert claim(make(), shop).status_code == 200

    def test_a_sender_that_is_frozen_is_not_named(self, make, claim, api, payer, shop):
        link = make()
        api.post(f"/v1/wallets/{payer.id}/freeze", {"reason": "Fraud"})
        before = everything()

        refused = claim(link, shop)

        assert refusal(refused) == (409, "INVALID_STATE")
        assert "cannot be paid out right now" in refused.json()["error"]["message"]
        assert payer.id not in refused.text
        assert "roze" not in refused.text
        assert everything() == before
        api.post(f"/v1/wallets/{payer.id}/unfreeze")
        assert claim(link, shop).status_code == 200

    def test_a_sender_in_debt(self, make, claim, payer, shop, savings):
        link = make(amount="60")
        force = journal.Move(payer.account_id, savings.account_id, Decimal(90), "USD")
        posting = journal.Posting(id=ids.new("txn"), moves=(force,), reason="test")
        journal.post_set([posting], book="SANDBOX", forced=True)

        refused = claim(link, shop)

        assert refusal(refused) == (409, "INVALID_STATE")
        assert "cannot be paid out right now" in refused.json()["error"]["message"]
        assert stored(link).status == "ACTIVE"

    def test_a_hold_without_the_money_is_an_internal_error(self, make, claim, shop):
        link = make()

        with transaction.atomic():
            holds.release(stored(link).hold_id, amount=Decimal(5), operation=uuid.uuid4())
            refused = claim(link, shop)
            transaction.set_rollback(True)

        assert refusal(refused) == (500, "INTERNAL_ERROR")

    @pytest.mark.parametrize(
        ("status", "words"), [("CANCELLED", "was cancelled"), ("EXPIRED", "has expired")]
    )
    def test_a_canceled_or_expired_link(self, make, claim, api, shop, payer, status, words):
        link = make(expiresAt=soon())
        if status == "CANCELLED":
            api.patch(f"/v1/payment-links/{link['id']}")
        else:
            lapse(link)

        for _ in range(2):  # the first late claim expires it
            refused = claim(link, shop)
            assert refusal(refused) == (409, "INVALID_STATE")
            assert refused.json()["error"]["details"] == {"status": status}
            assert words in refused.json()["error"]["message"]
            assert (stored(link).status, available_of(payer)) == (status, 100)


class TestRestrictions:
    @pytest.mark.parametrize(
        "typed",
        ["ada@example.com", "ADA@Example.COM", "  ada@example.com\t", "ａｄａ@example.com"],
    )
    def test_an_email_is_compared_in_normal_form(self, make, claim, shop, typed):
        link = make(recipientRestrictions={"emails": ["Ada@example.com"]})

        assert claim(link, shop, recipientEmail=typed).status_code == 200

    @pytest.mark.parametrize(
        "typed",
        [
            None,
            "eve@example.com",
            "аda@example.com",  # its first letter is Cyrillic
            "ada@examp1e.com",
            "ada@example.com.evil.example",
            "ada+1@example.com",
        ],
    )
    def test_another_email_is_refused(self, make, claim, shop, typed):
        link = make(recipientRestrictions={"emails": ["ada@example.com", "bob@example.com"]})
        before = everything()

        refused = claim(link, shop, recipientEmail=typed)

        assert refusal(refused) == (403, "PERMISSION_DENIED")
        assert "bob" not in refused.text
        assert "ada@example.com" not in refused.text
        assert everything() == before

    def test_an_email_takes_one_use_even_without_proof(self, make, claim, shop, savings):
        emails = ["ada@example.com", "bob@example.com"]
        link = make(maxUses=2, recipientRestrictions={"emails": emails})
        assert claim(link, shop, recipientEmail=emails[0]).status_code == 200

        refused = claim(link, savings, recipientEmail=emails[0].upper())

        assert refusal(refused) == (409, "CONFLICT")
        assert "e-mail address was used" in refused.json()["error"]["message"]
        assert claim(link, savings, recipientEmail=emails[1]).status_code == 200

    def test_wallets_are_compared_by_id(self, make, claim, shop, acme):
        other = make_wallet(acme, "Other")
        link = make(recipientRestrictions={"walletIds": [shop.id]})

        assert refusal(claim(link, other)) == (403, "PERMISSION_DENIED")
        assert claim(link, shop).status_code == 200

    def test_email_and_wallet_must_both_match(self, make, claim, shop, acme):
        other = make_wallet(acme, "Other")
        link = make(recipientRestrictions={"emails": ["a@b.example"], "walletIds": [shop.id]})

        assert refusal(claim(link, shop)) == (403, "PERMISSION_DENIED")
        assert refusal(claim(link, other, recipientEmail="a@b.example"))[0] == 403
        assert claim(link, shop, recipientEmail="a@b.example").status_code == 200

    def test_empty_lists_are_no_restriction(self, make, claim, shop):
        link = make(recipientRestrictions={"emails": [], "walletIds": []})

        assert link["recipientRestrictions"] is None
        assert claim(link, shop).status_code == 200

    def test_a_refusal_does_not_use_up_the_idempotency_key(self, make, claim, shop):
        link = make(recipientRestrictions={"emails": ["a@b.example"]})

        assert claim(link, shop, idempotencyKey="k").status_code == 403
        right = claim(link, shop, idempotencyKey="k", recipientEmail="a@b.example")

        assert right.status_code == 200

    def test_the_public_view_of_a_restricted_link_names_no_one(self, make, shop):
        link = make(recipientRestrictions={"walletIds": [shop.id]})

        shown = Client().get(f"/v1/payment-links/claim/{link['slug']}").text

        assert shop.id not in shown
        assert "Acme" not in shown


class TestThrottling:
    def test_reading_is_limited_by_network_address_and_link(self, make, claim, monkeypatch, shop):
        monkeypatch.setattr(public, "PER_MINUTE_AND_PATH", 3)
        one, other = make(amount="5"), make(amount="5")
        path = f"/v1/payment-links/claim/{one['slug']}"

        seen = [Client().get(path) for _ in range(4)]

        assert [response.status_code for response in seen] == [200, 200, 200, 429]
        assert error_of(seen[-1]) == "RATE_LIMIT_EXCEEDED"
        assert int(seen[-1].headers["Retry-After"]) > 0
        assert seen[-1].headers["Access-Control-Allow-Origin"] == "*"
        assert claim(one, shop).status_code == 200  # reading does not use up claiming
        assert Client().get(f"/v1/payment-links/claim/{other['slug']}").status_code == 200
        assert Client(ip="192.0.2.9").get(path).status_code == 200

    def test_ipv6_is_limited_by_network(self, db, monkeypatch):
        """A client with one such address has 2 ** 64 of them."""
        monkeypatch.setattr(public, "PER_MINUTE", 3)
        path = "/v1/payment-links/claim/nope"

        seen = [Client(ip=f"2001:db8:0:1::{n}").get(path).status_code for n in range(5)]

        assert seen == [404, 404, 404, 429, 429]
        assert Client(ip="2001:db8:0:2::1").get(path).status_code == 404
        assert Client(ip="fe80::1%eth0").get(path).status_code == 404

    def test_guesses_at_the_email_of_a_link_are_limited(self, make, claim, monkeypatch, shop):
        monkeypatch.setattr(rate_limits, "ADDRESSES", 0)  # but three for each email of the link
        link = make(amount="5", recipientRestrictions={"emails": ["ada@example.com"]})
        other = make(amount="5", recipientRestrictions={"emails": ["ada@example.com"]})

        seen = [claim(link, shop, recipientEmail=f"{n}@example.com") for n in range(3)]
        right = claim(link, shop, recipientEmail="ada@example.com")

        assert [response.status_code for response in seen] == [403, 403, 403]
        assert refusal(right) == (429, "RATE_LIMIT_EXCEEDED")
        assert right.headers["X-RateLimit-Limit"] == "3"
        assert int(right.headers["Retry-After"]) > 0
        elsewhere = Client(ip="192.0.2.9")
        assert claim(other, shop, recipientEmail="ada@example.com").status_code == 200
        assert (
            claim(link, shop, client=elsewhere, recipientEmail="ada@example.com").status_code == 200
        )

    def test_one_network_address_is_limited_over_all_links(self, db, monkeypatch):
        monkeypatch.setattr(public, "PER_MINUTE", 3)

        seen = [Client().get(f"/v1/payment-links/claim/{n}").status_code for n in range(5)]

        assert seen == [404, 404, 404, 429, 429]


def test_expiry_follows_the_clock_of_the_links_owner(make, claim, acme, shop, payer):
    """Between two organizations the clock of the payer counts."""
    link = make(expiresAt=soon(3600))
    acme.sandbox_offset = timedelta(hours=2)
    acme.save()

    assert refusal(claim(link, shop)) == (409, "INVALID_STATE")
    assert stored(link).expired_at - clock.real_now() > timedelta(minutes=119)
    assert available_of(payer) == 100


def test_only_the_links_owner_sees_the_transfer_of_a_claim(make, api, stranger):
    link = make()
    claimed = send_claim(link, ACH).json()
    path = f"/v1/transfers/{claimed['transferId']}"

    shown = api.get(path).json()

    assert (shown["referenceType"], shown["referenceId"]) == ("payment_link", claimed["id"])
    assert (shown["walletId"], shown["amount"]) == (link["walletId"], "25.00")
    assert [one["id"] for one in api.get("/v1/transfers").json()["transfers"]] == [shown["id"]]
    assert refusal(stranger.get(path)) == (404, "TRANSFER_NOT_FOUND")
    assert stranger.get("/v1/transfers").json()["transfers"] == []
