"""Users: their first organization, and events about how they sign in."""

import dataclasses

from django.db import transaction

from accounts.organizations.models import Membership, User
from accounts.organizations.services import members, organizations
from wallgent import events
from wallgent.actors import Actor


@transaction.atomic(savepoint=False)
def join_organization(
    user: User, *, organization: str = "", token: str = "", origin: dict[str, str] | None = None
) -> Membership:
    """Make a new user a member: of the organization whose token invites them, or of a new one.

    Raises NotFound, InvalidState or PermissionDenied when the invitation cannot be accepted.
    """
    if token:
        return members.accept(token, user=user, origin=origin)
    created = organizations.create(name=organization, email=user.email, owner=user)
    return user.memberships.get(organization=created)


@transaction.atomic(savepoint=False)
def record_event(type: str, user: User, *, origin: dict[str, str] | None = None, **extra) -> None:
    """Record an event about a user, once for each organization they belong to."""
    for membership in user.memberships.select_related("organization").order_by("pk"):
        actor = members.user_actor(membership.organization, user, origin)
        events.record(type, user, actor=actor, **extra)


@transaction.atomic(savepoint=False)
def remove_second_factors(user: User, *, actor: Actor) -> None:
    """Remove all second factors of a user who lost them. Support only.

    Records one event for each kind of factor in each organization of the user.
    """
    factors = user.authenticator_set.order_by("pk")
    types = sorted({factor.type for factor in factors})
    factors.delete()
    for membership in user.memberships.select_related("organization").order_by("pk"):
        actor_here = dataclasses.replace(actor, organization=membership.organization)
        for factor in types:
            events.record("user.mfa_removed", user, actor=actor_here, factor=factor)
