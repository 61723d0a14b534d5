"""client.sandbox."""

from stage import refused

from wallgent import InvalidAmountError, SandboxOnlyError, WalletFrozenError, WalletNotFoundError


def fund_accepts_text_and_numbers(stage):
    for amount, shown in (("1000.00", "1000.00"), (25.5, "25.50"), (0.1, "0.10"), (7, "7.00")):
        response = stage.client.sandbox.fund(wallet_id=stage.wallet, amount=amount)
        assert (response["walletId"], response["amount"]) == (stage.wallet, shown)
        assert response["transactionId"].startswith("txn_")
    assert response["newBalance"] == "2032.60"
    assert stage.available(stage.wallet) == "2032.60"


def fund_has_two_limits(stage):
    with refused(InvalidAmountError, status=400, code="INVALID_AMOUNT"):
        stage.client.sandbox.fund(wallet_id=stage.main, amount="10000.00000001")
    for _ in range(10):
        stage.client.sandbox.fund(wallet_id=stage.main, amount="10000")
    for fund in (
        lambda: stage.client.sandbox.fund(wallet_id=stage.main, amount="0.00000001"),
        lambda: stage.client.wallets.fund(stage.main, "1"),
    ):
        with refused(InvalidAmountError, status=400, code="INVALID_AMOUNT"):
            fund()
    assert stage.available(stage.main) == "100000.00"


def fund_refuses_invalid_calls(stage):
    for amount in (0, -1, "-1", 1.123456789, "x"):
        with refused(InvalidAmountError, status=400, code="INVALID_AMOUNT"):
            stage.client.sandbox.fund(wallet_id=stage.wallet, amount=amount)
    with refused(WalletNotFoundError, status=404, code="WALLET_NOT_FOUND"):
        stage.client.sandbox.fund(wallet_id=stage.shop, amount="1")
    with refused(SandboxOnlyError, status=403, code="SANDBOX_ONLY"):
        stage.client_of("live").sandbox.fund(wallet_id=stage.live_wallet, amount="1")
    stage.freeze(stage.wallet)
    with refused(WalletFrozenError, status=403, code="WALLET_FROZEN"):
        stage.client.sandbox.fund(wallet_id=stage.wallet, amount="1")
