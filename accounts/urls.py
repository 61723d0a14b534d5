from django.urls import path

from accounts.controls.api import approvals
from accounts.organizations.api import api_keys, organizations, sandbox_clock
from accounts.payments.api import internal_payments, payments
from accounts.transfers.api import sandbox, transfers
from accounts.wallets import api as wallets

urlpatterns = [
    # Tried in this order, so the most used paths are first.
    path("payments", payments.PaymentsView.as_view()),
    path("payments/batch", payments.PaymentBatchView.as_view()),
    path("payments/<str:id>", payments.PaymentView.as_view()),
    path("payments/<str:id>/reverse", payments.PaymentReverseView.as_view()),
    path("approvals", approvals.ApprovalsView.as_view()),
    path("approvals/<str:id>", approvals.ApprovalView.as_view()),
    path("approvals/<str:id>/approve", approvals.ApprovalApproveView.as_view()),
    path("approvals/<str:id>/reject", approvals.ApprovalRejectView.as_view()),
    path("organizations/me", organizations.MyOrganizationView.as_view()),
    path("api-keys", api_keys.ApiKeysView.as_view()),
    path("api-keys/<str:id>", api_keys.ApiKeyView.as_view()),
    path("wallets", wallets.WalletsView.as_view()),
    path("wallets/<str:id>", wallets.WalletView.as_view()),
    path("wallets/<str:id>/balance", wallets.WalletBalanceView.as_view()),
    path("wallets/<str:id>/transactions", wallets.WalletTransactionsView.as_view()),
    path("wallets/<str:id>/holds", wallets.WalletHoldsView.as_view()),
    path("wallets/<str:id>/fund", wallets.WalletFundView.as_view()),
    path("wallets/<str:id>/freeze", wallets.WalletFreezeView.as_view()),
    path("wallets/<str:id>/unfreeze", wallets.WalletUnfreezeView.as_view()),
    path("wallets/<str:id>/close", wallets.WalletCloseView.as_view()),
    path("sandbox/fund", wallets.SandboxFundView.as_view()),
    path("sandbox/clock/advance", sandbox_clock.ClockAdvanceView.as_view()),
    path("sandbox/usdc-payments", sandbox.UsdcPaymentsView.as_view()),
    path("transfers", transfers.TransfersView.as_view()),
    path("transfers/internal", internal_payments.InternalPaymentsView.as_view()),
    path("transfers/<str:id>", transfers.TransferView.as_view()),
]
