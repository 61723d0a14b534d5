"""One table of outgoing emails, in place of the test inbox and the log that limits counted."""

import json

import django.db.models.deletion
from django.db import migrations, models

import wallgent.environments
import wallgent.ids
from wallgent import credentials
from wallgent.mail import addresses


def convert(apps, schema_editor):
    """Keep what the test inbox shows and what the limits of today count."""
    model = apps.get_model("wallgent", "Email")
    inbox = [
        model(
            id=email.id,
            kind="LINK",
            organization_id=email.organization_id,
            environment="SANDBOX",
            address=addresses.mask(email.recipients[0]),
            address_digest=b"",  # counted by the log
            sealed=_seal(email),
            created_at=email.created_at,
            expires_at=email.created_at,
            status="SENT",
            ended_at=email.created_at,
        )
        for email in apps.get_model("wallgent", "SandboxEmail").objects.all()
    ]
    counted = [
        model(
            id=row.id,
            kind="LINK" if row.kind == "MESSAGE" else "RECEIPT",
            organization_id=row.organization_id,
            environment=row.environment,
            subject_id=row.subject_id,
            sender_id=row.sender_id,
            address="",  # it was not stored
            address_digest=row.address_digest,
            created_at=row.created_at,
            expires_at=row.created_at,
            status="SENT",
            ended_at=row.created_at,
        )
        for row in apps.get_model("wallgent", "EmailSendLog").objects.all()
    ]
    model.objects.bulk_create(inbox + counted, batch_size=1000)


def _seal(email) -> bytes:
    content = {"recipient": email.recipients[0], "subject": email.subject, "text": email.text}
    return credentials.encrypt(json.dumps(content))


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_approvals_as_due_work"),
        ("wallgent", "0004_due_work"),
    ]

    operations = [
        migrations.CreateModel(
            name="Email",
            fields=[
                (
                    "id",
                    wallgent.ids.PrefixedIdField(
                        "eml", editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("LINK", "Payment link"),
                            ("CODE", "Verification code"),
                            ("RECEIPT", "Receipt"),
                            ("INVITATION", "Invitation"),
                            ("HINT", "Whether an account exists"),
                            ("ACCOUNT", "Account link"),
                            ("NOTICE", "Account notice"),
                        ],
                        max_length=10,
                    ),
                ),
                ("environment", wallgent.environments.EnvironmentField(blank=True, default="")),
                ("subject_id", models.CharField(blank=True, default="", max_length=64)),
                ("sender_id", models.CharField(blank=True, default="", max_length=64)),
                ("address", models.CharField(max_length=254)),
                ("address_digest", models.BinaryField(max_length=32)),
                ("sealed", models.BinaryField(null=True)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                (
                    "status",
                    models.CharField(
                        choices=[("WAITING", "Pending"), ("SENT", "Sent"), ("FAILED", "Failed")],
                        default="WAITING",
                        max_length=7,
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("UNKNOWN_ADDRESS", "The address does not exist."),
                            ("MAILBOX_FULL", "The mailbox is full."),
                            ("REFUSED", "The recipient's mail server refused it."),
                            ("TOO_LATE", "No mail server accepted it in time."),
                            ("LIMITED", "The address received several emails today."),
                        ],
                        default="",
                        max_length=15,
                    ),
                ),
                ("reply", models.CharField(blank=True, default="", max_length=16)),
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
                "indexes": [
                    models.Index(fields=["organization", "-id"], name="email_by_organization"),
                    models.Index(fields=["sender_id", "created_at"], name="email_by_sender"),
                    models.Index(fields=["subject_id", "created_at"], name="email_by_subject"),
                    models.Index(fields=["address_digest", "created_at"], name="email_by_address"),
                    models.Index(fields=["created_at"], name="email_by_age"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("sealed__isnull", False), ("status", "WAITING")),
                            models.Q(
                                models.Q(("status", "WAITING"), _negated=True),
                                models.Q(
                                    ("sealed", None), ("environment", "SANDBOX"), _connector="OR"
                                ),
                            ),
                            _connector="OR",
                        ),
                        name="email_is_erased_when_it_has_ended",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "FAILED"), models.Q(("reason", ""), _negated=True)),
                            models.Q(models.Q(("status", "FAILED"), _negated=True), ("reason", "")),
                            _connector="OR",
                        ),
                        name="email_failed_for_a_reason",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ended_at", None), ("status", "WAITING")),
                            models.Q(
                                models.Q(("status", "WAITING"), _negated=True),
                                ("ended_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="email_ended_at_a_time",
                    ),
                ],
            },
        ),
        migrations.RunPython(convert, migrations.RunPython.noop),
        migrations.DeleteModel(name="EmailSendLog"),
        migrations.DeleteModel(name="SandboxEmail"),
    ]
