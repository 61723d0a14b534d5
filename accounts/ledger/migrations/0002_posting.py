"""The functions that post and roll up, and the triggers that keep the ledger right."""

from pathlib import Path

from django.db import migrations

_LEDGER = Path(__file__).parent.parent
FORWARD = (_LEDGER / "posting.sql").read_text() + (_LEDGER / "triggers.sql").read_text()
BACKWARD = """
    DROP TRIGGER ledger_transaction_has_entries ON ledger_transaction;
    DROP TRIGGER ledger_entries_balance ON ledger_entry;
    DROP TRIGGER ledger_hold_operation_immutable ON ledger_holdoperation;
    DROP TRIGGER ledger_transaction_immutable ON ledger_transaction;
    DROP TRIGGER ledger_entry_immutable ON ledger_entry;
    ALTER TABLE ledger_entry DROP CONSTRAINT ledger_entry_account_in_its_book;
    DROP TRIGGER ledger_account_identity ON ledger_account;
    DROP FUNCTION ledger_account_identity, ledger_transaction_has_entries, ledger_entries_balance, ledger_refuse_change,
        ledger_roll, ledger_post, ledger_stands, ledger_last_line;
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_tables")]

    operations = [
        migrations.RunSQL(FORWARD, BACKWARD),
        # Wallet rows change with every payment: room on the page keeps those updates short.
        migrations.RunSQL(
            "ALTER TABLE ledger_account SET (fillfactor = 70)",
            "ALTER TABLE ledger_account RESET (fillfactor)",
        ),
    ]
