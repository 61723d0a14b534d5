"""People: how they come to us, and what their organizations may know of how they sign in."""

from django.db import transaction

from accounts.models import Membership, User
from accounts.services import members, organizations
from wallgent.events import facts


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
        facts.record(type, user, actor=actor, **extra)
