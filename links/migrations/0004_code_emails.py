"""Codes are limited with all other emails to an address."""

from datetime import UTC, datetime

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("links", "0003_expiry_as_due_work")]

    operations = [
        migrations.AlterField(
            model_name="emailverification",
            name="hour_started_at",
            field=models.DateTimeField(default=datetime(2000, 1, 1, tzinfo=UTC)),
        ),
        migrations.RemoveField(model_name="emailverification", name="hour_started_at"),
        migrations.RemoveField(model_name="emailverification", name="sent_in_hour"),
    ]
