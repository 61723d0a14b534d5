from django.db import models

from accounts.organizations.models import Organization
from links.payment_links.models.payment_links import PaymentLink
from wallgent.ids import PrefixedIdField


class Sending(models.Model):
    """A letter with a link, kept for a day so that nobody is sent too many.

    The address is known by a keyed digest only; the letter itself holds it, and is not kept.
    """

    id = PrefixedIdField("snd")
    link = models.ForeignKey(PaymentLink, models.PROTECT, related_name="+", db_index=False)
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="+", db_index=False)
    sent_by = models.CharField(max_length=64)
    address_digest = models.BinaryField(max_length=32)
    created_at = models.DateTimeField()  # in real time, which no sandbox sets forward

    class Meta:
        indexes = [
            models.Index(fields=["organization", "created_at"], name="sending_by_organization"),
            models.Index(fields=["sent_by", "created_at"], name="sending_by_person"),
            models.Index(fields=["address_digest", "created_at"], name="sending_by_address"),
            models.Index(fields=["created_at"], name="sending_by_age"),
        ]

    def __str__(self):
        return self.id
