from django.db import migrations, models
from django.db.models import F


def carry_over(apps, schema_editor):
    """What an organization has chosen held for both environments."""
    settings = apps.get_model("links", "LinkSettings")
    settings.objects.update(
        converts_currencies_sandbox=F("converts_currencies"),
        converts_currencies_production=F("converts_currencies"),
    )


def carry_back(apps, schema_editor):
    settings = apps.get_model("links", "LinkSettings")
    settings.objects.update(converts_currencies=F("converts_currencies_production"))


class Migration(migrations.Migration):
    dependencies = [("links", "0007_batch_exports")]

    operations = [
        migrations.AddField(
            "linksettings", "converts_currencies_sandbox", models.BooleanField(default=True)
        ),
        migrations.AddField(
            "linksettings", "converts_currencies_production", models.BooleanField(default=False)
        ),
        migrations.RunPython(carry_over, carry_back),
        migrations.RemoveField("linksettings", "converts_currencies"),
    ]
