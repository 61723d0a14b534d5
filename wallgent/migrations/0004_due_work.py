"""The queue of due work."""

import uuid

import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

import wallgent.environments
import wallgent.ids

# Rows come and go at the front of the index, where every sweep looks.
VACUUM = """
ALTER TABLE wallgent_duework SET (
    fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000
);
"""
NO_VACUUM = """
ALTER TABLE wallgent_duework RESET (
    fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold
);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_guarantees"),
        ("wallgent", "0003_idempotency_key_keeps_its_reservation"),
    ]

    operations = [
        migrations.CreateModel(
            name="DueWork",
            fields=[
                (
                    "id",
                    wallgent.ids.PrefixedIdField(
                        "due", editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.CharField(max_length=40)),
                ("subject", models.UUIDField()),
                ("environment", wallgent.environments.EnvironmentField(blank=True, default="")),
                (
                    "clock",
                    models.CharField(
                        choices=[
                            ("REAL", "Real time"),
                            ("SANDBOX", "Sandbox clock of the organization"),
                        ],
                        max_length=7,
                    ),
                ),
                ("due_at", models.DateTimeField()),
                ("created_at", models.DateTimeField()),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
                ("version", models.PositiveIntegerField(default=0)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("error", models.CharField(blank=True, default="", max_length=120)),
                (
                    "lane",
                    models.GeneratedField(
                        db_persist=True,
                        expression=django.db.models.functions.comparison.Coalesce(
                            "organization",
                            models.Value(uuid.UUID("00000000-0000-0000-0000-000000000000")),
                        ),
                        output_field=models.UUIDField(),
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "due work",
                "indexes": [
                    models.Index(fields=["lane", "clock", "due_at"], name="due_work_by_lane")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "subject"), name="due_work_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("clock", "REAL"),
                            models.Q(("environment", "SANDBOX"), ("organization__isnull", False)),
                            _connector="OR",
                        ),
                        name="due_work_clock_of_a_sandbox",
                    ),
                ],
            },
        ),
        migrations.RunSQL(VACUUM, NO_VACUUM),
    ]
