from django.db import models

from accounts.organizations.models import Organization


class LinkSettings(models.Model):
    """The settings of an organization for its payment links. Without a row, the defaults apply."""

    organization = models.OneToOneField(
        Organization, models.PROTECT, primary_key=True, related_name="+"
    )
    # Whether USD and USDC are exchanged 1:1, so that a link may use the other currency's rail.
    converts_currencies_sandbox = models.BooleanField(default=True)
    converts_currencies_production = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "link settings"

    def __str__(self):
        return f"settings of {self.organization_id}"

    @classmethod
    def conversion_field(cls, environment: str) -> str:
        """The name of the field that applies to an environment."""
        return f"converts_currencies_{environment.lower()}"
