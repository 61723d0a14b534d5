from django.apps import AppConfig

MOST_COUNTED = 100  # beside the navigation; who has so many has enough to do


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self):
        from accounts import events
        from accounts.services import approvals, tellers
        from accounts.views import sign_in
        from wallgent import pages

        events.declare_all()
        tellers.declare_all()
        pages.add_section(
            "overview", "Overview", icon="layout-dashboard", permission="wallets:read", rank=10
        )
        pages.add_section("wallets", "Wallets", icon="wallet", permission="wallets:read", rank=20)
        pages.add_section(
            "payments", "Payments", icon="arrow-left-right", permission="payments:read", rank=30
        )
        pages.add_section(
            "approvals",
            "Approvals",
            icon="user-check",
            permission="payments:read",
            rank=35,
            count=lambda actor: approvals.waiting(actor)[:MOST_COUNTED].count(),
        )
        pages.add_section(
            "api-keys", "API keys", icon="key-round", permission="organizations:read", rank=60
        )
        pages.add_section(
            "members", "Members", icon="users", permission="organizations:read", rank=70
        )
        pages.add_section(
            "organization", "Settings", icon="settings", permission="organizations:read", rank=80
        )
        sign_in.connect()
