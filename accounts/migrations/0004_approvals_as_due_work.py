"""Pending approvals wait for their expiry in the queue of due work, which replaces an index."""

from django.db import migrations

SCHEDULE = """
INSERT INTO wallgent_duework (id, kind, subject, organization_id, environment, clock, due_at,
                              created_at, version, failures, error)
SELECT uuidv7(), 'expire_approval', id, organization_id, environment,
       CASE environment WHEN 'SANDBOX' THEN 'SANDBOX' ELSE 'REAL' END, expires_at, now(), 0, 0, ''
  FROM accounts_approval WHERE status = 'PENDING';
"""
CANCEL = "DELETE FROM wallgent_duework WHERE kind = 'expire_approval'"


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_kinds_of_payments_are_declared"),
        ("wallgent", "0004_due_work"),
    ]

    operations = [
        migrations.RunSQL(SCHEDULE, CANCEL),
        migrations.RemoveIndex(model_name="approval", name="approval_due"),
    ]
