"""The settings of an organization for its payment links."""

from django.db import transaction

from accounts.organizations.models import Organization
from links.payment_links.models import LinkSettings
from wallgent import events
from wallgent.actors import Actor


def converts_currencies(organization: Organization, environment: str) -> bool:
    """Whether the organization's links may use rails of the other currency, exchanged 1:1."""
    settings = LinkSettings.objects.filter(pk=organization.pk).first() or LinkSettings()
    return getattr(settings, LinkSettings.conversion_field(environment))


@transaction.atomic(savepoint=False)
def set_conversion(organization: Organization, *, actor: Actor, allowed: bool) -> None:
    """Allow or forbid exchanging USD and USDC 1:1 in the actor's environment.

    Records organization.updated. Raises PermissionDenied for a key with a wallet scope.
    """
    actor.require_every_wallet("change the organization")
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if converts_currencies(organization, actor.environment) == allowed:
        return
    field = LinkSettings.conversion_field(actor.environment)
    LinkSettings.objects.update_or_create(organization=organization, defaults={field: allowed})
    changes = {"convertsLinkCurrencies": allowed}
    events.record("organization.updated", organization, actor=actor, changes=changes)
