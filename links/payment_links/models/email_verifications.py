from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from links.payment_links.models.payment_links import EMAIL_LENGTH, PaymentLink
from wallgent.ids import PrefixedIdField

TRIES = 5  # of one visitor, for each email


class EmailProof(models.Model):
    """The code sent to an address, for one link. Its times are real ones."""

    id = PrefixedIdField("emp")
    link = models.ForeignKey(PaymentLink, models.PROTECT, related_name="+", db_index=False)
    email = models.CharField(max_length=EMAIL_LENGTH)
    seed = models.CharField(max_length=32)  # the code follows from it and our key
    is_long = models.BooleanField(default=False)  # too long to be guessed
    sent_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    letters_since = models.DateTimeField()  # how many were sent within an hour from then on
    letters = models.PositiveSmallIntegerField(default=1)
    tries = models.PositiveIntegerField(default=0)  # that were wrong, of all visitors
    used_at = models.DateTimeField(null=True, blank=True)  # by a claim

    class Meta:
        constraints = [
            UniqueConstraint(fields=["link", "email"], name="email_proof_of_link_and_address"),
        ]
        indexes = [models.Index(fields=["expires_at"], name="email_proof_by_age")]

    def __str__(self):
        return self.id


class CodeVisitor(models.Model):
    """Somebody who typed a code: a session of the public page, or a network that calls the API."""

    id = PrefixedIdField("cvi")
    proof = models.ForeignKey(EmailProof, models.CASCADE, related_name="visitors", db_index=False)
    visitor = models.CharField(max_length=64)  # a keyed digest
    tries = models.PositiveSmallIntegerField(default=0)  # that were wrong, since the latest email
    verified_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            UniqueConstraint(fields=["proof", "visitor"], name="code_visitor_of_proof"),
            CheckConstraint(condition=Q(tries__lte=TRIES), name="code_visitor_tries_end"),
        ]

    def __str__(self):
        return self.id
