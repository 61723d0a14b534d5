"""The kinds of payments come from the declared movements. Changes nothing in the database."""

from django.db import migrations, models

import accounts.payments.models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_guarantees")]

    operations = [
        migrations.AlterField(
            model_name="payment",
            name="kind",
            field=models.CharField(
                choices=accounts.payments.models.kinds, default="PAYMENT", max_length=16
            ),
        ),
    ]
