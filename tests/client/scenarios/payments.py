"""client.payments, and internal payments between wallets of one organization."""

from decimal import Decimal

from stage import TIMESTAMP, ids_of, models, pages_of, refused

from wallgent import (
    EnvironmentMismatchError,
    IdempotencyKeyReuseError,
    InsufficientFundsError,
    InvalidAmountError,
    MerchantNotFoundError,
    NotFoundError,
    PermissionDeniedError,
    ReversalNotAllowedError,
    ValidationError,
    WalletFrozenError,
    WalletNotFoundError,
)

UNKNOWN = "wal_01ARZ3NDEKTSV4RRFFQ69G5FAV"


def pay(stage, amount="10", **named):
    return stage.client.payments.send(stage.wallet, to_wallet_id=stage.shop, amount=amount, **named)


def send_moves_the_money(stage):
    response = pay(stage, "25.00")
    payment = models.Payment.model_validate(response)
    assert payment.id.startswith("txn_")
    assert (payment.from_wallet_id, payment.to_wallet_id) == (stage.wallet, stage.shop)
    assert (payment.amount, payment.fee, payment.status) == ("25.00", "0.25", "POSTED")
    assert (payment.description, payment.idempotency_key) == (None, None)
    assert TIMESTAMP.fullmatch(payment.created_at) and TIMESTAMP.fullmatch(payment.settledAt)
    assert (payment.state, payment.currency, payment.rail) == ("POSTED", "USD", "internal")
    assert (response["fromWalletId"], response["toWalletId"]) == (stage.wallet, stage.shop)
    assert (payment.merchantId, payment.reversalOf, payment.reversedBy) == (None, None, None)
    assert stage.available(stage.wallet) == "974.75"
    assert stage.stranger.wallets.get_balance(stage.shop)["available"] == "25.00"
    assert stage.client.payments.retrieve(payment.id) == response


def send_charges_half_a_percent_and_at_least_a_quarter(stage):
    stage.client.wallets.fund(stage.wallet, "5000")
    figures = {"10": "0.25", "50": "0.25", "50.01": "0.25005", "100": "0.50", "500": "2.50"}
    for amount, fee in (figures | {"1000": "5.00", "0.00000001": "0.25"}).items():
        before = Decimal(stage.available(stage.wallet))
        response = pay(stage, amount)
        assert response["fee"] == fee
        assert Decimal(response["amount"]) == Decimal(amount)
        assert Decimal(stage.available(stage.wallet)) == before - Decimal(amount) - Decimal(fee)


def send_with_everything(stage):
    for preference in ("cheapest", "fastest", "card_only", "closed_loop_preferred"):
        response = pay(
            stage,
            "1.25",
            currency="USD",
            description="Büro, 2 × Papier",
            idempotency_key=f"order-{preference}",
            preference=preference,
        )
        payment = models.Payment.model_validate(response)
        assert (payment.description, payment.amount) == ("Büro, 2 × Papier", "1.25")
        assert payment.idempotency_key == f"order-{preference}"


def send_to_an_unknown_merchant_is_refused(stage):
    for named in (
        {"merchant_id": "mer_1"},
        {"merchant_hint": {"domain": "shop.example"}},
        {"merchant_id": "mer_1", "preference": "closed_loop_preferred"},
    ):
        with refused(MerchantNotFoundError, status=404, code="MERCHANT_NOT_FOUND"):
            stage.client.payments.send(stage.wallet, amount="1", **named)
    with refused(MerchantNotFoundError, status=404, code="MERCHANT_NOT_FOUND"):
        pay(stage, "1", merchant_id="mer_1")
    assert stage.client.payments.list()["data"] == []


def send_refuses_malformed_payments(stage):
    for amount in ("0", "-1", "0.123456789", "1000000000000", "a lot", "", "Infinity"):
        with refused(InvalidAmountError, status=400, code="INVALID_AMOUNT"):
            pay(stage, amount)
    for named, field in (
        ({"description": "x" * 1025}, "description"),
        ({"preference": "dearest"}, "preference"),
        ({"merchant_hint": {}}, "merchantHint.domain"),
        ({"idempotency_key": ""}, "idempotencyKey"),
    ):
        with refused(ValidationError, status=400, code="VALIDATION_ERROR") as refusal:
            pay(stage, "1", **named)
        assert list(refusal.details["fields"]) == [field]
    with refused(ValidationError, status=400, code="VALIDATION_ERROR") as refusal:
        stage.client.payments.send(stage.wallet, amount="1")
    assert "to" in refusal.details["fields"]
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        stage.client.payments.send(stage.wallet, to_wallet_id=stage.wallet, amount="1")


def send_refuses_inaccessible_wallets(stage):
    def send(client, sender, recipient):
        return client.payments.send(sender, to_wallet_id=recipient, amount="1")

    for sender, recipient in ((UNKNOWN, stage.shop), (stage.shop, stage.wallet)):
        with refused(WalletNotFoundError, status=404, code="WALLET_NOT_FOUND"):
            send(stage.client, sender, recipient)
    with refused(WalletNotFoundError, status=404, code="WALLET_NOT_FOUND"):
        send(stage.client, stage.wallet, UNKNOWN)
    for sender, recipient in ((stage.live_wallet, stage.shop), (stage.wallet, stage.live_wallet)):
        with refused(EnvironmentMismatchError, status=403, code="ENVIRONMENT_MISMATCH"):
            send(stage.client, sender, recipient)
    with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
        send(stage.client_of("scoped"), stage.main, stage.shop)
    with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED") as refusal:
        send(stage.client_of("reader"), stage.wallet, stage.shop)
    assert "payments:write" in refusal.error.message
    assert send(stage.client_of("scoped"), stage.wallet, stage.shop)["status"] == "POSTED"


def send_needs_funds_for_the_fee_too(stage):
    with refused(InsufficientFundsError, status=402, code="INSUFFICIENT_FUNDS") as refusal:
        pay(stage, "1000")
    assert refusal.details["walletId"] == stage.wallet
    assert refusal.details["balance"] == "1000.00"
    assert refusal.details["requested"] == "1005.00"
    failed = stage.client.payments.retrieve(refusal.details["transactionId"])
    assert models.Payment.model_validate(failed).status == "FAILED"
    assert failed["failureCode"] == "INSUFFICIENT_FUNDS"
    # Held funds cannot be spent.
    with refused(InsufficientFundsError, status=402, code="INSUFFICIENT_FUNDS"):
        stage.client.payments.send(stage.held, to_wallet_id=stage.shop, amount="60")
    exact = stage.client.payments.send(stage.held, to_wallet_id=stage.shop, amount="59.70")
    assert (exact["fee"], stage.available(stage.held)) == ("0.2985", "0.0015")


def send_refuses_a_frozen_wallet(stage):
    stage.freeze(stage.wallet)
    with refused(WalletFrozenError, status=403, code="WALLET_FROZEN") as refusal:
        pay(stage)
    assert refusal.details["walletId"] == stage.wallet
    received = stage.client.payments.send(stage.held, to_wallet_id=stage.wallet, amount="1")
    assert received["status"] == "POSTED"  # a frozen wallet still receives


def send_pays_once_per_key(stage):
    first = pay(stage, "10", idempotency_key="order-1", description="first")
    assert pay(stage, "10", idempotency_key="order-1", description="first") == first
    with refused(IdempotencyKeyReuseError, status=409, code="IDEMPOTENCY_KEY_REUSE"):
        pay(stage, "11", idempotency_key="order-1", description="first")
    with refused(IdempotencyKeyReuseError, status=409, code="IDEMPOTENCY_KEY_REUSE"):
        pay(stage, "10", idempotency_key="order-1")
    assert stage.available(stage.wallet) == "989.75"
    for _ in range(2):  # a refusal is replayed, too
        with refused(InsufficientFundsError, status=402, code="INSUFFICIENT_FUNDS"):
            pay(stage, "5000", idempotency_key="order-2")
    other = stage.stranger.wallets.fund(stage.shop, "100") and stage.stranger.payments.send(
        stage.shop, to_wallet_id=stage.wallet, amount="10", idempotency_key="order-1"
    )
    assert other["id"] != first["id"]


def list_filters_and_pages(stage):
    paid = [pay(stage, str(n + 1))["id"] for n in range(3)]
    elsewhere = stage.client.payments.send(stage.held, to_wallet_id=stage.shop, amount="7")["id"]
    with refused(InsufficientFundsError, status=402, code="INSUFFICIENT_FUNDS") as refusal:
        pay(stage, "9999")
    failed = refusal.details["transactionId"]
    newest_first = [failed, elsewhere, *reversed(paid)]
    listed = stage.client.payments.list

    assert ids_of(listed()["data"]) == newest_first
    assert ids_of(listed(wallet_id=stage.held)["data"]) == [elsewhere]
    assert ids_of(listed(status="FAILED")["data"]) == [failed]
    assert ids_of(listed(status="POSTED", wallet_id=stage.wallet)["data"]) == paid[::-1]
    assert listed(status="REVERSED")["data"] == []
    pages = list(pages_of(listed, limit=2))
    assert [len(page) for page in pages] == [2, 2, 1]
    assert ids_of(payment for page in pages for payment in page) == newest_first
    pages = list(pages_of(listed, wallet_id=stage.wallet, status="POSTED", limit=2))
    assert ids_of(payment for page in pages for payment in page) == paid[::-1]
    typed = models.PaymentPage.model_validate(listed(limit=1))
    assert (typed.data[0].status, typed.has_more) == ("FAILED", True)
    theirs = stage.stranger.payments.list(wallet_id=stage.shop)["data"]
    assert ids_of(theirs) == [
        elsewhere,
        *reversed(paid),
    ]  # the recipient does not see failed payments


def list_refuses_invalid_filters(stage):
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        stage.client.payments.list(status="LOST")
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        stage.client.payments.list(cursor="nonsense")
    for wallet_id in (UNKNOWN, stage.shop):
        with refused(WalletNotFoundError, status=404, code="WALLET_NOT_FOUND"):
            stage.client.payments.list(wallet_id=wallet_id)


def only_sender_and_recipient_retrieve_a_payment(stage):
    own = stage.client.payments.send(stage.wallet, to_wallet_id=stage.main, amount="1")
    shared = pay(stage)
    assert stage.stranger.payments.retrieve(shared["id"])["amount"] == "10.00"
    with refused(NotFoundError, status=404, code="NOT_FOUND"):
        stage.stranger.payments.retrieve(own["id"])
    for unknown in ("txn_01ARZ3NDEKTSV4RRFFQ69G5FAV", "nonsense", stage.wallet):
        with refused(NotFoundError, status=404, code="NOT_FOUND"):
            stage.client.payments.retrieve(unknown)
    with refused(EnvironmentMismatchError, status=403, code="ENVIRONMENT_MISMATCH"):
        stage.client_of("live").payments.retrieve(shared["id"])


def reverse_returns_the_amount_once(stage):
    for named in ({}, {"reason": "sent twice"}):
        sent = stage.client.payments.send(stage.wallet, to_wallet_id=stage.main, amount="100")
        before = Decimal(stage.available(stage.wallet))
        response = stage.client.payments.reverse(sent["id"], **named)
        payment = models.Payment.model_validate(response)
        assert (payment.id, payment.status, payment.amount) == (sent["id"], "REVERSED", "100.00")
        assert Decimal(stage.available(stage.wallet)) == before + 100  # the fee is not returned
        reversal = stage.client.payments.retrieve(payment.reversedBy)
        assert (reversal["reversalOf"], reversal["amount"], reversal["fee"]) == (
            sent["id"],
            "100.00",
            "0.00",
        )
        assert (reversal["from"], reversal["to"]) == (stage.main, stage.wallet)
        if named:
            assert reversal["description"] == "sent twice"
        for again in (sent["id"], reversal["id"]):
            with refused(ReversalNotAllowedError, status=422, code="REVERSAL_NOT_ALLOWED"):
                stage.client.payments.reverse(again)


def only_the_recipient_reverses_a_payment_between_organizations(stage):
    sent = pay(stage, "100")
    with refused(ReversalNotAllowedError, status=422, code="REVERSAL_NOT_ALLOWED") as refusal:
        stage.client.payments.reverse(sent["id"], reason="I changed my mind")
    assert "ask the recipient" in refusal.error.message
    reversed_payment = stage.stranger.payments.reverse(sent["id"], reason="sold out")
    assert reversed_payment["status"] == "REVERSED"
    assert stage.available(stage.wallet) == "999.50"
    spent = pay(stage, "100")
    stage.stranger.payments.send(stage.shop, to_wallet_id=stage.main, amount="50")
    with refused(InsufficientFundsError, status=402, code="INSUFFICIENT_FUNDS"):
        stage.stranger.payments.reverse(spent["id"])
    with refused(NotFoundError, status=404, code="NOT_FOUND"):
        stage.client.payments.reverse("txn_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
        stage.client_of("reader").payments.reverse(spent["id"])


def batch_pays_all(stage):
    items = [
        {"from": stage.wallet, "to": stage.shop, "amount": "10"},
        {"from": stage.wallet, "to": stage.main, "amount": 2.5, "description": "own"},
        {"fromWalletId": stage.held, "toWalletId": stage.shop, "amount": "1", "currency": "USD"},
    ]
    response = stage.client.payments.batch(items)
    assert response["batchId"].startswith("bat_")
    assert [(r["index"], r["status"]) for r in response["results"]] == [
        (0, "success"),
        (1, "success"),
        (2, "success"),
    ]
    summary = response["summary"]
    assert (summary["total"], summary["succeeded"], summary["failed"]) == (3, 3, 0)
    assert (summary["totalAmount"], summary["totalFees"]) == ("13.50", "0.75")
    for result in response["results"]:
        payment = stage.client.payments.retrieve(result["transactionId"])
        assert models.Payment.model_validate(payment).status == "POSTED"
    assert stage.available(stage.wallet) == "987.00"


def batch_pays_each_key_once(stage):
    items = [
        {"from": stage.wallet, "to": stage.shop, "amount": "10", "idempotencyKey": "item-1"},
        {"from": stage.wallet, "to": stage.shop, "amount": "20"},
    ]
    first = stage.client.payments.batch(items)["results"]
    again = stage.client.payments.batch(items)["results"]
    assert again[0]["transactionId"] == first[0]["transactionId"]
    assert again[1]["transactionId"] != first[1]["transactionId"]
    assert stage.available(stage.wallet) == "949.25"


def batch_pays_all_or_nothing(stage):
    items = [
        {"from": stage.wallet, "to": stage.shop, "amount": "10"},
        {"from": stage.wallet, "to": stage.shop, "amount": "5000"},
        {"from": stage.wallet, "to": stage.shop, "amount": "10"},
    ]
    response = stage.client.payments.batch(items)  # 207, which the client does not raise
    assert response["error"]["code"] == "BATCH_PARTIAL_FAILURE"
    assert [r["status"] for r in response["results"]] == ["reversed", "failed", "skipped"]
    assert response["results"][1]["error"]["code"] == "INSUFFICIENT_FUNDS"
    assert response["summary"]["succeeded"] == 0
    assert stage.available(stage.wallet) == "1000.00"
    assert stage.stranger.wallets.get_balance(stage.shop)["balance"] == "0.00"
    assert stage.post("/payments/batch", {"payments": items}).status_code == 207


def batch_refuses_invalid_calls(stage):
    item = {"from": stage.wallet, "to": stage.shop, "amount": "1"}
    for items in ([], [item] * 21):
        with refused(ValidationError, status=400, code="VALIDATION_ERROR") as refusal:
            stage.client.payments.batch(items)
        assert list(refusal.details["fields"]) == ["payments"]
    with refused(InvalidAmountError, status=400, code="INVALID_AMOUNT"):
        stage.client.payments.batch([item | {"amount": "0"}])
    with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
        stage.client_of("reader").payments.batch([item])
    assert stage.client.payments.batch([item] * 20)["summary"]["succeeded"] == 20


def internal_payments_are_free(stage):
    for named, shown in (({}, None), ({"description": "pocket money"}, "pocket money")):
        response = stage.client.transfers.internal(stage.wallet, stage.main, "12.5", **named)
        assert response["transactionId"].startswith("txn_")
        assert (response["fromWalletId"], response["toWalletId"]) == (stage.wallet, stage.main)
        assert (response["amount"], response["description"]) == ("12.50", shown)
    assert stage.available(stage.wallet) == "975.00"
    with refused(WalletNotFoundError, status=404, code="WALLET_NOT_FOUND"):
        stage.client.transfers.internal(stage.wallet, stage.shop, "1")
    with refused(InsufficientFundsError, status=402, code="INSUFFICIENT_FUNDS"):
        stage.client.transfers.internal(stage.wallet, stage.main, "975.01")
