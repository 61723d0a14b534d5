"""Payments are dated on the recipient's clock too, and a change of a wallet on its owner's."""

from django.db import migrations, models
from django.db.models import Q

BACKFILL = """
UPDATE accounts_payment p SET received_at = e.created_at
  FROM accounts_wallet w, ledger_entry e
 WHERE w.id = p.recipient_id AND e.transaction_id = p.id AND e.account_id = w.account_id
   AND p.settled_at IS NOT NULL;
UPDATE accounts_wallet SET updated_at = created_at WHERE updated_at < created_at;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_transfers_as_due_work"),
        ("ledger", "0003_entries_have_dates"),
    ]

    operations = [
        migrations.AlterField("wallet", "updated_at", models.DateTimeField()),
        migrations.AddField("payment", "received_at", models.DateTimeField(blank=True, null=True)),
        migrations.RunSQL(BACKFILL, migrations.RunSQL.noop),
        migrations.RemoveConstraint("payment", "payment_settled_when_posted"),
        migrations.AddConstraint(
            "payment",
            models.CheckConstraint(
                condition=Q(
                    status__in=["POSTED", "REVERSED"],
                    settled_at__isnull=False,
                    received_at__isnull=False,
                )
                | (
                    ~Q(status__in=["POSTED", "REVERSED"])
                    & Q(settled_at__isnull=True, received_at__isnull=True)
                ),
                name="payment_settled_when_posted",
            ),
        ),
    ]
