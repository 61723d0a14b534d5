import django.db.models.deletion
from django.db import migrations, models

import wallgent.environments
import wallgent.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "id",
                    wallgent.ids.PrefixedIdField(
                        "evt", editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("type", models.TextField()),
                ("subject", models.TextField()),
                ("environment", wallgent.environments.EnvironmentField()),
                (
                    "actor_type",
                    models.CharField(
                        choices=[("API_KEY", "API key"), ("USER", "User"), ("SYSTEM", "System")],
                        max_length=7,
                    ),
                ),
                ("actor_id", models.TextField()),
                ("request_id", models.TextField()),
                ("data", models.JSONField()),
                ("is_public", models.BooleanField()),
                ("created_at", models.DateTimeField()),
                ("origin_digest", models.BinaryField(max_length=32, null=True)),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="EventOrigin",
            fields=[
                (
                    "event",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="origin",
                        serialize=False,
                        to="events.event",
                    ),
                ),
                ("ip", models.TextField()),
                ("user_agent", models.TextField()),
                ("salt", models.BinaryField(max_length=16)),
            ],
        ),
        migrations.CreateModel(
            name="OutboxEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="events.event",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="EventPosition",
            fields=[
                (
                    "event",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="place",
                        serialize=False,
                        to="events.event",
                    ),
                ),
                ("position", models.BigIntegerField()),
                ("hash", models.BinaryField(max_length=32)),
                (
                    "organization",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.organization",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["organization", "environment", "id"], name="event_by_owner"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                fields=["organization", "environment", "type", "id"], name="event_by_type"
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["subject", "id"], name="event_by_subject"),
        ),
        migrations.AddConstraint(
            model_name="eventposition",
            constraint=models.UniqueConstraint(
                fields=("organization", "position"), name="event_position_given_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="eventposition",
            constraint=models.CheckConstraint(
                condition=models.Q(("position__gte", 1)), name="event_position_starts_at_one"
            ),
        ),
    ]
