from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_charges_of_closed_wallets")]

    operations = [
        migrations.AddField(
            model_name="transfer",
            name="is_test",
            field=models.BooleanField(default=True),  # until now there was the simulator only
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="transfer",
            name="provider",
            field=models.CharField(choices=[("simulator", "Simulator")], max_length=20),
        ),
        migrations.RemoveConstraint(
            model_name="transfer", name="transfer_simulated_in_the_sandbox_only"
        ),
        migrations.AddConstraint(
            model_name="transfer",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("environment", "SANDBOX"), ("is_test", True)),
                    models.Q(("environment", "PRODUCTION"), ("is_test", False)),
                    _connector="OR",
                ),
                name="transfer_moves_test_money_in_the_sandbox_only",
            ),
        ),
        migrations.AddConstraint(
            model_name="transfer",
            constraint=models.CheckConstraint(
                condition=models.Q(("is_test__in", [True]), ("provider", "simulator")),
                name="transfer_moves_money_that_its_provider_may",
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("environment", "SANDBOX"), ("key_prefix__startswith", "wg_test_")),
                    models.Q(("environment", "PRODUCTION"), ("key_prefix__startswith", "wg_live_")),
                    _connector="OR",
                ),
                name="api_key_prefix_of_its_environment",
            ),
        ),
    ]
