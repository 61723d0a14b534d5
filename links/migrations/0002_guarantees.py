"""What a model cannot declare: a link belongs to the organization and environment of its wallet."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("links", "0001_tables"), ("accounts", "0002_guarantees")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE links_paymentlink ADD CONSTRAINT payment_link_wallet_in_its_organization"
            " FOREIGN KEY (wallet_id, organization_id, environment)"
            " REFERENCES accounts_wallet (id, organization_id, environment)",
            "ALTER TABLE links_paymentlink DROP CONSTRAINT payment_link_wallet_in_its_organization",
        ),
    ]
