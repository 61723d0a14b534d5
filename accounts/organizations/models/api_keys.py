from functools import reduce
from operator import or_

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from wallgent import clock
from wallgent.actors import Actor
from wallgent.environments import Environment, EnvironmentField
from wallgent.ids import PrefixedIdField

SECRET_PREFIXES = {
    Environment.SANDBOX.value: "wg_test_",
    Environment.PRODUCTION.value: "wg_live_",
}


class ApiKeyQuerySet(models.QuerySet):
    def visible_to(self, actor: Actor):
        """Return the keys of the actor's organization and environment, within its wallet scope."""
        keys = self.filter(organization=actor.organization, environment=actor.environment)
        if actor.wallet_scope is not None:
            keys = keys.filter(wallet_scope__contained_by=list(actor.wallet_scope))
        return keys


class ApiKey(models.Model):
    """A program's credential. Only the SHA-256 of its secret is stored."""

    class Status(models.TextChoices):
        ACTIVE = "ACTIVE", "Active"
        REVOKED = "REVOKED", "Revoked"
        EXPIRED = "EXPIRED", "Expired"

    id = PrefixedIdField("key")
    organization = models.ForeignKey("Organization", models.PROTECT, related_name="api_keys")
    environment = EnvironmentField()
    name = models.CharField(max_length=256)
    key_prefix = models.CharField(max_length=20)  # the start of the secret, to recognize the key
    secret_hash = models.BinaryField(max_length=32)
    permissions = ArrayField(models.CharField(max_length=40))
    wallet_scope = ArrayField(models.CharField(max_length=30), null=True, blank=True)
    allowed_ips = ArrayField(models.CharField(max_length=49), null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["secret_hash"], name="api_key_secret_unique"),
            CheckConstraint(
                condition=reduce(
                    or_,
                    (
                        Q(environment=environment, key_prefix__startswith=prefix)
                        for environment, prefix in SECRET_PREFIXES.items()
                    ),
                ),
                name="api_key_prefix_of_its_environment",
            ),
        ]

    def __str__(self):
        return f"{self.name} ({self.key_prefix}…)"

    @property
    def status(self) -> str:
        if self.revoked_at:
            return self.Status.REVOKED
        if self.expires_at and self.expires_at <= clock.real_now():
            return self.Status.EXPIRED
        return self.Status.ACTIVE
