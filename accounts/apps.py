from django.apps import AppConfig

MOST_COUNTED = 100  # beside the navigation; who has so many has enough to do


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self):
        from django.db.models.signals import post_migrate

        from accounts import events
        from accounts.rails import base
        from accounts.services import approvals, books, rail_books, rail_settlement, tellers
        from accounts.views import sign_in
        from wallgent import pages

        events.declare_all()
        tellers.declare_all()
        books.register(rail_books.DIFFERENCES)
        base.listen(rail_settlement.hear)
        # After migrating, and after a test has emptied the tables.
        post_migrate.connect(lambda **_: rail_books.open_accounts(), sender=self, weak=False)
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
