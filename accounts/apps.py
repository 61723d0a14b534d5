from importlib import import_module

from django.apps import AppConfig

MAX_COUNTED = 100  # the largest number shown in the navigation


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self):
        from django.db.models.signals import post_migrate

        from accounts.controls.models import Approval
        from accounts.controls.services import approvals
        from accounts.ledger import checks as ledger_checks
        from accounts.organizations.services import organizations as tenants
        from accounts.organizations.services import wallet_lookup
        from accounts.organizations.sign_in import adapters
        from accounts.pay_ins import checks as pay_in_checks
        from accounts.payments import checks as payment_checks
        from accounts.transfers import checks as transfer_checks
        from accounts.transfers.models import Transfer
        from accounts.transfers.rails import base
        from accounts.transfers.services import postings, worker
        from accounts.wallets import checks as wallet_checks
        from accounts.wallets import services as wallet_services
        from accounts.wallets.wallet_lookup import Lookup
        from wallgent import due_work
        from wallgent.web import pages

        for package in ("organizations", "wallets", "payments", "controls", "agents", "transfers"):
            import_module(f"accounts.{package}.events")
        for proofs in (wallet_checks, payment_checks, transfer_checks):
            proofs.declare_all()
        ledger_checks.register(pay_in_checks.DIFFERENCES)
        tenants.on_created(wallet_services.create_default)
        wallet_lookup.register(Lookup())
        due_work.register(
            approvals.DUE_WORK, approvals.expire_due, subject=Approval, label="Expire approval"
        )
        due_work.register(
            worker.DUE_WORK,
            worker.process_due,
            subject=Transfer,
            label="Process transfer",
            lease=worker.LEASE,
            deadline=worker.DEADLINE,
        )
        base.add_event_listener(worker.on_rail_event)
        # Runs after migrations, and after a test has flushed the tables.
        post_migrate.connect(lambda **_: postings.open_accounts(), sender=self, weak=False)
        pages.add_section(
            "overview", "Overview", icon="layout-dashboard", permission="wallets:read", rank=10
        )
        pages.add_section(
            "wallets",
            "Wallets",
            icon="wallet",
            group="Money",
            permission="wallets:read",
            rank=20,
        )
        pages.add_section(
            "payments",
            "Payments",
            icon="arrow-left-right",
            group="Money",
            permission="payments:read",
            rank=30,
        )
        pages.add_section(
            "approvals",
            "Approvals",
            icon="user-check",
            group="Money",
            permission="payments:read",
            rank=35,
            count=lambda actor: approvals.open_for(actor)[:MAX_COUNTED].count(),
        )
        pages.add_section(
            "api-keys",
            "API keys",
            icon="key-round",
            group="Developers",
            permission="organizations:read",
            rank=60,
        )
        pages.add_section(
            "members",
            "Members",
            icon="users",
            group="Organization",
            permission="organizations:read",
            rank=70,
        )
        pages.add_section(
            "organization",
            "Settings",
            icon="settings",
            group="Organization",
            permission="organizations:read",
            rank=80,
        )
        pages.add_settings("organization", "Organization", permission="organizations:read")
        adapters.connect()
