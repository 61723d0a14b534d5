from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint
from django.db.models.functions import Lower

from accounts.organizations.models.users import Membership
from wallgent import clock
from wallgent.actors import Actor
from wallgent.ids import PrefixedIdField


class InvitationQuerySet(models.QuerySet):
    def open(self):
        """Return the invitations that can still be accepted."""
        return self.filter(
            accepted_at=None, revoked_at=None, expires_at__gt=clock.real_now()
        ).select_related("organization", "invited_by")

    def visible_to(self, actor: Actor):
        """Return the open invitations of the actor's organization, newest first."""
        return self.open().filter(organization=actor.organization).order_by("-pk")


class Invitation(models.Model):
    """An invitation of an email address to an organization.

    Only the SHA-256 of its token is stored.
    """

    id = PrefixedIdField("ivt")
    organization = models.ForeignKey("Organization", models.PROTECT, related_name="invitations")
    email = models.EmailField()  # in lower case
    role = models.CharField(max_length=6, choices=Membership.Role)
    token_hash = models.BinaryField(max_length=32)
    invited_by = models.ForeignKey("User", models.PROTECT, related_name="+")
    accepted_by = models.ForeignKey("User", models.PROTECT, related_name="+", null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()  # in real time
    created_at = models.DateTimeField(auto_now_add=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["token_hash"], name="invitation_token_unique"),
            UniqueConstraint(
                fields=["organization", "email"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="invitation_one_open",
            ),
            CheckConstraint(condition=Q(email=Lower("email")), name="invitation_email_lower_case"),
            CheckConstraint(
                condition=Q(accepted_at=None) | Q(revoked_at=None), name="invitation_one_end"
            ),
            CheckConstraint(
                condition=Q(accepted_at=None, accepted_by=None)
                | Q(accepted_at__isnull=False, accepted_by__isnull=False),
                name="invitation_accepted_has_user",
            ),
        ]

    def __str__(self):
        return f"{self.email} ({self.role})"

    @property
    def is_open(self) -> bool:
        return not (self.accepted_at or self.revoked_at) and self.expires_at > clock.real_now()
