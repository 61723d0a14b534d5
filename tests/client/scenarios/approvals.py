"""client.approvals, for a payment that a stranger's payment link requests from our wallet."""

from stage import TIMESTAMP, ids_of, models, pages_of, refused

from wallgent import (
    APIError,
    EnvironmentMismatchError,
    InsufficientFundsError,
    NotFoundError,
    PermissionDeniedError,
    ValidationError,
    WalletFrozenError,
    WalletNotFoundError,
)

UNKNOWN = "apr_01ARZ3NDEKTSV4RRFFQ69G5FAV"


def request_payment(stage, amount="25.00", *, wallet=None):
    """Claim the stranger's link with our wallet; return the id of the pending approval."""
    link = stage.stranger.payment_links.create(
        walletId=stage.shop, amount=amount, direction="RECEIVE", description="Design work"
    )
    destination = {"type": "WALLET", "walletId": wallet or stage.wallet}
    body = {"method": "wallet", "destination": destination}
    response = stage.post(f"/payment-links/claim/{link['slug']}/claim", body, key=None)
    assert response.status_code == 202, response.text
    return stage.client.approvals.list(status="PENDING")["data"][0]["id"]


def list_and_retrieve_show_the_request(stage):
    id = request_payment(stage)
    response = stage.client.approvals.retrieve(id)
    approval = models.Approval.model_validate(response)
    assert (approval.id, approval.status, approval.amount) == (id, "PENDING", "25.00")
    assert (response["walletId"], response["policyId"]) == (stage.wallet, None)
    assert TIMESTAMP.fullmatch(response["createdAt"]) and TIMESTAMP.fullmatch(response["expiresAt"])
    details = response["transactionDetails"]
    assert (details["amount"], details["currency"]) == ("25.00", "USD")
    assert (details["from"], details["to"]) == (stage.wallet, stage.shop)
    assert details["recipient"] == stage.shop
    assert details["description"] == "Design work"
    assert response["requestedByOrganization"] == "Globex"
    assert stage.client.approvals.list()["data"] == [response]
    assert stage.available(stage.wallet) == "1000.00"


def approve_pays_at_once(stage):
    id = request_payment(stage)
    approved = stage.client.approvals.approve(id)
    assert (approved["status"], approved["payment"]["status"]) == ("APPROVED", "POSTED")
    payment = stage.client.payments.retrieve(approved["transactionId"])
    assert (payment["from"], payment["to"], payment["fee"]) == (stage.wallet, stage.shop, "0.00")
    assert stage.available(stage.wallet) == "975.00"
    assert stage.client.approvals.retrieve(id)["decidedBy"] == approved["decidedBy"]
    for decide in (stage.client.approvals.approve, stage.client.approvals.reject):
        with refused(APIError, status=409, code="INVALID_STATE") as refusal:
            decide(id)
        assert refusal.details["status"] == "APPROVED"
    assert stage.available(stage.wallet) == "975.00"


def reject_pays_nothing_and_needs_no_reason(stage):
    first = stage.client.approvals.reject(request_payment(stage), reason="Never heard of them")
    assert (first["status"], first["reason"]) == ("REJECTED", "Never heard of them")
    assert (first["transactionId"], TIMESTAMP.fullmatch(first["decidedAt"]) is None) == (
        None,
        False,
    )
    second = stage.client.approvals.reject(request_payment(stage))
    assert (second["status"], second["reason"]) == ("REJECTED", None)
    assert stage.available(stage.wallet) == "1000.00"


def list_filters(stage):
    one, two = request_payment(stage), request_payment(stage, wallet=stage.main)
    stage.client.approvals.reject(one)
    approvals = stage.client.approvals
    assert ids_of(approvals.list()["data"]) == [two, one]
    assert ids_of(approvals.list(status="PENDING")["data"]) == [two]
    assert ids_of(approvals.list(wallet_id=stage.wallet)["data"]) == [one]
    assert approvals.list(status="EXPIRED")["data"] == []
    assert [ids_of(page) for page in pages_of(approvals.list, limit=1)] == [[two], [one]]
    assert ids_of(stage.client_of("scoped").approvals.list()["data"]) == [one]
    assert stage.client_of("live").approvals.list()["data"] == []
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        approvals.list(status="MAYBE")
    with refused(WalletNotFoundError, status=404, code="WALLET_NOT_FOUND"):
        approvals.list(wallet_id=stage.shop)


def approval_stays_pending_when_the_payment_fails(stage):
    expensive = request_payment(stage, "1000.01")
    with refused(InsufficientFundsError, status=402, code="INSUFFICIENT_FUNDS"):
        stage.client.approvals.approve(expensive)
    id = request_payment(stage)
    stage.freeze(stage.wallet)
    with refused(WalletFrozenError, status=403, code="WALLET_FROZEN"):
        stage.client.approvals.approve(id)
    for waiting in (expensive, id):
        assert stage.client.approvals.retrieve(waiting)["status"] == "PENDING"


def only_an_unscoped_key_of_the_organization_decides(stage):
    id = request_payment(stage)
    for name in ("scoped", "reader"):
        client = stage.client_of(name)
        assert client.approvals.retrieve(id)["id"] == id
        for decide in (client.approvals.approve, client.approvals.reject):
            with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
                decide(id)
    for client, subject in ((stage.client, UNKNOWN), (stage.stranger, id)):
        approvals = client.approvals
        for call in (approvals.retrieve, approvals.approve, approvals.reject):
            with refused(NotFoundError, status=404, code="NOT_FOUND"):
                call(subject)
    with refused(EnvironmentMismatchError, status=403, code="ENVIRONMENT_MISMATCH"):
        stage.client_of("live").approvals.retrieve(id)
    assert stage.client.approvals.retrieve(id)["status"] == "PENDING"
