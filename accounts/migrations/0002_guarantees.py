"""What a model cannot declare: composite foreign keys, and books that are append-only.

A composite key ties an object to the organization and environment of its wallet.
"""

from django.db import migrations

_WALLETS = {
    # constraint: (table, column of the wallet, column of the organization)
    "payment_sender_in_its_organization": ("payment", "sender_id", "organization_id"),
    "payment_recipient_in_its_organization": (
        "payment",
        "recipient_id",
        "recipient_organization_id",
    ),
    "approval_wallet_in_its_organization": ("approval", "wallet_id", "organization_id"),
    "approval_recipient_in_its_organization": (
        "approval",
        "recipient_id",
        "recipient_organization_id",
    ),
    "transfer_wallet_in_its_organization": ("transfer", "wallet_id", "organization_id"),
    "transfer_charged_wallet_in_its_organization": (
        "transfer",
        "charged_wallet_id",
        "organization_id",
    ),
}

_CURRENCY = """
    ALTER TABLE accounts_wallet
        ADD CONSTRAINT wallet_account_in_its_currency
            FOREIGN KEY (account_id, currency, environment)
            REFERENCES ledger_account (id, currency, book);
"""
_NO_CURRENCY = "ALTER TABLE accounts_wallet DROP CONSTRAINT wallet_account_in_its_currency"

_SIMULATOR = """
    CREATE FUNCTION simulator_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: correct it with a new row', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END $$;
    CREATE TRIGGER simulator_entry_immutable BEFORE UPDATE OR DELETE ON accounts_simulatorentry
        FOR EACH STATEMENT EXECUTE FUNCTION simulator_refuse_change();
"""
_NO_SIMULATOR = """
    DROP TRIGGER simulator_entry_immutable ON accounts_simulatorentry;
    DROP FUNCTION simulator_refuse_change;
"""


def _composite_key(name: str, table: str, wallet: str, organization: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"ALTER TABLE accounts_{table} ADD CONSTRAINT {name}"
        f" FOREIGN KEY ({wallet}, {organization}, environment)"
        " REFERENCES accounts_wallet (id, organization_id, environment)",
        f"ALTER TABLE accounts_{table} DROP CONSTRAINT {name}",
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_tables"), ("ledger", "0002_posting")]

    operations = [
        *(_composite_key(name, *columns) for name, columns in _WALLETS.items()),
        migrations.RunSQL(_CURRENCY, _NO_CURRENCY),
        migrations.RunSQL(_SIMULATOR, _NO_SIMULATOR),
    ]
