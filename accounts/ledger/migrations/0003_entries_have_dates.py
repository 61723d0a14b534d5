"""Entries are dated by the clock of their account's owner. Cannot be reversed."""

from pathlib import Path

from django.db import migrations, models

# Existing entries of the payer keep the date of their transaction. The clock of a recipient in
# another organization is not known to the ledger: real time, which the id contains, is the best
# estimate, but not before earlier lines of the same account.
BACKFILL = """
ALTER TABLE ledger_entry DISABLE TRIGGER ledger_entry_immutable;
WITH payer AS (
    SELECT DISTINCT ON (e.transaction_id) e.transaction_id, a.owner
      FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id
     WHERE NOT a.is_system
     ORDER BY e.transaction_id, e.type DESC
), own AS (
    SELECT e.id, e.account_id, e.line, CASE
               WHEN e.book = 'PRODUCTION' OR a.is_system OR a.owner = p.owner THEN t.created_at
               ELSE least(t.created_at, uuid_extract_timestamp(e.id))
           END AS date
      FROM ledger_entry e
      JOIN ledger_account a ON a.id = e.account_id
      JOIN ledger_transaction t ON t.id = e.transaction_id
      LEFT JOIN payer p ON p.transaction_id = t.id
), dated AS (
    SELECT id, CASE WHEN line IS NULL THEN date
                    ELSE max(date) OVER (PARTITION BY account_id ORDER BY line) END AS date
      FROM own
)
UPDATE ledger_entry e SET created_at = d.date FROM dated d WHERE d.id = e.id;
ALTER TABLE ledger_entry ENABLE TRIGGER ledger_entry_immutable;
UPDATE ledger_account a SET last_entry_at = e.created_at
  FROM ledger_entry e WHERE e.account_id = a.id AND e.line = a.lines;
"""
_OLD_POST = """
DROP FUNCTION IF EXISTS ledger_post(
    text, interval, boolean, uuid[], text[], text[], uuid[], int[], uuid[], text[], numeric[], text[]
);
"""
_POSTING = Path(__file__).parent.parent.joinpath("posting.sql").read_text()


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_posting")]

    operations = [
        migrations.AddField(
            "ledgeraccount", "last_entry_at", models.DateTimeField(blank=True, null=True)
        ),
        migrations.AddField("entry", "created_at", models.DateTimeField(null=True)),
        migrations.RunSQL(BACKFILL),
        migrations.AlterField("entry", "created_at", models.DateTimeField()),
        migrations.RunSQL(_OLD_POST + _POSTING),
    ]
