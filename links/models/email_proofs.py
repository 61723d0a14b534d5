from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from links.models.payment_links import EMAIL_LENGTH, PaymentLink
from wallgent.ids import PrefixedIdField

TRIES = 5


class EmailProof(models.Model):
    """The latest code sent to an address, for one link. Its times are real ones."""

    id = PrefixedIdField("emp")
    link = models.ForeignKey(PaymentLink, models.PROTECT, related_name="+", db_index=False)
    email = models.CharField(max_length=EMAIL_LENGTH)
    code_digest = models.CharField(max_length=64)  # keyed: six digits alone could be tried out
    sent_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    letters_since = models.DateTimeField()  # how many were sent within an hour from then on
    letters = models.PositiveSmallIntegerField(default=1)
    tries = models.PositiveSmallIntegerField(default=0)  # that were wrong
    verified_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, blank=True)  # by a claim

    class Meta:
        constraints = [
            UniqueConstraint(fields=["link", "email"], name="email_proof_of_link_and_address"),
            CheckConstraint(condition=Q(tries__lte=TRIES), name="email_proof_tries_end"),
            CheckConstraint(
                condition=Q(used_at__isnull=True) | Q(verified_at__isnull=False),
                name="email_proof_used_once_verified",
            ),
        ]
        indexes = [models.Index(fields=["expires_at"], name="email_proof_by_age")]

    def __str__(self):
        return self.id
