import django.db.models.deletion
from django.db import migrations, models

import wallgent.money

# Returned deposits that were taken from another wallet than they had been ordered for.
CHARGED = """
    UPDATE accounts_transfer t SET charged_wallet_id = w.id
      FROM ledger_entry e JOIN accounts_wallet w ON w.account_id = e.account_id
     WHERE e.transaction_id = t.return_transaction_id AND e.type = 'DEBIT'
       AND t.direction = 'DEPOSIT' AND w.id <> t.wallet_id
"""
# The older tables know one default wallet of each environment: that of USD. Those of other
# currencies become ordinary wallets, and default ones again by what has been charged to them.
ONE_DEFAULT = "UPDATE accounts_wallet SET is_default = false WHERE is_default AND currency <> 'USD'"
DEFAULTS_AGAIN = """
    UPDATE accounts_wallet w SET is_default = true
      FROM accounts_transfer t LEFT JOIN accounts_suspended s ON s.transaction_id = t.transaction_id
     WHERE w.id = t.charged_wallet_id AND w.id IS DISTINCT FROM s.wallet_id AND NOT w.is_default
"""
FORWARD = """
    ALTER TABLE accounts_wallet
        ADD CONSTRAINT wallet_account_in_its_currency
            FOREIGN KEY (account_id, currency, environment)
            REFERENCES ledger_account (id, currency, book);
    ALTER TABLE accounts_transfer
        ADD CONSTRAINT transfer_charged_wallet_in_its_organization
            FOREIGN KEY (charged_wallet_id, organization_id, environment)
            REFERENCES accounts_wallet (id, organization_id, environment);
"""
BACKWARD = """
    ALTER TABLE accounts_transfer DROP CONSTRAINT transfer_charged_wallet_in_its_organization;
    ALTER TABLE accounts_wallet DROP CONSTRAINT wallet_account_in_its_currency;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0010_suspended_money"),
        ("ledger", "0004_full_accounts"),
    ]

    operations = [
        migrations.AddField(
            model_name="wallet",
            name="currency",
            field=wallgent.money.CurrencyField(null=True),
        ),
        migrations.RunSQL(
            """
            UPDATE accounts_wallet w SET currency = a.currency
              FROM ledger_account a WHERE a.id = w.account_id
            """,
            migrations.RunSQL.noop,
        ),
        migrations.AlterField(
            model_name="wallet",
            name="currency",
            field=wallgent.money.CurrencyField(),
        ),
        migrations.RemoveConstraint(model_name="wallet", name="wallet_one_default"),
        migrations.RunSQL(migrations.RunSQL.noop, ONE_DEFAULT),
        migrations.AddConstraint(
            model_name="wallet",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_default", True)),
                fields=("organization", "environment", "currency"),
                name="wallet_one_default",
            ),
        ),
        migrations.AddField(
            model_name="transfer",
            name="charged_wallet",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.wallet",
            ),
        ),
        migrations.RunSQL(CHARGED, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="transfer",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("charged_wallet", None),
                    models.Q(
                        ("direction", "DEPOSIT"),
                        ("status", "RETURNED"),
                        models.Q(("charged_wallet", models.F("wallet")), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="transfer_charged_when_a_deposit_returned",
            ),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
        # Last: a second change of a row leaves its keys to be checked, and no table can be altered.
        migrations.RunSQL(DEFAULTS_AGAIN, migrations.RunSQL.noop),
    ]
