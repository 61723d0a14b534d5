from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from accounts.ledger import holds, journal
from accounts.organizations.models import Organization
from accounts.wallets.models import Wallet
from tests.world import (
    A_TIME,
    Client,
    Text,
    activate_production,
    an_id,
    available_of,
    balance_of,
    error_of,
    events_of,
    fund,
    hold,
    in_parallel,
    make_key,
    make_organization,
    make_wallet,
    unknown_id,
)
from wallgent import ids


class TestCreateWallet:
    def test_returns_every_field(self, api, acme):
        response = api.post(
            "/v1/wallets",
            {
                "name": "Research Agent",
                "agentName": "research-bot",
                "metadata": {"department": "engineering"},
            },
        )

        assert response.status_code == 201
        assert response.headers["Content-Type"] == "application/json"
        assert response.json() == {
            "id": an_id("wal"),
            "accountId": an_id("acc"),
            "organizationId": acme.id,
            "name": "Research Agent",
            "agentName": "research-bot",
            "walletType": "AGENT",
            "wallgentAddress": Text("wg_research_bot_[0-9a-z]{8}"),
            "environment": "SANDBOX",
            "currency": "USD",
            "status": "ACTIVE",
            "balance": "0.00",
            "available": "0.00",
            "pending": "0.00",
            "metadata": {"department": "engineering"},
            "createdAt": A_TIME,
            "updatedAt": A_TIME,
        }

    def test_name_is_the_only_required_field(self, api):
        wallet = api.post("/v1/wallets", {"name": "Petty cash"}).json()

        assert (wallet["agentName"], wallet["metadata"]) == (None, None)
        assert (wallet["currency"], wallet["walletType"]) == ("USD", "ORG")

    def test_get_returns_the_created_wallet(self, api):
        created = api.post("/v1/wallets", {"name": "A", "currency": "USDC"}).json()

        assert api.get(f"/v1/wallets/{created['id']}").json() == created
        assert created["currency"] == "USDC"

    def test_accepts_snake_case_and_ignores_unknown_fields(self, api):
        wallet = api.post("/v1/wallets", {"name": "A", "agent_name": "bot", "colour": "red"})

        assert (wallet.status_code, wallet.json()["agentName"]) == (201, "bot")
        assert "colour" not in wallet.json()

    def test_metadata_keeps_keys_and_digits(self, api):
        raw = (
            b'{"name": "A", "metadata": {"cost_center": 7, "Rate": 0.10,'
            b' "big": 12345678901234567890, "\xc3\xa9": {"deep": [true, null, 1.50]}}}'
        )
        wallet = api.request("POST", "/v1/wallets", raw=raw)

        read = api.get(f"/v1/wallets/{wallet.json()['id']}").content
        for written in (wallet.content, read):
            assert b'"cost_center":7' in written
            assert b'"Rate":0.10' in written
            assert b'"big":12345678901234567890' in written
            assert b'"deep":[true,null,1.50]' in written

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "name"),
            ({"name": None}, "name"),
            ({"name": ""}, "name"),
            ({"name": "   "}, "name"),
            ({"name": "x" * 257}, "name"),
            ({"name": 5}, "name"),
            ({"name": "A", "agentName": "x" * 257}, "agentName"),
            ({"name": "A", "agentName": ["bot"]}, "agentName"),
            ({"name": "A", "metadata": "text"}, "metadata"),
            ({"name": "A", "metadata": ["list"]}, "metadata"),
            ({"name": "A", "metadata": {"text": "x" * 17_000}}, "metadata"),
            ({"name": "A", "currency": "EUR"}, "currency"),
            ({"name": "A", "currency": "usd"}, "currency"),
        ],
    )
    def test_malformed_field_is_refused(self, api, body, field):
        response = api.post("/v1/wallets", body)

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert field in response.json()["error"]["details"]["fields"]

    def test_longest_name_is_accepted(self, api):
        wallet = api.post("/v1/wallets", {"name": "😀" * 256, "agentName": "é" * 256})

        assert wallet.status_code == 201
        assert wallet.json()["name"] == "😀" * 256

    def test_address_never_looks_like_a_key(self, api):
        for name in ("test", "live", "Test agent", "live-shop", "tést"):
            address = api.post("/v1/wallets", {"name": name}).json()["wallgentAddress"]

            assert address.startswith("wg_")
            assert not address.startswith(("wg_test_", "wg_live_"))

    def test_plan_limits_the_number_of_wallets(self, db):
        client = Client(make_key(make_organization("Small", plan="FREE")))

        answers = [client.post("/v1/wallets", {"name": "A"}) for _ in range(4)]

        assert [a.status_code for a in answers] == [201, 201, 201, 403]
        assert error_of(answers[3]) == "WALLET_LIMIT_EXCEEDED"

    @pytest.mark.django_db(transaction=True)
    def test_plan_limit_holds_for_concurrent_calls(self, api, acme):
        Organization.objects.filter(pk=acme.pk).update(custom_wallets=2)

        answers = in_parallel(8, lambda n: api.post("/v1/wallets", {"name": str(n)}))

        assert sorted(answer.status_code for answer in answers) == [201] * 2 + [403] * 6

    def test_closed_wallets_do_not_count(self, db):
        client = Client(make_key(make_organization("Small", plan="FREE")))
        ids = [client.post("/v1/wallets", {"name": "A"}).json()["id"] for _ in range(3)]

        client.post(f"/v1/wallets/{ids[0]}/close")

        assert client.post("/v1/wallets", {"name": "A"}).status_code == 201

    def test_scoped_key_is_denied(self, acme, wallet):
        response = Client(make_key(acme, wallet_scope=[wallet.id])).post(
            "/v1/wallets", {"name": "A"}
        )

        assert (response.status_code, error_of(response)) == (403, "PERMISSION_DENIED")

    def test_has_the_environment_of_the_key(self, api, live_api):
        wallet = live_api.post("/v1/wallets", {"name": "A"}).json()

        assert wallet["environment"] == "PRODUCTION"
        assert wallet["id"] not in [w["id"] for w in api.get("/v1/wallets").json()["data"]]

    def test_is_recorded(self, api, acme, globex):
        wallet = api.post("/v1/wallets", {"name": "A", "agentName": "bot"}).json()

        event = events_of(acme, "wallet.created")[-1]
        assert event.subject == wallet["id"]
        assert event.data == {
            "walletId": wallet["id"],
            "name": "A",
            "agentName": "bot",
            "walletType": "AGENT",
            "environment": "SANDBOX",
        }
        assert wallet["id"] not in [e.subject for e in events_of(globex, "wallet.created")]


class TestListWallets:
    def test_lists_own_wallets_newest_first(self, api, wallet, savings, shop, live_wallet):
        page = api.get("/v1/wallets").json()

        names = [item["name"] for item in page["data"]]
        assert names == ["Savings", "Research agent", "Main wallet"]
        assert page["data"][1] == api.get(f"/v1/wallets/{wallet.id}").json()
        assert (page["hasMore"], page["cursor"], page["nextCursor"]) == (False, None, None)

    def test_scoped_key_sees_only_its_wallets(self, acme, wallet, savings):
        client = Client(make_key(acme, wallet_scope=[savings.id]))

        assert [w["id"] for w in client.get("/v1/wallets").json()["data"]] == [savings.id]

    def test_each_environment_has_a_main_wallet(self, api, live_api):
        (sandbox,) = api.get("/v1/wallets").json()["data"]
        (live,) = live_api.get("/v1/wallets").json()["data"]

        assert (sandbox["environment"], live["environment"]) == ("SANDBOX", "PRODUCTION")
        assert sandbox["name"] == live["name"] == "Main wallet"
        assert sandbox["walletType"] == "ORG"


class TestUpdateWallet:
    def test_changes_the_given_fields(self, api, acme, wallet):
        response = api.patch(
            f"/v1/wallets/{wallet.id}", {"name": "New", "metadata": {"a": 1}, "agentName": "bot"}
        )

        changed = response.json()
        assert response.status_code == 200
        assert (changed["name"], changed["metadata"], changed["agentName"]) == (
            "New",
            {"a": 1},
            "bot",
        )
        assert api.get(f"/v1/wallets/{wallet.id}").json() == changed
        assert events_of(acme, "wallet.updated")[0].data["changed"] == [
            "agent_name",
            "metadata",
            "name",
        ]

    def test_keeps_fields_that_are_not_given(self, api, wallet):
        api.patch(f"/v1/wallets/{wallet.id}", {"metadata": {"a": 1}})

        changed = api.patch(f"/v1/wallets/{wallet.id}", {"name": "New"}).json()

        assert changed["metadata"] == {"a": 1}

    def test_null_clears_a_field(self, api, wallet):
        api.patch(f"/v1/wallets/{wallet.id}", {"metadata": {"a": 1}, "agentName": "bot"})

        changed = api.patch(f"/v1/wallets/{wallet.id}", {"metadata": None, "agentName": None})

        assert changed.status_code == 200
        assert (changed.json()["metadata"], changed.json()["agentName"]) == (None, None)

    @pytest.mark.parametrize("raw", [b"{}", b""])
    def test_empty_body_changes_nothing(self, api, acme, wallet, raw):
        before = api.get(f"/v1/wallets/{wallet.id}").json()

        response = api.request("PATCH", f"/v1/wallets/{wallet.id}", raw=raw)

        assert (response.status_code, response.json()) == (200, before)
        assert events_of(acme, "wallet.updated") == []

    @pytest.mark.parametrize("body", [{"name": ""}, {"name": None}, {"metadata": []}])
    def test_malformed_field_is_refused(self, api, wallet, body):
        response = api.patch(f"/v1/wallets/{wallet.id}", body)

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")

    def test_closed_wallet_cannot_be_changed(self, api, wallet):
        api.post(f"/v1/wallets/{wallet.id}/close")

        response = api.patch(f"/v1/wallets/{wallet.id}", {"name": "New"})

        assert (response.status_code, error_of(response)) == (409, "INVALID_STATE")


class TestBalance:
    def test_returns_all_five_fields(self, api, wallet):
        fund(wallet, "250")
        hold(wallet, "45")

        balance = api.get(f"/v1/wallets/{wallet.id}/balance").json()

        assert balance == {
            "walletId": wallet.id,
            "balance": "250.00",
            "available": "205.00",
            "pending": "45.00",
            "currency": "USD",
        }

    def test_held_money_cannot_be_spent(self, api, wallet, savings):
        fund(wallet, "100")
        hold(wallet, "60")
        order = {"fromWalletId": wallet.id, "toWalletId": savings.id, "amount": "41"}

        response = api.post("/v1/transfers/internal", order)

        assert (response.status_code, error_of(response)) == (402, "INSUFFICIENT_FUNDS")
        assert response.json()["error"]["details"]["balance"] == "40.00"
        assert available_of(wallet) == 40


class TestWalletTransactions:
    def test_shows_each_entry_with_the_balance_after_it(self, api, wallet, shop):
        fund(wallet, "100")
        order = {"from": wallet.id, "to": shop.id, "amount": "25", "description": "Data"}
        payment = api.post("/v1/payments", order).json()

        page = api.get(f"/v1/wallets/{wallet.id}/transactions").json()

        assert (page["hasMore"], page["cursor"], page["nextCursor"]) == (False, None, None)
        paid, funded = page["data"]
        assert paid == {
            "id": an_id("ent"),
            "walletId": wallet.id,
            "accountId": wallet.account_id,
            "transactionId": payment["id"],
            "relatedTransactionId": None,
            "direction": "DEBIT",
            "entryType": "PAYMENT",
            "amount": "25.25",
            "currency": "USD",
            "balanceAfter": "74.75",
            "status": "POSTED",
            "description": "Data",
            "createdAt": A_TIME,
        }
        assert (funded["direction"], funded["entryType"]) == ("CREDIT", "FUNDING")
        assert (funded["amount"], funded["balanceAfter"]) == ("100.00", "100.00")

    def test_recipient_sees_the_received_amount(self, api, stranger, wallet, shop):
        fund(wallet, "100")
        api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "25"})

        (line,) = stranger.get(f"/v1/wallets/{shop.id}/transactions").json()["data"]

        assert (line["direction"], line["amount"]) == ("CREDIT", "25.00")

    def test_reversal_names_the_reversed_transaction(self, api, wallet, savings):
        fund(wallet, "100")
        order = {"from": wallet.id, "to": savings.id, "amount": "25"}
        payment = api.post("/v1/payments", order).json()
        api.post(f"/v1/payments/{payment['id']}/reverse")

        line = api.get(f"/v1/wallets/{wallet.id}/transactions").json()["data"][0]

        assert (line["entryType"], line["relatedTransactionId"]) == ("REVERSAL", payment["id"])

    def test_is_paginated(self, api, wallet):
        for _ in range(5):
            fund(wallet, "1")
        path = f"/v1/wallets/{wallet.id}/transactions"

        seen, cursor = [], None
        for _ in range(3):
            query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = api.get(path, **query).json()
            seen += [line["balanceAfter"] for line in page["data"]]
            cursor = page["cursor"]

        assert seen == [f"{n}.00" for n in (5, 4, 3, 2, 1)]
        assert cursor is None


class TestHolds:
    def test_are_listed_by_status(self, api, wallet):
        fund(wallet, "100")
        open_hold, released_hold = hold(wallet, "10"), hold(wallet, "20")
        holds.release(released_hold, operation=uuid4())

        every = api.get(f"/v1/wallets/{wallet.id}/holds").json()["data"]
        pending = api.get(f"/v1/wallets/{wallet.id}/holds", status="PENDING").json()["data"]
        reversed_ = api.get(f"/v1/wallets/{wallet.id}/holds", status="REVERSED").json()["data"]
        released = api.get(f"/v1/wallets/{wallet.id}/holds", status="RELEASED").json()["data"]

        assert [item["id"] for item in every] == [released_hold, open_hold]
        assert [item["id"] for item in reversed_] == [released_hold]
        assert released == []
        assert pending == [
            {
                "id": open_hold,
                "walletId": wallet.id,
                "amount": "10.00",
                "capturedAmount": "0.00",
                "remainingAmount": "10.00",
                "currency": "USD",
                "status": "PENDING",
                "type": "CARD",
                "reason": "card",
                "referenceId": "aut_1",
                "createdAt": A_TIME,
                "expiresAt": None,
                "releasedAt": None,
            }
        ]
        assert reversed_[0]["releasedAt"] == A_TIME

    def test_captured_hold_is_released(self, api, wallet, savings):
        fund(wallet, "100")
        id = hold(wallet, "10")
        move = journal.Move(wallet.account_id, savings.account_id, Decimal(10), "USD")
        posting = journal.Posting(id=ids.new("txn"), moves=(move,), reason="test")
        holds.capture(id, posting, amount=Decimal("10"), operation=uuid4())

        (item,) = api.get(f"/v1/wallets/{wallet.id}/holds", status="RELEASED").json()["data"]

        assert (item["capturedAmount"], item["remainingAmount"]) == ("10.00", "0.00")

    @pytest.mark.parametrize("status", ["unknown", "pending", "", "\0"])
    def test_unknown_status_is_refused(self, api, wallet, status):
        response = api.get(f"/v1/wallets/{wallet.id}/holds", status=status)

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")


class TestFreeze:
    def test_stops_outgoing_money_and_funding_but_not_incoming_money(
        self, api, stranger, wallet, savings, shop
    ):
        fund(wallet, "100")
        fund(shop, "100")
        frozen = api.post(f"/v1/wallets/{wallet.id}/freeze")

        pay = api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "5"})
        move = {"fromWalletId": wallet.id, "toWalletId": savings.id, "amount": "5"}
        refused = [
            pay,
            api.post("/v1/transfers/internal", move),
            api.post(f"/v1/wallets/{wallet.id}/fund", {"amount": "5"}),
            api.post("/v1/sandbox/fund", {"walletId": wallet.id, "amount": "5"}),
        ]
        incoming = stranger.post("/v1/payments", {"from": shop.id, "to": wallet.id, "amount": "5"})

        assert (frozen.status_code, frozen.json()["status"]) == (200, "FROZEN")
        assert [(r.status_code, error_of(r)) for r in refused] == [(403, "WALLET_FROZEN")] * 4
        assert pay.json()["error"]["details"]["walletId"] == wallet.id
        assert incoming.status_code == 201
        assert api.get(f"/v1/wallets/{wallet.id}/balance").json()["balance"] == "105.00"

    def test_unfreezing_allows_payments_again(self, api, wallet, shop):
        fund(wallet, "100")
        api.post(f"/v1/wallets/{wallet.id}/freeze")

        unfrozen = api.post(f"/v1/wallets/{wallet.id}/unfreeze")

        assert (unfrozen.status_code, unfrozen.json()["status"]) == (200, "ACTIVE")
        order = {"from": wallet.id, "to": shop.id, "amount": "5"}
        assert api.post("/v1/payments", order).status_code == 201

    def test_is_recorded_with_its_reason_once(self, api, acme, wallet):
        api.post(f"/v1/wallets/{wallet.id}/freeze", {"reason": "Looks odd"})
        api.post(f"/v1/wallets/{wallet.id}/freeze", {"reason": "Again"})
        api.post(f"/v1/wallets/{wallet.id}/unfreeze")
        api.post(f"/v1/wallets/{wallet.id}/unfreeze")

        (frozen,) = events_of(acme, "wallet.frozen")
        (unfrozen,) = events_of(acme, "wallet.unfrozen")
        assert frozen.data == {
            "walletId": wallet.id,
            "reason": "Looks odd",
            "environment": "SANDBOX",
        }
        assert unfrozen.data == {"walletId": wallet.id, "environment": "SANDBOX"}

    @pytest.mark.parametrize("reason", [5, ["x"], "x" * 1025])
    def test_malformed_reason_is_refused(self, api, wallet, reason):
        response = api.post(f"/v1/wallets/{wallet.id}/freeze", {"reason": reason})

        assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR")
        assert Wallet.objects.get(pk=wallet.pk).status == "ACTIVE"

    @pytest.mark.parametrize("action", ["freeze", "unfreeze"])
    def test_closed_wallet_is_refused(self, api, wallet, action):
        api.post(f"/v1/wallets/{wallet.id}/close")

        response = api.post(f"/v1/wallets/{wallet.id}/{action}")

        assert (response.status_code, error_of(response)) == (409, "INVALID_STATE")


class TestClose:
    def test_empty_wallet_is_closed_permanently(self, api, acme, wallet, shop):
        closed = api.post(f"/v1/wallets/{wallet.id}/close")

        assert (closed.status_code, closed.json()["status"]) == (200, "CLOSED")
        (event,) = events_of(acme, "wallet.closed")
        assert event.data == {"walletId": wallet.id, "environment": "SANDBOX"}
        refused = [
            api.post(f"/v1/wallets/{wallet.id}/fund", {"amount": "5"}),
            api.post("/v1/payments", {"from": wallet.id, "to": shop.id, "amount": "5"}),
        ]
        assert [(r.status_code, error_of(r)) for r in refused] == [(409, "INVALID_STATE")] * 2
        assert api.get(f"/v1/wallets/{wallet.id}").json()["status"] == "CLOSED"

    def test_closing_again_changes_nothing(self, api, acme, wallet):
        first = api.post(f"/v1/wallets/{wallet.id}/close").json()

        again = api.post(f"/v1/wallets/{wallet.id}/close")

        assert (again.status_code, again.json()) == (200, first)
        assert len(events_of(acme, "wallet.closed")) == 1

    def test_frozen_empty_wallet_can_be_closed(self, api, wallet):
        api.post(f"/v1/wallets/{wallet.id}/freeze")

        assert api.post(f"/v1/wallets/{wallet.id}/close").json()["status"] == "CLOSED"

    def test_wallet_with_money_cannot_be_closed(self, api, wallet):
        fund(wallet, "0.01")

        response = api.post(f"/v1/wallets/{wallet.id}/close")

        assert (response.status_code, error_of(response)) == (409, "INVALID_STATE")
        assert api.get(f"/v1/wallets/{wallet.id}").json()["status"] == "ACTIVE"

    def test_main_wallet_cannot_be_closed(self, api):
        (main,) = api.get("/v1/wallets").json()["data"]

        response = api.post(f"/v1/wallets/{main['id']}/close")

        assert (response.status_code, error_of(response)) == (409, "INVALID_STATE")

    def test_closed_wallet_cannot_be_paid(self, api, stranger, wallet, shop):
        fund(shop, "100")
        api.post(f"/v1/wallets/{wallet.id}/close")

        response = stranger.post("/v1/payments", {"from": shop.id, "to": wallet.id, "amount": "5"})

        assert (response.status_code, error_of(response)) == (409, "INVALID_STATE")
        assert balance_of(shop) == 100


@pytest.fixture(params=["/v1/wallets/{}/fund", "/v1/sandbox/fund"])
def fund_by_api(request, api):
    """Return a function that funds a wallet through one of the two equivalent endpoints."""

    def call(wallet_id, amount, client=api, **more):
        body = {"amount": amount, **more}
        if "{}" not in request.param:
            body["walletId"] = wallet_id
        return client.post(request.param.format(wallet_id), body)

    return call


class TestFund:
    def test_returns_every_field(self, fund_by_api, acme, wallet):
        response = fund_by_api(wallet.id, "1000.00")

        assert response.status_code == 201
        answer = response.json()
        assert answer == {
            "transactionId": an_id("txn"),
            "walletId": wallet.id,
            "amount": "1000.00",
            "currency": "USD",
            "newBalance": "1000.00",
        }
        (event,) = events_of(acme, "wallet.funded")
        assert event.data == answer | {"source": "sandbox", "environment": "SANDBOX"}

    @pytest.mark.parametrize(
        ("amount", "formatted"),
        [("25.00", "25.00"), (25, "25.00"), (-0.0 + 0.1, "0.10"), ("0.00000001", "0.00000001")],
    )
    def test_accepts_text_and_numbers(self, fund_by_api, wallet, amount, formatted):
        assert fund_by_api(wallet.id, amount).json()["amount"] == formatted

    def test_adds_at_most_ten_thousand_per_call(self, fund_by_api, wallet):
        refused = fund_by_api(wallet.id, "10000.00000001")

        assert (refused.status_code, error_of(refused)) == (400, "INVALID_AMOUNT")
        assert balance_of(wallet) == 0
        assert fund_by_api(wallet.id, 10_000).status_code == 201

    def test_adds_at_most_a_hundred_thousand_per_wallet_on_both_paths(
        self, api, fund_by_api, wallet, savings
    ):
        fund(wallet, "99999")

        refused = fund_by_api(wallet.id, "1.01")
        last = fund_by_api(wallet.id, "1")
        over = api.post(f"/v1/wallets/{wallet.id}/fund", {"amount": "0.01"})
        over_too = api.post("/v1/sandbox/fund", {"walletId": wallet.id, "amount": "0.01"})

        assert (refused.status_code, error_of(refused)) == (400, "INVALID_AMOUNT")
        assert last.status_code == 201
        assert [error_of(r) for r in (over, over_too)] == ["INVALID_AMOUNT"] * 2
        assert balance_of(wallet) == 100_000
        assert fund_by_api(savings.id, "1").status_code == 201

    def test_spending_does_not_reset_the_limit(self, fund_by_api, api, wallet, savings):
        fund(wallet, "100000")
        order = {"fromWalletId": wallet.id, "toWalletId": savings.id, "amount": "50000"}
        assert api.post("/v1/transfers/internal", order).status_code == 201

        assert error_of(fund_by_api(wallet.id, "1")) == "INVALID_AMOUNT"

    def test_production_key_is_refused(self, fund_by_api, live_api, live_wallet, wallet):
        for id in (live_wallet.id, wallet.id, unknown_id("wal")):
            response = fund_by_api(id, "5", client=live_api)

            assert (response.status_code, error_of(response)) == (403, "SANDBOX_ONLY")
        assert balance_of(live_wallet) == 0

    def test_repeated_key_funds_once(self, fund_by_api, wallet):
        first = fund_by_api(wallet.id, "5", idempotencyKey="k")
        again = fund_by_api(wallet.id, "5", idempotencyKey="k")

        assert again.json() == first.json()
        assert again.headers["Idempotent-Replayed"] == "true"
        assert balance_of(wallet) == 5

    def test_usdc_wallet_gets_usdc(self, fund_by_api, acme):
        wallet = make_wallet(acme, currency="USDC")

        assert fund_by_api(wallet.id, "5").json()["currency"] == "USDC"
        assert balance_of(wallet) == 5

    def test_requires_an_amount(self, fund_by_api, wallet):
        response = fund_by_api(wallet.id, None)

        assert (response.status_code, error_of(response)) == (400, "INVALID_AMOUNT")


class TestSandboxClock:
    def test_timestamps_follow_the_sandbox_clock(self, acme, wallet):
        acme.sandbox_offset = timedelta(days=400)
        acme.save()
        ahead = Client(make_key(acme))

        created = ahead.post("/v1/wallets", {"name": "A"}).json()["createdAt"]
        ahead.post(f"/v1/wallets/{wallet.id}/fund", {"amount": "5"})
        (line,) = ahead.get(f"/v1/wallets/{wallet.id}/transactions").json()["data"]

        renamed = ahead.patch(f"/v1/wallets/{wallet.id}", {"name": "B"}).json()

        assert created[:4] == line["createdAt"][:4] == renamed["updatedAt"][:4]
        assert created > acme.created_at.isoformat()
        activate_production(acme)
        live = Client(make_key(acme, "PRODUCTION")).post("/v1/wallets", {"name": "A"}).json()
        assert live["createdAt"] < created
