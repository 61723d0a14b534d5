"""Confirmed CSV files and downloads to prepare wait in the queue of due work.

It replaces their leases. Downloads that are being prepared begin again.
"""

from django.db import migrations, models

SCHEDULE = """
INSERT INTO wallgent_duework (id, kind, subject, organization_id, environment, clock, due_at,
                              created_at, version, failures, error)
SELECT uuidv7(), 'create_import_objects', id, organization_id, environment, 'REAL',
       coalesce(leased_at, confirmed_at), now(), 0, 0, ''
  FROM wallgent_importfile WHERE status = 'CREATING';
INSERT INTO wallgent_duework (id, kind, subject, organization_id, environment, clock, due_at,
                              created_at, version, failures, error)
SELECT uuidv7(), 'prepare_export', e.id, f.organization_id, f.environment, 'REAL',
       e.requested_at, now(), 0, 0, ''
  FROM wallgent_importexport e JOIN wallgent_importfile f ON f.id = e.file_id
 WHERE e.status = 'PENDING';
"""
CANCEL = """
DELETE FROM wallgent_duework WHERE kind IN ('create_import_objects', 'prepare_export');
"""
BEGIN_AGAIN = """
DELETE FROM wallgent_importexportpart
 WHERE export_id IN (SELECT id FROM wallgent_importexport WHERE status = 'PENDING');
UPDATE wallgent_importexport SET rows_done = 0, read_at = NULL WHERE status = 'PENDING';
"""


class Migration(migrations.Migration):
    dependencies = [("wallgent", "0005_emails")]

    operations = [
        migrations.RunSQL(SCHEDULE, CANCEL),
        migrations.RunSQL(BEGIN_AGAIN, BEGIN_AGAIN),
        # Deferred checks of these rows would refuse the changes of their tables.
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL IMMEDIATE"),
        migrations.RemoveIndex(model_name="importfile", name="import_file_creating"),
        migrations.RemoveIndex(model_name="importexport", name="import_export_pending"),
        migrations.RemoveField(model_name="importfile", name="leased_at"),
        migrations.RemoveField(model_name="importexport", name="leased_at"),
        migrations.RemoveField(model_name="importexport", name="attempts"),
        migrations.AddField(
            model_name="importexport",
            name="checksum",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="importexport",
            name="byte_count",
            field=models.PositiveIntegerField(default=0),
        ),
    ]
