"""client.wallets: each method with each argument, and its errors."""

from stage import TIMESTAMP, ids_of, models, pages_of, refused

from wallgent import (
    EnvironmentMismatchError,
    IdempotencyKeyReuseError,
    InvalidAmountError,
    Page,
    PermissionDeniedError,
    SandboxOnlyError,
    ValidationError,
    WalletFrozenError,
    WalletLimitExceededError,
    WalletNotFoundError,
)

UNKNOWN = "wal_01ARZ3NDEKTSV4RRFFQ69G5FAV"


def create_with_only_a_name(stage):
    response = stage.client.wallets.create("Travel")
    wallet = models.Wallet.model_validate(response)
    assert wallet.id.startswith("wal_") and len(wallet.id) == 30
    assert (wallet.name, wallet.agent_name, wallet.metadata) == ("Travel", None, None)
    assert (wallet.balance, wallet.currency) == ("0.00", "USD")
    assert (wallet.environment, wallet.status) == ("SANDBOX", "ACTIVE")
    assert TIMESTAMP.fullmatch(wallet.created_at) and TIMESTAMP.fullmatch(wallet.updated_at)
    assert (wallet.organizationId, wallet.walletType) == (stage.organization, "ORG")
    assert wallet.accountId.startswith("acc_")
    assert wallet.wallgentAddress.startswith("wg_travel_")
    assert stage.client.wallets.retrieve(wallet.id) == response


def create_with_everything(stage):
    metadata = {
        "team": "Forschung ❤",
        "nested": {"list": [1, None, True, "x"]},
        "snake_key": "1.50",
    }
    response = stage.client.wallets.create("Agent 7", agent_name="Bond, James", metadata=metadata)
    wallet = models.Wallet.model_validate(response)
    assert (wallet.name, wallet.agent_name, wallet.metadata) == ("Agent 7", "Bond, James", metadata)
    assert wallet.walletType == "AGENT"
    assert wallet.wallgentAddress.startswith("wg_bond_james_")


def create_refuses_invalid_calls(stage):
    for name, extra in [("", {}), ("  ", {}), ("x" * 257, {}), ("x", {"agent_name": "y" * 257})]:
        with refused(ValidationError, status=400, code="VALIDATION_ERROR") as refusal:
            stage.client.wallets.create(name, **extra)
        assert list(refusal.details["fields"]) == ["agentName" if extra else "name"]
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        stage.client.wallets.create("x", metadata={"big": "x" * 17_000})
    with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED") as refusal:
        stage.client_of("reader").wallets.create("x")
    assert "wallets:write" in refusal.error.message
    with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
        stage.client_of("scoped").wallets.create("x")


def create_refuses_more_wallets_than_the_plan_allows(stage):
    client = stage.client_of("few_wallets")
    for number in range(3):
        client.wallets.create(f"Wallet {number}")
    with refused(WalletLimitExceededError, status=403, code="WALLET_LIMIT_EXCEEDED") as refusal:
        client.wallets.create("One more")
    assert refusal.details == {"limit": 3}


def list_returns_every_page(stage):
    created = [stage.client.wallets.create(f"Wallet {n}")["id"] for n in range(5)]
    expected = [*reversed(created), stage.held, stage.wallet, stage.main]

    whole = stage.client.wallets.list()
    assert ids_of(whole["data"]) == expected
    assert (whole["hasMore"], whole["cursor"]) == (False, None)
    assert ids_of(stage.client.wallets.list(limit=100)["data"]) == expected

    pages = list(pages_of(stage.client.wallets.list, limit=3))
    assert [len(page) for page in pages] == [3, 3, 2]
    assert [page.has_more for page in pages] == [True, True, False]
    assert ids_of(wallet for page in pages for wallet in page) == expected
    for page in pages:
        assert all(models.Wallet.model_validate(wallet).environment == "SANDBOX" for wallet in page)

    typed = models.WalletPage.model_validate(stage.client.wallets.list(limit=1))
    assert (typed.data[0].id, typed.has_more, bool(typed.cursor)) == (created[-1], True, True)


def list_has_only_wallets_that_the_key_may_see(stage):
    assert ids_of(Page.from_dict(stage.client_of("scoped").wallets.list())) == [stage.wallet]
    assert stage.wallet not in ids_of(stage.stranger.wallets.list()["data"])
    live = stage.client_of("live").wallets.list()["data"]
    assert stage.live_wallet in ids_of(live) and stage.wallet not in ids_of(live)
    assert {wallet["environment"] for wallet in live} == {"PRODUCTION"}


def list_refuses_an_invalid_cursor(stage):
    for cursor in ("nonsense", "bm9uc2Vuc2U", "💥"):
        with refused(ValidationError, status=400, code="VALIDATION_ERROR") as refusal:
            stage.client.wallets.list(cursor=cursor)
        assert "cursor" in refusal.details["fields"]


def retrieve_finds_only_wallets_of_the_key(stage):
    wallet = models.Wallet.model_validate(stage.client.wallets.retrieve(stage.wallet))
    assert (wallet.id, wallet.name) == (stage.wallet, "Research agent")
    assert (wallet.balance, wallet.available) == ("1000.00", "1000.00")
    for unknown in (UNKNOWN, "wal_x", "nonsense", stage.shop):
        with refused(WalletNotFoundError, status=404, code="WALLET_NOT_FOUND"):
            stage.client.wallets.retrieve(unknown)
    with refused(EnvironmentMismatchError, status=403, code="ENVIRONMENT_MISMATCH"):
        stage.client.wallets.retrieve(stage.live_wallet)
    with refused(EnvironmentMismatchError, status=403, code="ENVIRONMENT_MISMATCH"):
        stage.client_of("live").wallets.retrieve(stage.wallet)
    with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
        stage.client_of("scoped").wallets.retrieve(stage.main)


def update_changes_only_the_given_fields(stage):
    before = stage.client.wallets.retrieve(stage.wallet)
    assert stage.client.wallets.update(stage.wallet) == before

    def updated(**changes):
        wallet = models.Wallet.model_validate(stage.client.wallets.update(stage.wallet, **changes))
        assert wallet.id == stage.wallet and wallet.balance == before["balance"]
        return wallet.name, wallet.agent_name, wallet.metadata

    assert updated(name="Renamed") == ("Renamed", None, None)
    assert updated(agent_name="Ada") == ("Renamed", "Ada", None)
    assert updated(metadata={"a": 1}) == ("Renamed", "Ada", {"a": 1})
    assert updated(metadata={}) == ("Renamed", "Ada", {})
    everything = {"name": "N", "agent_name": "A", "metadata": {"b": [2]}}
    assert updated(**everything) == ("N", "A", {"b": [2]})
    assert stage.client.wallets.retrieve(stage.wallet)["name"] == "N"


def update_refuses_invalid_calls(stage):
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        stage.client.wallets.update(stage.wallet, name="")
    with refused(WalletNotFoundError, status=404, code="WALLET_NOT_FOUND"):
        stage.client.wallets.update(stage.shop, name="Mine")
    with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
        stage.client_of("reader").wallets.update(stage.wallet, name="x")


def get_balance_returns_the_available_balance(stage):
    response = stage.client.wallets.get_balance(stage.held)
    balance = models.WalletBalance.model_validate(response)
    assert (balance.wallet_id, balance.currency) == (stage.held, "USD")
    assert (balance.available, balance.pending) == ("60.00", "40.00")
    assert response["balance"] == "100.00"
    with refused(WalletNotFoundError, status=404, code="WALLET_NOT_FOUND"):
        stage.client.wallets.get_balance(UNKNOWN)


def fund_credits_once_per_key(stage):
    response = stage.client.wallets.fund(stage.wallet, "25.5")
    assert response["transactionId"].startswith("txn_")
    assert (response["walletId"], response["amount"]) == (stage.wallet, "25.50")
    assert response["newBalance"] == "1025.50"

    first = stage.client.wallets.fund(stage.wallet, "10", idempotency_key="fund-1")
    again = stage.client.wallets.fund(stage.wallet, "10", idempotency_key="fund-1")
    assert first == again
    assert stage.available(stage.wallet) == "1035.50"
    with refused(IdempotencyKeyReuseError, status=409, code="IDEMPOTENCY_KEY_REUSE"):
        stage.client.wallets.fund(stage.wallet, "11", idempotency_key="fund-1")
    smallest = stage.client.wallets.fund(stage.wallet, "0.00000001")
    assert (smallest["amount"], smallest["newBalance"]) == ("0.00000001", "1035.50000001")


def fund_refuses_invalid_calls(stage):
    for amount in ("0", "-5", "1.123456789", "ten", "", "NaN", "1e400", "10000.01"):
        with refused(InvalidAmountError, status=400, code="INVALID_AMOUNT"):
            stage.client.wallets.fund(stage.wallet, amount)
    for wallet_id in (UNKNOWN, stage.shop):
        with refused(WalletNotFoundError, status=404, code="WALLET_NOT_FOUND"):
            stage.client.wallets.fund(wallet_id, "1")
    with refused(SandboxOnlyError, status=403, code="SANDBOX_ONLY"):
        stage.client_of("live").wallets.fund(stage.live_wallet, "1")
    with refused(EnvironmentMismatchError, status=403, code="ENVIRONMENT_MISMATCH"):
        stage.client.wallets.fund(stage.live_wallet, "1")
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        stage.client.wallets.fund(stage.wallet, "1", idempotency_key="x" * 256)
    stage.freeze(stage.wallet)
    with refused(WalletFrozenError, status=403, code="WALLET_FROZEN") as refusal:
        stage.client.wallets.fund(stage.wallet, "1")
    assert refusal.details == {"walletId": stage.wallet}
    assert stage.available(stage.wallet) == "1000.00"


def list_transactions_returns_every_transaction(stage):
    stage.client.payments.send(
        stage.wallet, to_wallet_id=stage.shop, amount="100", description="Paper"
    )
    stage.client.wallets.fund(stage.wallet, "5")
    pages = list(pages_of(stage.client.wallets.list_transactions, stage.wallet, limit=2))
    assert [len(page) for page in pages] == [2, 1]
    raw = [line for page in pages for line in page]
    lines = [models.WalletTransaction.model_validate(line) for line in raw]
    assert [(line.direction, line.amount, line.entry_type) for line in lines] == [
        ("CREDIT", "5.00", "FUNDING"),
        ("DEBIT", "100.50", "PAYMENT"),
        ("CREDIT", "1000.00", "FUNDING"),
    ]
    balances = [line["balanceAfter"] for line in raw]
    assert balances == ["904.50", "899.50", "1000.00"]
    assert lines[1].description == "Paper"
    assert {line.wallet_id for line in lines} == {stage.wallet}
    assert all(TIMESTAMP.fullmatch(line.created_at) for line in lines)
    assert stage.client.wallets.list_transactions(stage.wallet)["data"] == raw
    with refused(WalletNotFoundError, status=404, code="WALLET_NOT_FOUND"):
        stage.client.wallets.list_transactions(stage.shop)
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        stage.client.wallets.list_transactions(stage.wallet, cursor="nonsense")


def list_holds_by_status(stage):
    every = stage.client.wallets.list_holds(stage.held)["data"]
    assert {hold["status"] for hold in every} == {"PENDING", "REVERSED"}
    for status, amounts in (("PENDING", ["40.00"]), ("REVERSED", ["15.00"]), ("RELEASED", [])):
        found = stage.client.wallets.list_holds(stage.held, status=status)["data"]
        assert [hold["amount"] for hold in found] == amounts
        assert all(hold["status"] == status for hold in found)
    pending = next(hold for hold in every if hold["status"] == "PENDING")
    assert pending["id"].startswith("hld_") and pending["walletId"] == stage.held
    assert (pending["type"], pending["referenceId"]) == ("CARD", "aut_1")
    assert stage.client.wallets.list_holds(stage.wallet)["data"] == []
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        stage.client.wallets.list_holds(stage.held, status="LOST")
