"""The kinds of payments are the declared movements. Changes nothing in the database."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_guarantees")]

    operations = [
        migrations.AlterField(
            "payment", "kind", models.CharField(default="PAYMENT", max_length=16)
        ),
    ]
