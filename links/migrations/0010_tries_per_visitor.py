import django.db.models.deletion
from django.db import migrations, models

import wallgent.ids


class Migration(migrations.Migration):
    dependencies = [("links", "0009_test_authorizations")]

    operations = [
        # Codes under way cannot be carried over; people ask for a new one.
        migrations.RunSQL("DELETE FROM links_emailproof", migrations.RunSQL.noop),
        migrations.RemoveConstraint("emailproof", "email_proof_tries_end"),
        migrations.RemoveConstraint("emailproof", "email_proof_used_once_verified"),
        migrations.RemoveField("emailproof", "code_digest"),
        migrations.RemoveField("emailproof", "verified_at"),
        migrations.AddField(
            "emailproof",
            "seed",
            models.CharField(max_length=32, default=""),
            preserve_default=False,
        ),
        migrations.AddField("emailproof", "is_long", models.BooleanField(default=False)),
        migrations.AlterField("emailproof", "tries", models.PositiveIntegerField(default=0)),
        migrations.CreateModel(
            name="CodeVisitor",
            fields=[
                ("id", wallgent.ids.PrefixedIdField("cvi", primary_key=True, serialize=False)),
                (
                    "proof",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="visitors",
                        to="links.emailproof",
                    ),
                ),
                ("visitor", models.CharField(max_length=64)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("verified_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddConstraint(
            "codevisitor",
            models.UniqueConstraint(fields=["proof", "visitor"], name="code_visitor_of_proof"),
        ),
        migrations.AddConstraint(
            "codevisitor",
            models.CheckConstraint(condition=models.Q(tries__lte=5), name="code_visitor_tries_end"),
        ),
    ]
