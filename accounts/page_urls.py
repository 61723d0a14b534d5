"""URLs of the dashboard, below /<organization>/<environment>/."""

from django.urls import include, path

from accounts.activity.pages import overview, wallet
from accounts.controls.pages import approvals
from accounts.organizations.pages import api_keys, members, organizations, sandbox_clock
from accounts.payments import pages as payments
from accounts.wallets import pages as wallets
from wallgent.web import access

PAGES = [
    path("", overview.show, name="overview"),
    path("wallets", wallets.index, name="wallets"),
    path("wallets/new", wallets.new, name="wallet-new"),
    path("wallets/<str:id>", wallet.show, name="wallet"),
    path("wallets/<str:id>/edit", wallets.edit, name="wallet-edit"),
    path("wallets/<str:id>/fund", wallets.fund, name="wallet-fund"),
    path("wallets/<str:id>/freeze", wallets.freeze, name="wallet-freeze"),
    path("wallets/<str:id>/unfreeze", wallets.unfreeze, name="wallet-unfreeze"),
    path("wallets/<str:id>/close", wallets.close, name="wallet-close"),
    path("payments", payments.index, name="payments"),
    path("payments/new", payments.new, name="payment-new"),
    path("payments/<str:id>", payments.show, name="payment"),
    path("payments/<str:id>/reverse", payments.reverse, name="payment-reverse"),
    path("approvals", approvals.index, name="approvals"),
    path("approvals/<str:id>", approvals.show, name="approval"),
    path("approvals/<str:id>/approve", approvals.approve, name="approval-approve"),
    path("approvals/<str:id>/reject", approvals.reject, name="approval-reject"),
    path("api-keys", api_keys.index, name="api-keys"),
    path("api-keys/new", api_keys.new, name="api-key-new"),
    path("api-keys/<str:id>", api_keys.show, name="api-key"),
    path("api-keys/<str:id>/revoke", api_keys.revoke, name="api-key-revoke"),
    path("members", members.index, name="members"),
    path("members/invite", members.invite, name="member-invite"),
    path("members/leave", members.leave, name="member-leave"),
    path("members/<str:id>/role", members.role, name="member-role"),
    path("members/<str:id>/remove", members.remove, name="member-remove"),
    path(
        "members/invitations/<str:id>/revoke",
        members.revoke_invitation,
        name="member-invitation-revoke",
    ),
    path("", include("wallgent.mail.urls")),
    path("clock", sandbox_clock.advance, name="sandbox-clock"),
    path("settings", organizations.settings, name="organization"),
]

urlpatterns = [
    path("", access.home, name="home"),
    path("organizations/new", organizations.new, name="organization-new"),
    path("<organization:organization>/<environment:environment>/", include(PAGES)),
]
