from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from links.payment_links.models.payment_links import EMAIL_LENGTH, PaymentLink
from wallgent.ids import PrefixedIdField

TRIES = 5  # wrong codes that one visitor may enter after each email


class EmailVerification(models.Model):
    """The code sent to an email address for one link. All its times are real time."""

    id = PrefixedIdField("emp")
    link = models.ForeignKey(PaymentLink, models.PROTECT, related_name="+", db_index=False)
    email = models.CharField(max_length=EMAIL_LENGTH)
    seed = models.CharField(max_length=32)  # the code is derived from it and our secret key
    is_long = models.BooleanField(default=False)  # whether the code is too long to be guessed
    sent_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0)  # wrong codes of all visitors
    used_at = models.DateTimeField(null=True, blank=True)  # by a claim

    class Meta:
        constraints = [
            UniqueConstraint(fields=["link", "email"], name="email_verification_of_link_address"),
        ]
        indexes = [models.Index(fields=["expires_at"], name="email_verification_by_age")]

    def __str__(self):
        return self.id


class CodeVisitor(models.Model):
    """A visitor who entered a code: a session of the pay page, or a network that calls the API."""

    id = PrefixedIdField("cvi")
    verification = models.ForeignKey(
        EmailVerification, models.CASCADE, related_name="visitors", db_index=False
    )
    visitor = models.CharField(max_length=64)  # a keyed digest
    tries = models.PositiveSmallIntegerField(default=0)  # wrong codes since the latest email
    verified_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            UniqueConstraint(
                fields=["verification", "visitor"], name="code_visitor_of_verification"
            ),
            CheckConstraint(condition=Q(tries__lte=TRIES), name="code_visitor_tries_end"),
        ]

    def __str__(self):
        return self.id
