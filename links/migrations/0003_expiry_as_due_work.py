"""Links that will expire wait in the queue of due work, which replaces two indexes."""

from django.db import migrations

SCHEDULE = """
INSERT INTO wallgent_duework (id, kind, subject, organization_id, environment, clock, due_at,
                              created_at, version, failures, error)
SELECT uuidv7(), 'expire_link', id, organization_id, environment,
       CASE environment WHEN 'SANDBOX' THEN 'SANDBOX' ELSE 'REAL' END, expires_at, now(), 0, 0, ''
  FROM links_paymentlink WHERE status = 'ACTIVE' AND expires_at IS NOT NULL;
"""
CANCEL = "DELETE FROM wallgent_duework WHERE kind = 'expire_link'"


class Migration(migrations.Migration):
    dependencies = [("links", "0002_guarantees"), ("wallgent", "0004_due_work")]

    operations = [
        migrations.RunSQL(SCHEDULE, CANCEL),
        migrations.RemoveIndex(model_name="paymentlink", name="payment_link_due"),
        migrations.RemoveIndex(model_name="paymentlink", name="payment_link_due_ahead"),
    ]
