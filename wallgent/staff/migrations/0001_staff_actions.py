"""The log of staff actions, whose rows stay as they were written."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import wallgent.ids

KEEP = """
CREATE FUNCTION staff_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER staff_action_is_append_only BEFORE UPDATE OR DELETE ON staff_staffaction
    FOR EACH STATEMENT EXECUTE FUNCTION staff_refuse_change();
"""
UNKEEP = """
DROP TRIGGER staff_action_is_append_only ON staff_staffaction;
DROP FUNCTION staff_refuse_change();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="StaffAction",
            fields=[
                (
                    "id",
                    wallgent.ids.PrefixedIdField(
                        "sta", editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("VIEWED", "Viewed"),
                            ("SEARCHED", "Searched"),
                            ("CHANGED", "Changed"),
                            ("LOOKUP_REFUSED", "Lookup refused"),
                            ("ACCESS_REFUSED", "Access refused"),
                        ],
                        max_length=14,
                    ),
                ),
                ("model", models.TextField()),
                ("object_id", models.TextField()),
                ("detail", models.TextField()),
                ("value_length", models.PositiveIntegerField(null=True)),
                ("request_id", models.TextField()),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["user", "id"], name="staff_action_by_user"),
                    models.Index(fields=["object_id", "id"], name="staff_action_by_object"),
                ],
            },
        ),
        migrations.RunSQL(KEEP, UNKEEP),
    ]
