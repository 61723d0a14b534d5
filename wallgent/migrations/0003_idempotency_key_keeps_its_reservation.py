from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("wallgent", "0002_guarantees")]

    operations = [
        migrations.AddField(
            "idempotencyrecord",
            "reserved_id",
            models.CharField(default="", max_length=40),
            preserve_default=False,
        ),
    ]
