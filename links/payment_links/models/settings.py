from django.db import models

from accounts.organizations.models import Organization


class LinkSettings(models.Model):
    """What an organization allows for its payment links. One without a row has the defaults."""

    organization = models.OneToOneField(
        Organization, models.PROTECT, primary_key=True, related_name="+"
    )
    # Whether USD and USDC are exchanged 1:1, so that a link may be claimed over the other's rail.
    converts_currencies_sandbox = models.BooleanField(default=True)
    converts_currencies_production = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "link settings"

    def __str__(self):
        return f"settings of {self.organization_id}"

    @classmethod
    def conversion_field(cls, environment: str) -> str:
        """Which of the two says it for an environment."""
        return f"converts_currencies_{environment.lower()}"
