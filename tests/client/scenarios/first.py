"""The oldest client, 0.1: other arguments, JSON numbers for amounts, its own retries."""

from stage import ids_of, models, refused

from wallgent import (
    EnvironmentMismatchError,
    InsufficientFundsError,
    InvalidAmountError,
    RateLimitExceededError,
    UnauthorizedError,
    ValidationError,
    WalletNotFoundError,
    WallgentError,
)


def pay(stage, amount, key, **named):
    return stage.client.payments.send(
        source_wallet_id=stage.wallet,
        destination_wallet_id=stage.shop,
        amount=amount,
        idempotency_key=key,
        **named,
    )


def wallets_are_created_and_listed(stage):
    plain = models.Wallet.model_validate(stage.client.wallets.create(name="Plain"))
    agent = models.Wallet.model_validate(stage.client.wallets.create(name="A", agent_name="Ada"))
    assert (plain.name, plain.agent_name, plain.balance) == ("Plain", None, "0.00")
    assert (agent.agent_name, agent.walletType) == ("Ada", "AGENT")
    assert stage.client.wallets.retrieve(agent.id)["name"] == "A"
    assert ids_of(stage.client.wallets.list())[:2] == [agent.id, plain.id]


def wallets_are_funded_with_numbers(stage):
    for amount, shown in ((25.5, "25.50"), (0.1, "0.10"), (100, "100.00"), (0.00000001, None)):
        response = stage.client.wallets.fund(stage.wallet, amount=amount)
        assert response["amount"] == (shown or "0.00000001")
    balance = models.WalletBalance.model_validate(stage.client.wallets.get_balance(stage.wallet))
    assert balance.available == "1125.60000001"


def wallets_list_their_transactions(stage):
    for amount in (1.0, 2.0, 3.0):
        stage.client.wallets.fund(stage.wallet, amount=amount)
    amounts, cursor = [], None
    for _ in range(4):  # the client puts the cursor into the URL without encoding it
        page = stage.client.wallets.list_transactions(stage.wallet, limit=1, cursor=cursor)
        amounts += [models.WalletTransaction.model_validate(line).amount for line in page["data"]]
        cursor = page["cursor"]
    assert (amounts, cursor) == (["3.00", "2.00", "1.00", "1000.00"], None)
    assert len(stage.client.wallets.list_transactions(stage.wallet)["data"]) == 4


def payments_are_sent_once_per_key(stage):
    response = pay(stage, 25.0, "order-1", description="Paper")
    payment = models.Payment.model_validate(response)
    assert (payment.amount, payment.fee, payment.status) == ("25.00", "0.25", "POSTED")
    assert (payment.description, payment.idempotency_key) == ("Paper", "order-1")
    assert pay(stage, 25.0, "order-1", description="Paper") == response
    assert pay(stage, 1, "order-2")["amount"] == "1.00"
    assert stage.client.payments.retrieve(payment.id) == response
    assert stage.available(stage.wallet) == "973.50"


def errors_have_their_classes(stage):
    with refused(InsufficientFundsError, status=402, code="INSUFFICIENT_FUNDS") as refusal:
        pay(stage, 1000.0, "order-1")
    assert refusal.details["requested"] == "1005.00"
    for amount in (0, -25, 1e30, 0.123456789):
        with refused(InvalidAmountError, status=400, code="INVALID_AMOUNT"):
            pay(stage, amount, "order-2")
    with refused(ValidationError, status=400, code="VALIDATION_ERROR") as refusal:
        stage.client.wallets.create(name="")
    assert list(refusal.details["fields"]) == ["name"]
    with refused(WalletNotFoundError, status=404, code="WALLET_NOT_FOUND"):
        stage.client.wallets.retrieve(stage.shop)
    with refused(EnvironmentMismatchError, status=403, code="ENVIRONMENT_MISMATCH"):
        stage.client.wallets.retrieve(stage.live_wallet)
    with refused(UnauthorizedError, status=401, code="UNAUTHORIZED"):
        stage.connect("wg_test_nonsense").wallets.list()
    with refused(WallgentError, status=409, code="IDEMPOTENCY_KEY_REUSE"):
        pay(stage, 1, "order-1")
    with refused(WallgentError, status=404, code="NOT_FOUND"):
        stage.client.payments.retrieve("txn_nonsense")


def too_many_calls_are_refused(stage):
    client = stage.client_of("slow")
    [wallet] = client.wallets.list()
    with refused(RateLimitExceededError, status=429, code="RATE_LIMIT_EXCEEDED"):
        for _ in range(40):  # of a plan with 10 a minute
            client.wallets.fund(wallet["id"], amount=1)
