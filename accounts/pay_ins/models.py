"""What a payer agrees to before their bank account is debited."""

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from wallgent.environments import Environment, EnvironmentField
from wallgent.ids import PrefixedIdField
from wallgent.money import MoneyField

REFERENCE_LENGTH = 64
USER_AGENT_LENGTH = 500


class Mandate(models.Model):
    """The authorization of one bank debit. It can be erased without what it authorized."""

    id = PrefixedIdField("mnd")
    organization = models.ForeignKey("Organization", models.PROTECT, related_name="+")  # credited
    environment = EnvironmentField()
    # The same as those of the transfer that debits the account.
    purpose = models.CharField(max_length=24)
    reference = models.CharField(max_length=REFERENCE_LENGTH)
    amount = MoneyField()  # in USD: banks carry nothing else
    # A test authorization: the API debits a bank in the sandbox without a mandate.
    is_test = models.BooleanField(default=False)
    version = models.CharField(max_length=16, blank=True)
    wording = models.TextField(blank=True)  # as the payer read it
    ip = models.GenericIPAddressField(null=True)  # unknown behind proxies that do not pass it on
    user_agent = models.CharField(max_length=USER_AGENT_LENGTH, blank=True, default="")
    accepted_at = models.DateTimeField()  # real time: it is evidence

    class Meta:
        constraints = [
            UniqueConstraint(fields=["purpose", "reference"], name="mandate_once_for_a_reference"),
            CheckConstraint(condition=Q(amount__gt=0), name="mandate_amount_positive"),
            CheckConstraint(
                condition=Q(is_test=True, version="", wording="")
                | (Q(is_test=False) & ~Q(version="") & ~Q(wording="")),
                name="mandate_has_wording_unless_a_test",
            ),
            CheckConstraint(
                condition=Q(is_test=False) | Q(environment=Environment.SANDBOX),
                name="mandate_tests_in_the_sandbox",
            ),
        ]

    def __str__(self):
        return self.id
