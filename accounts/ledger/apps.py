from django.apps import AppConfig
from django.db.models.signals import post_migrate


class LedgerConfig(AppConfig):
    name = "accounts.ledger"
    label = "ledger"

    def ready(self):
        from accounts.ledger import chart

        # After a migration, and after a test has truncated the tables.
        post_migrate.connect(lambda **_: chart.open_system_accounts(), sender=self, weak=False)
