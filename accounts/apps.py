from django.apps import AppConfig

MOST_COUNTED = 100  # beside the navigation; who has so many has enough to do


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self):
        from django.db.models.signals import post_migrate

        from accounts import event_descriptions, events
        from accounts.controls.services import approvals
        from accounts.ledger import checks as books
        from accounts.organizations.sign_in import adapters
        from accounts.transfers import checks as rail_books
        from accounts.transfers.rails import base
        from accounts.transfers.services import worker
        from wallgent.web import pages

        events.declare_all()
        event_descriptions.declare_all()
        books.register(rail_books.DIFFERENCES)
        base.listen(worker.on_rail_event)
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
        adapters.connect()
