"""People: how they come to us, and what their organizations may know of how they sign in."""

import dataclasses

from django.db import transaction

from accounts.organizations.models import Membership, User
from accounts.organizations.services import members, organizations
from wallgent import events
from wallgent.actors import Actor


@transaction.atomic(savepoint=False)
def settle_in(
    user: User, *, organization: str = "", token: str = "", origin: dict[str, str] | None = None
) -> Membership:
    """Give a new person their place: where the token invites them, else an organization made now.

    Raises NotFound, InvalidState or PermissionDenied when the invitation does not let them in.
    """
    if token:
        return members.accept(token, user=user, origin=origin)
    made = organizations.create(name=organization, email=user.email, owner=user)
    return user.memberships.get(organization=made)


@transaction.atomic(savepoint=False)
def record(type: str, user: User, *, origin: dict[str, str] | None = None, **extra) -> None:
    """Write down what the person did, once for each organization they belong to."""
    for membership in user.memberships.select_related("organization").order_by("pk"):
        actor = members.acting_for(membership.organization, user, origin)
        events.record(type, user, actor=actor, **extra)


@transaction.atomic(savepoint=False)
def remove_factors(user: User, *, actor: Actor) -> None:
    """Let the password alone sign a person in, who has lost everything else. Support only.

    `actor` is who does it; each organization of the person is told.
    """
    factors = user.authenticator_set.order_by("pk")
    lost = sorted({factor.type for factor in factors})
    factors.delete()
    for membership in user.memberships.select_related("organization").order_by("pk"):
        here = dataclasses.replace(actor, organization=membership.organization)
        for factor in lost:
            events.record("user.mfa_removed", user, actor=here, factor=factor)
