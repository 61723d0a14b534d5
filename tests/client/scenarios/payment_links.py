"""client.payment_links, and the public claim, for which the client has no method."""

from stage import TIMESTAMP, ids_of, refused

from wallgent import (
    APIError,
    InsufficientFundsError,
    InvalidAmountError,
    PaymentLinkNotFoundError,
    PermissionDeniedError,
    ValidationError,
    WalletFrozenError,
    WalletNotFoundError,
)

UNKNOWN = "plink_01ARZ3NDEKTSV4RRFFQ69G5FAV"


def create(stage, amount="25.00", **named):
    return stage.client.payment_links.create(walletId=stage.wallet, amount=amount, **named)


def create_returns_a_url_to_share(stage):
    link = create(stage, description="Design work", expiresAt="2099-01-01T00:00:00Z")
    assert link["id"].startswith("lnk_")
    assert link["url"].endswith(f"/pay/{link['slug']}")
    assert (link["walletId"], link["amount"], link["currency"]) == (stage.wallet, "25.00", "USD")
    assert (link["status"], link["direction"]) == ("ACTIVE", "RECEIVE")
    assert (link["description"], link["recipientRestrictions"]) == ("Design work", None)
    assert (link["maxUses"], link["useCount"]) == (1, 0)
    assert TIMESTAMP.fullmatch(link["createdAt"])
    assert link["expiresAt"] == "2099-01-01T00:00:00.000Z"


def create_accepts_other_names(stage):
    link = stage.client.payment_links.create(
        wallet_id=stage.wallet,
        amount=0.1,
        direction="SEND",
        max_uses=2,
        recipient_restrictions={"emails": ["Ada@Example.com"]},
        metadata={"order_id": 7},
    )
    assert (link["amount"], link["maxUses"]) == ("0.10", 2)
    assert link["recipientRestrictions"]["emails"] == ["ada@example.com"]
    assert link["metadata"] == {"order_id": 7}


def send_link_holds_the_money_until_it_is_cancelled(stage):
    link = create(stage, "250.00", direction="SEND")
    assert stage.available(stage.wallet) == "750.00"
    cancelled = stage.client.payment_links.cancel(link["id"])
    assert (cancelled["id"], cancelled["status"]) == (link["id"], "CANCELLED")
    assert TIMESTAMP.fullmatch(cancelled["cancelledAt"])
    assert stage.available(stage.wallet) == "1000.00"
    with refused(APIError, status=409, code="INVALID_STATE"):
        stage.client.payment_links.cancel(link["id"])


def list_filters(stage):
    one, two = create(stage), create(stage)
    other = stage.client.payment_links.create(walletId=stage.main, amount="1")
    stage.client.payment_links.cancel(one["id"])
    links = stage.client.payment_links
    assert ids_of(links.list()) == ids_of([other, two, one])
    assert ids_of(links.list(wallet_id=stage.wallet)) == ids_of([two, one])
    assert ids_of(links.list(status="ACTIVE")) == ids_of([other, two])
    assert ids_of(links.list(status="CANCELLED", wallet_id=stage.wallet)) == ids_of([one])
    assert links.list(status="EXPIRED") == []
    assert ids_of(links.list(limit=1)) == ids_of([other])
    assert ids_of(stage.client_of("scoped").payment_links.list()) == ids_of([two, one])
    assert stage.client_of("live").payment_links.list() == []


def url_of_a_send_link_needs_the_permission_to_pay(stage):
    sends, receives = create(stage, direction="SEND"), create(stage)
    reader = stage.client_of("reader").payment_links
    assert reader.list() == [receives, sends | {"slug": None, "url": None}]
    assert stage.client_of("scoped").payment_links.list() == [receives, sends]


def anyone_with_the_url_claims_it_once(stage):
    link = create(stage, direction="SEND")
    path = f"/payment-links/claim/{link['slug']}"
    shown = stage.get(path, key=None)
    assert (shown.status_code, shown.json()["amount"]) == (200, "25.00")
    assert stage.wallet not in shown.text
    body = {"method": "wallet", "destination": {"type": "WALLET", "walletId": stage.shop}}
    claimed = stage.post(f"{path}/claim", body, key=None)
    assert claimed.status_code == 200
    assert claimed.json()["transactionId"].startswith("txn_")
    again = stage.post(f"{path}/claim", body, key=None)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "INVALID_STATE")
    assert stage.stranger.wallets.get_balance(stage.shop)["available"] == "25.00"
    payment = stage.client.payments.retrieve(claimed.json()["transactionId"])
    assert (payment["to"], payment["kind"], payment["fee"]) == (stage.shop, "PAYMENT_LINK", "0.00")
    assert ids_of(stage.client.payment_links.list(status="CLAIMED")) == ids_of([link])


BANK = {"type": "ACH", "routingNumber": "021000021", "accountNumber": "000123456789"}


def claim_to_a_bank_is_settled_when_the_bank_reports_it(stage):
    link = create(stage, direction="SEND")
    path = f"/payment-links/claim/{link['slug']}"
    claimed = stage.post(f"{path}/claim", {"method": "ach", "destination": BANK}, key=None)
    response = claimed.json()
    assert (claimed.status_code, response["status"]) == (200, "CLAIMED")
    assert response["transferId"].startswith("xfr_")
    assert "0001234" not in claimed.text
    seen = stage.get(f"{path}?claimToken={response['claimToken']}", key=None).json()
    assert seen["claim"]["id"] == response["id"]
    assert stage.get(path, key=None).json()["claim"] is None
    assert ids_of(stage.client.payment_links.list(status="CLAIMED")) == ids_of([link])


def a_payer_is_debited_after_a_mandate_or_as_a_test(stage):
    link = create(stage, maxUses=2)
    path = f"/payment-links/claim/{link['slug']}"
    body = {"method": "ach", "destination": BANK}
    shown = stage.get(path, key=None).json()["mandate"]
    assert "debit" in shown["wording"]
    assert shown["required"] is False  # in the sandbox
    stale = stage.post(
        f"{path}/claim", body | {"mandate": {"version": "1", "accepted": True}}, key=None
    )
    assert (stale.status_code, stale.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    accepted = body | {"mandate": {"version": shown["version"], "accepted": True}}
    assert stage.post(f"{path}/claim", accepted, key=None).json()["status"] == "CLAIMED"
    other = {"method": "ach", "destination": BANK | {"accountNumber": "000123456780"}}
    assert stage.post(f"{path}/claim", other, key=None).json()["status"] == "CLAIMED"


def key_that_may_pay_settles_a_receive_link(stage):
    link = stage.stranger.payment_links.create(walletId=stage.shop, amount="12.50")
    path = f"/payment-links/claim/{link['slug']}/claim"
    body = {"method": "wallet", "destination": {"type": "WALLET", "walletId": stage.wallet}}
    paid = stage.post(path, body)
    assert (paid.status_code, paid.json()["status"]) == (200, "SETTLED")
    assert stage.available(stage.wallet) == "987.50"
    payment = stage.client.payments.retrieve(paid.json()["transactionId"])
    assert (payment["from"], payment["to"]) == (stage.wallet, stage.shop)


def code_verifies_an_email(stage):
    limits = {"emails": ["ada@example.com"], "proof": "CODE"}
    link = create(stage, direction="SEND", recipientRestrictions=limits)
    path = f"/payment-links/claim/{link['slug']}/claim"
    body = {
        "method": "wallet",
        "destination": {"type": "WALLET", "walletId": stage.shop},
        "recipientEmail": "ada@example.com",
    }
    first = stage.post(path, body, key=None)
    assert (first.status_code, first.json()["error"]["code"]) == (202, "VERIFICATION_REQUIRED")
    wrong = stage.post(path, body | {"verificationCode": "no code"}, key=None)
    assert (wrong.status_code, wrong.json()["error"]["details"]["triesLeft"]) == (403, 4)
    again = stage.post(path, body, key=None)
    assert (again.status_code, int(again.headers["Retry-After"]) > 0) == (429, True)


def invalid_calls_are_refused(stage):
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        stage.client.payment_links.create()
    with refused(InvalidAmountError, status=400, code="INVALID_AMOUNT"):
        create(stage, "-1")
    with refused(WalletNotFoundError, status=404, code="WALLET_NOT_FOUND"):
        stage.client.payment_links.create(walletId=stage.shop, amount="1")
    with refused(InsufficientFundsError, status=402, code="INSUFFICIENT_FUNDS"):
        create(stage, "1000.01", direction="SEND")
    for call in (
        lambda: stage.client_of("reader").payment_links.create(walletId=stage.wallet, amount="1"),
        lambda: stage.client_of("reader").payment_links.cancel(UNKNOWN),
        lambda: stage.client_of("scoped").payment_links.create(walletId=stage.main, amount="1"),
    ):
        with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
            call()
    stage.freeze(stage.wallet)
    with refused(WalletFrozenError, status=403, code="WALLET_FROZEN"):
        create(stage, direction="SEND")


def links_of_others_are_not_found(stage):
    link = create(stage)
    stranger = stage.stranger.payment_links
    for cancel in (
        lambda: stage.client.payment_links.cancel(UNKNOWN),
        lambda: stranger.cancel(link["id"]),
    ):
        with refused(PaymentLinkNotFoundError, status=404, code="PAYMENT_LINK_NOT_FOUND"):
            cancel()
    ulid = link["id"].removeprefix("lnk_")
    assert stage.client.payment_links.cancel(f"plink_{ulid}")["id"] == link["id"]
